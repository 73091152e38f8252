//! Groups over constructed series.
#![allow(clippy::unwrap_used, reason = "tests")]

use picket_sdk::testing::{Host, Running};
use picket_sdk::{Label, RuleOutput, RuleResult, Span};

use super::{Config, Evaluated, Group, LabelCache, Rules};
use crate::PromqlRules;

const MINUTE: u64 = 60_000_000_000;

fn host(rules: &str) -> Host {
    let host = Host::new();
    let rules: String = rules.lines().map(|line| format!("  {line}\n")).collect();
    host.asset("f.yml", format!("groups:\n- name: g\n{rules}"));
    host
}

fn start(host: &Host, config: &str) -> Running<PromqlRules> {
    host.start(config).unwrap_or_else(|error| panic!("{error}"))
}

fn evaluate(host: &Host, config: &str) -> Vec<RuleResult> {
    start(host, config).evaluate("f.yml;g").unwrap()
}

fn output(result: &RuleResult) -> &RuleOutput {
    result.outcome.as_ref().unwrap_or_else(|error| panic!("{}: {error}", result.rule))
}

fn failed<'a>(result: &'a RuleResult, part: &str) -> &'a str {
    let error = result.outcome.as_ref().unwrap_err();
    assert!(error.contains(part), "{error}");
    error
}

fn shown(labels: &[Label]) -> String {
    let labels: Vec<String> = labels.iter().map(|label| format!("{}={}", label.name, label.value)).collect();
    labels.join(",")
}

#[test]
fn an_alert_has_the_samples_labels_the_rules_and_its_name() {
    let host = host(
        "labels: {team: base, tier: '{{ $value }}'}\nrules:\n- alert: Down\n  expr: up == 0\n  for: 5m\n  \
         keep_firing_for: 1m\n  labels: {team: 'own {{ $labels.job }}', instance: ''}\n  annotations:\n    \
         summary: '{{ $labels.instance }} of {{ $externalLabels.region }}'\n    bad: '{{ .Nope }}'",
    );
    host.sample("up", &[("job", "a"), ("instance", "i")], host.now(), 0.0);
    host.sample("up", &[("job", "b"), ("instance", "i")], host.now(), 1.0);
    let results = evaluate(&host, r#"{"external_labels": {"region": "eu"}}"#);
    assert_eq!(results[0].rule, r#"Down{instance="", team="own {{ $labels.job }}", tier="{{ $value }}"}"#);
    let [alert] = output(&results[0]).alerts.as_slice() else { panic!("{results:?}") };
    assert_eq!(shown(&alert.labels), "alertname=Down,job=a,team=own a,tier=0");
    let annotations = shown(&alert.annotations);
    assert!(annotations.starts_with("bad=<error expanding template: "), "{annotations}");
    assert!(annotations.ends_with(",summary=i of eu"), "{annotations}");
    assert_eq!((alert.for_, alert.keep_firing_for, alert.value), (5 * MINUTE, MINUTE, 0.0));
}

#[test]
fn later_rules_see_what_earlier_ones_recorded_and_what_they_do_not_any_more() {
    let host = host(
        "rules:\n- record: r\n  expr: x * 2\n  labels: {job: '', new: a}\n- record: s\n  expr: r + 1\n\
         - alert: A\n  expr: '{__name__=~\"r|s\", new=\"a\"} > 4'\n- record: n\n  expr: count_over_time(r[5m])",
    );
    host.sample("x", &[("job", "j"), ("instance", "1")], host.now(), 1.0);
    host.sample("x", &[("job", "j"), ("instance", "2")], host.now(), 2.0);
    let mut plugin = start(&host, "{}");
    let results = plugin.evaluate("f.yml;g").unwrap();
    let values = |result: &RuleResult| -> Vec<(String, f64)> {
        let mut values: Vec<_> =
            output(result).samples.iter().map(|sample| (shown(&sample.labels), sample.value)).collect();
        values.sort_by(|a, b| a.0.cmp(&b.0));
        values
    };
    assert_eq!(values(&results[0]), [("instance=1,new=a".into(), 2.0), ("instance=2,new=a".into(), 4.0)]);
    assert_eq!(values(&results[1]), [("instance=1,new=a".into(), 3.0), ("instance=2,new=a".into(), 5.0)]);
    assert_eq!(output(&results[2]).alerts.len(), 1);
    assert_eq!(values(&results[3])[0].1, 1.0);
    assert_eq!(output(&results[0]).samples[0].time, Some(host.now()));

    // What the host stored of it, then five minutes later, when one of the sources is gone.
    for (instance, value) in [("1", 2.0), ("2", 4.0)] {
        host.sample("r", &[("new", "a"), ("instance", instance)], host.now(), value);
    }
    let later = host.now() + 4 * MINUTE;
    host.sample("x", &[("job", "j"), ("instance", "1")], later, 7.0);
    host.set_time(later + 2 * MINUTE);
    let results = plugin.evaluate("f.yml;g").unwrap();
    assert_eq!(values(&results[0]), [("instance=1,new=a".into(), 14.0)]);
    assert_eq!(values(&results[1]), [("instance=1,new=a".into(), 15.0)]);
}

#[test]
fn a_series_that_is_not_recorded_any_more_has_no_present_value_for_later_rules() {
    let host = host("rules:\n- record: r\n  expr: x > 1\n- record: s\n  expr: r");
    host.sample("x", &[], host.now(), 2.0);
    let mut plugin = start(&host, "{}");
    assert_eq!(output(&plugin.evaluate("f.yml;g").unwrap()[1]).samples.len(), 1);
    host.sample("r", &[], host.now(), 2.0);
    host.sample("x", &[], host.now() + MINUTE, 1.0);
    host.set_time(host.now() + MINUTE);
    assert!(output(&plugin.evaluate("f.yml;g").unwrap()[1]).samples.is_empty());
}

#[test]
fn an_error_is_the_rules_own() {
    let host = host(
        "limit: 1\nrules:\n- record: r\n  expr: x\n- record: d\n  expr: sum by (job) (x)\n- alert: D\n  expr: y\n  \
         labels: {instance: same}\n- alert: L\n  expr: x\n- alert: Good\n  expr: vector(1)\n- record: m\n  expr: x[5m]",
    );
    for instance in ["1", "2"] {
        host.sample("x", &[("instance", instance)], host.now(), 1.0);
        host.sample("y", &[("instance", instance)], host.now(), 1.0);
    }
    let results = evaluate(&host, "{}");
    failed(&results[0], "exceeded limit of 1 with 2 series");
    assert_eq!(output(&results[1]).samples.len(), 1);
    failed(&results[2], "same labelset after applying alert labels");
    failed(&results[3], "exceeded limit of 1 with 2 alerts");
    assert_eq!(output(&results[4]).alerts.len(), 1);
    failed(&results[5], "not a vector or scalar");
}

#[test]
fn recorded_series_have_to_differ() {
    let host = host("rules:\n- record: r\n  expr: x\n  labels: {instance: ''}");
    host.sample("x", &[("instance", "1")], host.now(), 1.0);
    host.sample("x", &[("instance", "2")], host.now(), 1.0);
    failed(&evaluate(&host, "{}")[0], "same labelset after applying rule labels");
}

#[test]
fn a_group_may_look_back() {
    let host = host("query_offset: 2m\nrules:\n- record: r\n  expr: x");
    host.sample("x", &[], host.now() - 2 * MINUTE, 1.0);
    host.sample("x", &[], host.now(), 2.0);
    let results = evaluate(&host, "{}");
    let sample = &output(&results[0]).samples[0];
    assert_eq!((sample.value, sample.time), (1.0, Some(host.now() - 2 * MINUTE)));
}

#[test]
fn bounds_are_named() {
    let host = host("rules:\n- record: r\n  expr: x\n- alert: A\n  expr: x\n- alert: Good\n  expr: '1'");
    for instance in ["1", "2", "3"] {
        host.sample("x", &[("instance", instance)], host.now(), 1.0);
    }
    let results = evaluate(&host, r#"{"max_samples": 2}"#);
    failed(&results[0], "more than 2 samples at once (`max_samples`)");
    assert_eq!(output(&results[2]).alerts.len(), 1);
    failed(&evaluate(&host, r#"{"max_alerts": 2}"#)[1], "raises 3 alerts, at most 2 are taken");
    failed(&evaluate(&host, r#"{"max_output": "100B"}"#)[0], "does not fit into the 100B");
}

#[test]
fn rules_alike_are_told_apart_by_number() {
    let host = host(
        "rules:\n- alert: A\n  expr: '1'\n- alert: A\n  expr: '2'\n- alert: A\n  expr: '3'\n  labels: {a: b}",
    );
    let names: Vec<String> = evaluate(&host, "{}").into_iter().map(|result| result.rule).collect();
    assert_eq!(names, ["A", "A #2", r#"A{a="b"}"#]);
}

#[test]
fn templates_may_query() {
    let host = host(
        "rules:\n- record: r\n  expr: '7'\n- alert: A\n  expr: x\n  annotations:\n    \
         good: '{{ with query \"r\" }}{{ . | first | value }}{{ end }} {{ query \"scalar(r)\" | first | value }}'\n    \
         wrong: '{{ query \")\" }}'",
    );
    host.sample("x", &[], host.now(), 1.0);
    let results = evaluate(&host, "{}");
    let [good, wrong] = output(&results[1]).alerts[0].annotations.as_slice() else { panic!("{results:?}") };
    assert_eq!(good.value, "7 7");
    assert!(wrong.value.starts_with("<error expanding template: error calling query: "), "{wrong:?}");
}

#[test]
fn rules_fail_by_name_when_their_time_is_over() {
    let host = host("rules:\n- alert: A\n  expr: x\n- alert: B\n  expr: x");
    host.sample("x", &[], host.now(), 1.0);
    // The test's clock stands still, so only a budget of nothing is used up.
    let nothing = |key: &str| {
        let mut config = Config { packs: Some(Vec::new()), ..Config::default() };
        match key {
            "rule_timeout" => config.rule_timeout = Span::default(),
            _ => config.group_timeout = Span::default(),
        }
        let text = "groups:\n- name: g\n  rules:\n  - {alert: A, expr: x}\n";
        let rule = crate::file::load("f.yml", text).unwrap().groups.remove(0).rules.remove(0);
        let rule = Evaluated { id: "A".into(), rule, recorded: Default::default() };
        let mut group = Group { query_offset: 0, limit: 0, rules: vec![rule] };
        let rules = Rules { config, external_labels: Default::default(), external_url: "".into() };
        super::group(&rules, &mut group, &mut LabelCache::default(), host.now()).remove(0)
    };
    failed(&nothing("rule_timeout"), "takes longer than 0s (`rule_timeout`)");
    failed(&nothing("group_timeout"), "not evaluated: the group's 0s (`group_timeout`) are used up");
}
