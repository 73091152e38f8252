//! The packs' and duties' unit tests, far enough to see each alert with its texts: `picket rules test` runs them whole.
//!
//! It knows the file format only as far as these files use it, and not `for`: an alert that is expected to fire has
//! to hold at that time.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::rc::Rc;

use picket_sdk::testing::{Host, Running};
use picket_sdk::{ActiveAlert, Timestamp};

use crate::yaml::{self, Node, Value};
use crate::{PromqlRules, duration};

const MINUTE: u64 = 60_000_000_000;

fn get<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    let Value::Mapping(entries) = &node.value else { panic!("no mapping at {:?}", node.at) };
    entries.iter().find(|(name, _)| name.text() == key).map(|(_, value)| &**value)
}

fn list<'a>(node: &'a Node, key: &str) -> &'a [Rc<Node>] {
    match get(node, key).map(|node| &node.value) {
        Some(Value::Sequence(items)) => items,
        _ => &[],
    }
}

fn text<'a>(node: &'a Node, key: &str) -> &'a str {
    get(node, key).map_or("", Node::text)
}

fn texts(node: &Node, key: &str) -> BTreeMap<String, String> {
    match get(node, key).map(|node| &node.value) {
        Some(Value::Mapping(entries)) => {
            entries.iter().map(|(name, value)| (name.text().to_owned(), value.text().to_owned())).collect()
        }
        _ => BTreeMap::new(),
    }
}

fn labels(series: &str) -> (&str, Vec<(&str, &str)>) {
    let Some((name, rest)) = series.split_once('{') else { return (series, Vec::new()) };
    // No value in these files holds a comma.
    let label = |part| {
        let (name, value) = str::split_once(part, '=').unwrap();
        (name.trim(), value.trim().trim_matches('"'))
    };
    (name, rest.trim_end_matches('}').split(',').map(label).collect())
}

/// `a+bxN`, `axN`, and several of them.
fn values(text: &str) -> Vec<f64> {
    let mut values = Vec::new();
    for part in text.split_whitespace() {
        let (first, times) = part.split_once('x').unwrap();
        let (start, step) = first.split_once('+').unwrap_or((first, "0"));
        let (start, step): (f64, f64) = (start.parse().unwrap(), step.parse().unwrap());
        values.extend((0..=times.parse::<u32>().unwrap()).map(|n| start + step * f64::from(n)));
    }
    values
}

fn holding(plugin: &mut Running<PromqlRules>, time: Timestamp) -> Vec<ActiveAlert> {
    let mut alerts = Vec::new();
    for (group, _) in plugin.groups().to_vec() {
        for result in plugin.evaluate_at(&group, time).unwrap() {
            let output = result.outcome.unwrap_or_else(|error| panic!("{}: {error}", result.rule));
            alerts.extend(output.alerts);
        }
    }
    alerts
}

/// Runs a file; gives the number of alerts that were expected and held.
fn run(rules: &str, tests: &str) -> usize {
    let document = yaml::parse(tests).unwrap().root.unwrap();
    let mut seen = 0;
    for test in list(&document, "tests") {
        let host = Host::new();
        host.asset("rules.yml", rules);
        let interval = duration::parse(text(test, "interval")).unwrap() * 1_000_000;
        // As in promtool, tests begin at Unix time 0.
        let start: Timestamp = 0;
        for series in list(test, "input_series") {
            let (name, labels) = labels(text(series, "series"));
            for (step, value) in values(text(series, "values")).into_iter().enumerate() {
                host.sample(name, &labels, start + step as u64 * interval, value);
            }
        }
        let mut plugin = host.start::<PromqlRules>("{}").unwrap();
        let cases = list(test, "alert_rule_test");
        if cases.is_empty() {
            assert!(holding(&mut plugin, start + 20 * MINUTE).is_empty(), "{}", text(test, "name"));
        }
        for case in cases {
            let at = duration::parse(text(case, "eval_time")).unwrap() * 1_000_000;
            let held = holding(&mut plugin, start + at);
            for expected in list(case, "exp_alerts") {
                let mut labels = texts(expected, "exp_labels");
                labels.insert("alertname".to_owned(), text(case, "alertname").to_owned());
                let pairs = |labels: &[picket_sdk::Label]| -> BTreeMap<String, String> {
                    labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect()
                };
                let alert = held.iter().find(|alert| pairs(&alert.labels) == labels);
                let alert = alert.unwrap_or_else(|| panic!("{labels:?} is not among {held:?}"));
                assert_eq!(pairs(&alert.annotations), texts(expected, "exp_annotations"));
                seen += 1;
            }
        }
    }
    seen
}

#[test]
fn each_alert_of_the_packs_holds_on_its_series() {
    assert_eq!(run(include_str!("../packs/node.yml"), include_str!("../packs/tests/node.yml")), 30);
    assert_eq!(run(include_str!("../packs/picket.yml"), include_str!("../packs/tests/picket.yml")), 16);
    let tests = include_str!("../packs/tests/certificates.yml");
    assert_eq!(run(include_str!("../packs/certificates.yml"), tests), 3);
}

#[test]
fn each_alert_of_the_manuals_holds_on_its_series() {
    let tests = include_str!("../tests/mixins/duties_test.yml");
    assert_eq!(run(include_str!("../tests/mixins/duties.yml"), tests), 19);
}
