//! How a unit test's failure looks: what was expected and what there is, line beside line.

use std::collections::BTreeMap;

use picket_promtest::{ExpectedAlert, show_duration};
use serde_json::{Value, json};

use super::super::output::Paint;
use crate::rules::unit::Failure;
use crate::telemetry::escape;

/// Some lines of text, indented below the test's name.
pub(super) fn show(failure: &Failure, paint: Paint) -> String {
    let at = |time: &i64| show_duration(*time);
    match failure {
        Failure::Test(problem) => format!("      {}\n", escape(problem)),
        Failure::Rule { rule, time, reason } => {
            format!("      rule: {}, time: {}, err: {}\n", escape(rule), at(time), escape(reason))
        }
        Failure::Alerts { alertname, time, expected, got } => {
            let head = format!("      alertname: {}, time: {}\n", escape(alertname), at(time));
            head + &differences(&lines(expected), &lines(got), paint)
        }
        Failure::Expression { expression, time, reason } => {
            format!("      expr: {}, time: {}, err: {}\n", quoted(expression), at(time), escape(reason))
        }
        Failure::Samples { expression, time, expected, got } => {
            let lines = |samples: &[(String, f64)]| -> Vec<String> {
                samples.iter().map(|(series, value)| format!("{series} {value:?}")).collect()
            };
            let head = format!("      expr: {}, time: {}\n", quoted(expression), at(time));
            head + &differences(&lines(expected), &lines(got), paint)
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escape(text))
}

/// A line for each alert.
fn lines(alerts: &[ExpectedAlert]) -> Vec<String> {
    let line = |alert: &ExpectedAlert| {
        format!("Labels:{} Annotations:{}", pairs(&alert.labels), pairs(&alert.annotations))
    };
    alerts.iter().map(line).collect()
}

fn pairs(texts: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = texts.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// What was expected and is missing, what is there besides, and how many lines are the same.
fn differences(expected: &[String], got: &[String], paint: Paint) -> String {
    let (mut missing, mut extra) = (Vec::new(), got.to_vec());
    for line in expected {
        match extra.iter().position(|other| other == line) {
            Some(same) => drop(extra.remove(same)),
            None => missing.push(line),
        }
    }
    let same = expected.len() - missing.len();
    let mut text = format!("        expected {}, got {}; {same} the same\n", expected.len(), got.len());
    for line in missing {
        text += &format!("        {}\n", paint.good(&format!("- exp: {}", escape(line))));
    }
    for line in extra {
        text += &format!("        {}\n", paint.bad(&format!("+ got: {}", escape(&line))));
    }
    text
}

/// The same for programs. Times are in seconds behind the test's start.
pub(super) fn json(failure: &Failure) -> Value {
    let seconds = |time: &i64| *time as f64 / 1000.0;
    let alerts = |alerts: &[ExpectedAlert]| -> Vec<Value> {
        alerts.iter().map(|it| json!({ "labels": it.labels, "annotations": it.annotations })).collect()
    };
    // JSON has no number for NaN and the infinities.
    let samples = |samples: &[(String, f64)]| -> Vec<Value> {
        samples
            .iter()
            .map(|(series, value)| json!({ "series": series, "value": value.to_string() }))
            .collect()
    };
    match failure {
        Failure::Test(problem) => json!({ "kind": "test", "reason": problem }),
        Failure::Rule { rule, time, reason } => {
            json!({ "kind": "rule", "rule": rule, "time": seconds(time), "reason": reason })
        }
        Failure::Alerts { alertname, time, expected, got } => json!({
            "kind": "alerts", "alertname": alertname, "time": seconds(time),
            "expected": alerts(expected), "got": alerts(got),
        }),
        Failure::Expression { expression, time, reason } => {
            json!({ "kind": "expression", "expr": expression, "time": seconds(time), "reason": reason })
        }
        Failure::Samples { expression, time, expected, got } => json!({
            "kind": "samples", "expr": expression, "time": seconds(time),
            "expected": samples(expected), "got": samples(got),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_listed() {
        let alert = |instance: &str| ExpectedAlert {
            labels: [("instance".to_owned(), instance.to_owned())].into(),
            annotations: BTreeMap::new(),
        };
        let failure = Failure::Alerts {
            alertname: "NodeDown".into(),
            time: 90_000,
            expected: vec![alert("a"), alert("b")],
            got: vec![alert("b"), alert("c\u{1b}")],
        };
        let text = show(&failure, Paint::for_stdout(true));
        for part in [
            "alertname: NodeDown, time: 1m30s\n",
            "expected 2, got 2; 1 the same\n",
            "- exp: Labels:{instance=\"a\"} Annotations:{}\n",
            "+ got: Labels:{instance=\"c",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains('\u{1b}') && !text.contains("instance=\"b\""), "{text}");
    }

    #[test]
    fn samples_are_shown_with_their_values() {
        let failure = Failure::Samples {
            expression: "sum(up)".into(),
            time: 0,
            expected: vec![("{}".into(), 1.0)],
            got: vec![("{}".into(), f64::NAN)],
        };
        let text = show(&failure, Paint::for_stdout(true));
        assert!(text.contains("- exp: {} 1.0\n") && text.contains("+ got: {} NaN\n"), "{text}");
        assert_eq!(json(&failure)["got"][0]["value"], "NaN");
    }
}
