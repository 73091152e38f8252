//! The plugin as the agent calls it, through the SDK's test host.
#![allow(clippy::unwrap_used, reason = "tests")]

use picket_sdk::testing::{Host, Running};
use picket_sdk::{AnswerValue, ConfigError, QueryError, QueryRange, QueryTime};

use crate::PromqlRules;

const MINUTE: u64 = 60_000_000_000;

fn start(host: &Host, config: &str) -> Running<PromqlRules> {
    host.start(config).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(host: &Host, config: &str) -> ConfigError {
    host.start::<PromqlRules>(config).err().unwrap()
}

fn with_file(rules: &str) -> Host {
    let host = Host::new();
    host.asset("rules.yml", rules);
    host
}

#[test]
fn files_of_others_and_the_packs_load() {
    let host = Host::new();
    host.asset("README.md", "not a rule file");
    host.asset("node/node_exporter.yml", include_str!("../tests/mixins/node_exporter.yml"));
    host.asset("kubernetes.yaml", include_str!("../tests/mixins/kubernetes.yml"));
    host.asset("duties.rules", include_str!("../tests/mixins/duties.yml"));
    let plugin = start(&host, "{}");
    let names: Vec<&str> = plugin.groups().iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), 10, "{names:?}");
    assert_eq!(names[0], "duties.rules;A11 crash-log analysis");
    assert_eq!(plugin.groups()[0].1.as_secs(), 30);
    assert_eq!(plugin.groups()[1].1.as_secs(), 60);

    let host = Host::new();
    let plugin = start(&host, "{}");
    let names: Vec<&str> = plugin.groups().iter().map(|(name, _)| name.as_str()).collect();
    let packs = [
        "built-in node.yml;node",
        "built-in node.yml;services",
        "built-in picket.yml;picket",
        "built-in certificates.yml;certificates",
    ];
    assert_eq!(names, packs);
    assert_eq!(start(&host, r#"{"packs": ["picket"], "interval": "10s"}"#).groups().len(), 1);
    assert!(start(&host, r#"{"packs": []}"#).groups().is_empty());
}

#[test]
fn all_rules_of_the_packs_evaluate_over_nothing() {
    let host = Host::new();
    let mut plugin = start(&host, "{}");
    for (group, _) in plugin.groups().to_vec() {
        for result in plugin.evaluate(&group).unwrap() {
            let output = result.outcome.unwrap_or_else(|error| panic!("{}: {error}", result.rule));
            assert!(output.alerts.is_empty() && output.samples.is_empty(), "{}", result.rule);
        }
    }
}

#[test]
fn a_configuration_that_makes_no_sense_is_refused() {
    let host = with_file("groups: []\n");
    for (config, key) in [
        (r#"{"interval": "100ms"}"#, "interval"),
        (r#"{"max_samples": 0}"#, "max_samples"),
        (r#"{"packs": ["nope"]}"#, "packs"),
        (r#"{"disable": ["Nope"]}"#, "disable"),
        (r#"{"external_labels": {"a-b": "c"}}"#, "external_labels"),
        (r#"{"intervall": "1m"}"#, "intervall"),
    ] {
        assert_eq!(refused(&host, config).key, key, "{config}");
    }
    assert!(refused(&host, r#"{"files": ["none.yml"]}"#).message.contains("no asset `none.yml`"));
}

#[test]
fn one_bad_rule_refuses_all_files_with_its_place() {
    let host = Host::new();
    host.asset("good.yml", "groups:\n- name: a\n  rules: [{alert: A, expr: up}]\n");
    host.asset("bad.yml", "groups:\n- name: b\n  rules: [{alert: B, expr: up ==}]\n");
    let error = refused(&host, "{}");
    assert_eq!(
        (error.asset.as_deref(), error.line, error.column > 26),
        (Some("bad.yml"), 3, true),
        "{error}"
    );
    assert!(error.message.contains("group `b`, rule 1 `B`: `expr` is no PromQL: "), "{error}");
}

#[test]
fn a_file_goes_on_without_what_is_disabled() {
    let host = with_file("groups:\n- name: g\n  rules: [{alert: A, expr: '1'}, {alert: B, expr: '2'}]\n");
    let mut plugin = start(&host, r#"{"disable": ["A"]}"#);
    let results = plugin.evaluate("rules.yml;g").unwrap();
    assert_eq!((results.len(), results[0].rule.as_str()), (1, "B"));
}

#[test]
fn an_alert_may_be_named_like_the_second_of_two_others() {
    let rules = "{alert: A, expr: '1'}, {alert: 'A #2', expr: '1'}, {alert: A, expr: '1'}";
    let host = with_file(&format!("groups:\n- name: g\n  rules: [{rules}]\n"));
    let results = start(&host, "{}").evaluate("rules.yml;g").unwrap();
    let ids: Vec<&str> = results.iter().map(|result| result.rule.as_str()).collect();
    assert_eq!(ids, ["A", "A #2", "A #3"]);
}

#[test]
fn the_query_export_answers_like_the_query_api() {
    let host = with_file("groups: []\n");
    let now = host.now();
    for step in 0..5 {
        host.sample("up", &[("job", "a")], now - step * MINUTE, step as f64);
    }
    let mut plugin = start(&host, "{}");
    let answer = plugin.query("up + 1", QueryTime::Instant(now)).unwrap();
    let AnswerValue::Vector(rows) = answer.value else { panic!("{answer:?}") };
    assert_eq!((rows[0].points[0].value, rows[0].labels.len()), (1.0, 1));
    let range = QueryRange { start: now - 4 * MINUTE, end: now, step: MINUTE };
    let answer = plugin.query("up", QueryTime::Range(range)).unwrap();
    let AnswerValue::Matrix(rows) = answer.value else { panic!("{answer:?}") };
    let values: Vec<f64> = rows[0].points.iter().map(|point| point.value).collect();
    assert_eq!(values, [4.0, 3.0, 2.0, 1.0, 0.0]);
    assert_eq!(rows[0].points[4].time, now);
    let AnswerValue::Scalar(point) = plugin.query("1 + 1", QueryTime::Instant(now)).unwrap().value else {
        panic!()
    };
    assert_eq!((point.value, point.time), (2.0, now));
    let answer = plugin.query("rate(up[5m])", QueryTime::Instant(now)).unwrap();
    assert!(answer.infos[0].contains("might not be a counter"), "{answer:?}");
    let Err(QueryError::BadExpression(message)) = plugin.query("up +", QueryTime::Instant(now)) else {
        panic!()
    };
    assert!(message.starts_with("1:"), "{message}");
    let fine = QueryRange { step: 1_000_000, ..range };
    let Err(QueryError::Failed(message)) = plugin.query("up", QueryTime::Range(fine)) else { panic!() };
    assert!(message.contains("11000 points"), "{message}");
    let backwards = QueryRange { end: 0, ..range };
    assert!(plugin.query("up", QueryTime::Range(backwards)).is_err());
}
