//! An alert rule over one metric: `{"metric": "node_load1", "above": "4"}` holds for each series whose
//! last sample of the past minute is above the level. Modes: `many` (a thousand and one alerts),
//! `twice` (the same alert twice), `nameless` (no `alertname`), `failing` (a rule's own error beside
//! a good one), `samples` (records a thousand and one series), `same-rule`.

use std::cell::RefCell;

use bindings::exports::picket::plugin::alert_rule::{
    ActiveAlert, Guest as AlertRule, RuleOutput, RuleResult,
};
use bindings::exports::picket::plugin::lifecycle::{ConfigError, Group, Guest as Lifecycle, Interest, Setup};
use bindings::picket::plugin::series::{self, MatchOp, Matcher, Request, Wanted};
use bindings::picket::plugin::types::{Label, Sample};
use picket_guests::{number, value};

picket_guests::bindings!("picket:guests/rule");

const MINUTE: u64 = 60_000_000_000;

thread_local! {
    static CONFIG: RefCell<String> = const { RefCell::new(String::new()) };
}

struct Alerting;

fn label(name: &str, value: impl Into<String>) -> Label {
    Label { name: name.into(), value: value.into() }
}

fn alert(mut labels: Vec<Label>, value: f64) -> ActiveAlert {
    labels.push(label("alertname", "TooHigh"));
    let annotations = vec![label("summary", format!("it is {value}"))];
    ActiveAlert { labels, annotations, value, for_: MINUTE, keep_firing_for: 0 }
}

fn result(rule: &str, outcome: Result<Vec<ActiveAlert>, String>) -> RuleResult {
    let outcome = outcome.map(|alerts| RuleOutput { alerts, samples: Vec::new() });
    RuleResult { rule: rule.into(), outcome }
}

/// Every series above the level.
fn above(config: &str, time: u64) -> Result<Vec<ActiveAlert>, String> {
    let level = number(config, "above") as f64;
    let name = Matcher { name: "__name__".into(), op: MatchOp::Equal, value: value(config, "metric").into() };
    let request = Request { matchers: vec![name], start: time - MINUTE, end: time, wanted: Wanted::OfLive };
    let found = series::select(&[request]).map_err(|error| format!("{error:?}"))?;
    let labels = series::labels(&found.series).map_err(|error| format!("{error:?}"))?;
    let last = |end: &u32| found.values[*end as usize - 1];
    let held = found.sample_ends.iter().map(last).zip(labels).filter(|(value, _)| *value > level);
    let without_name =
        |labels: Vec<Label>| labels.into_iter().filter(|label| label.name != "__name__").collect();
    Ok(held.map(|(value, labels)| alert(without_name(labels), value)).collect())
}

impl Lifecycle for Alerting {
    fn configure(config: String) -> Result<Setup, ConfigError> {
        CONFIG.set(config);
        let (name, interval) = ("levels".into(), 15_000_000_000);
        let groups = vec![Group { name, file: String::new(), interval, limit: 0, rules: Vec::new() }];
        Ok(Setup { interest: Interest { literals: Vec::new(), ignore_ascii_case: false }, groups })
    }

    fn snapshot() -> Result<Vec<u8>, String> {
        Ok(Vec::new())
    }

    fn restore(_state: Vec<u8>, _from_version: String) -> Result<(), String> {
        Ok(())
    }

    fn plugin_version() -> String {
        "1.0.0".into()
    }
}

impl AlertRule for Alerting {
    fn evaluate(group: String, time: u64) -> Result<Vec<RuleResult>, String> {
        if group != "levels" {
            return Err(format!("there is no group {group}"));
        }
        let config = CONFIG.with_borrow(Clone::clone);
        let numbered = |n: u32| alert(vec![label("n", n.to_string())], 1.0);
        let nameless = ActiveAlert { labels: Vec::new(), ..numbered(0) };
        Ok(match value(&config, "mode") {
            "many" => vec![result("high", Ok((0..1001).map(numbered).collect()))],
            "twice" => vec![result("high", Ok(vec![numbered(1), numbered(1)]))],
            "nameless" => vec![result("high", Ok(vec![nameless])), result("fine", Ok(vec![numbered(1)]))],
            "failing" => vec![result("high", Err("no data".into())), result("fine", Ok(vec![numbered(1)]))],
            "same-rule" => vec![result("high", Ok(Vec::new())), result("high", Ok(Vec::new()))],
            "samples" => {
                let sample = |n: u32| Sample {
                    name: "recorded".into(),
                    labels: vec![label("n", n.to_string())],
                    value: 1.0,
                    time: None,
                };
                let output = RuleOutput { alerts: Vec::new(), samples: (0..1001).map(sample).collect() };
                vec![RuleResult { rule: "recording".into(), outcome: Ok(output) }]
            }
            _ => vec![result("high", above(&config, time))],
        })
    }
}

bindings::export!(Alerting with_types_in bindings);
