//! What a rule group's evaluation says, checked before the life of alerts goes by it.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::model::Label;

/// Labels or annotations of one alert: four times what elaborate rules use.
pub const MAX_LABELS: usize = 64;
/// Bytes of a label's or an annotation's value; longer ones are cut, as the plugin interface says.
pub const MAX_VALUE_BYTES: usize = 4096;
/// The label that gives an alert its name.
const ALERT_NAME: &str = "alertname";

/// One evaluation of one of a plugin's groups. When the plugin could not evaluate the group at
/// all, there is none: every alert keeps its state.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The group.
    pub group: String,
    /// Evaluation time: Unix time in nanoseconds. May step in any direction.
    pub time: u64,
    /// The same moment by the steady clock, by which lengths of time are counted.
    pub instant: Instant,
    /// The group's interval in nanoseconds: what is counted at most over a restart.
    pub interval: u64,
    /// One for each of the group's rules. A rule that is not among them is gone.
    pub results: Vec<RuleResult>,
}

/// What one rule said.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleResult {
    /// The rule's name, unique within its group.
    pub rule: String,
    /// The alerts that hold, or why the rule could not be evaluated.
    pub outcome: Result<Vec<HeldAlert>, String>,
}

/// An alert that holds at the time of the evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldAlert {
    /// Its identity together with the rule; `alertname` among them.
    pub labels: Vec<Label>,
    /// Text for people.
    pub annotations: Vec<Label>,
    /// The value that made it hold.
    pub value: f64,
    /// How long it has to hold before it fires, in nanoseconds.
    pub hold_for: u64,
    /// How long it goes on firing after it last held, in nanoseconds.
    pub keep_firing_for: u64,
}

/// The alerts that hold by their labels, sorted and cut to their bounds. The error says what is
/// wrong with them; it is the rule's alone.
pub(super) fn checked(held: &[HeldAlert]) -> Result<BTreeMap<Vec<Label>, HeldAlert>, String> {
    let mut by_labels = BTreeMap::new();
    for alert in held {
        let alert = HeldAlert {
            labels: sorted(&alert.labels, "labels")?,
            annotations: sorted(&alert.annotations, "annotations")?,
            ..alert.clone()
        };
        if !alert.labels.iter().any(|label| label.name == ALERT_NAME) {
            return Err(format!("an alert has no label `{ALERT_NAME}`"));
        }
        if let Some(twin) = by_labels.insert(alert.labels.clone(), alert) {
            return Err(format!("two alerts have the same labels: {}", shown(&twin.labels)));
        }
    }
    Ok(by_labels)
}

/// Sorted by name, without empty values, each name once.
fn sorted(labels: &[Label], what: &str) -> Result<Vec<Label>, String> {
    if labels.len() > MAX_LABELS {
        return Err(format!("an alert has {} {what}; at most {MAX_LABELS} are allowed", labels.len()));
    }
    let mut sorted: Vec<Label> = labels.iter().filter(|label| !label.value.is_empty()).map(cut).collect();
    sorted.sort();
    match sorted.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(format!("an alert's {what} have `{}` twice", pair[0].name)),
        None => Ok(sorted),
    }
}

fn cut(label: &Label) -> Label {
    let end = label.value.floor_char_boundary(MAX_VALUE_BYTES);
    Label { name: label.name.clone(), value: label.value[..end].to_owned() }
}

fn shown(labels: &[Label]) -> String {
    let pairs: Vec<String> = labels.iter().map(|label| format!("{}={:?}", label.name, label.value)).collect();
    format!("{{{}}}", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn alert(labels: &[(&str, &str)]) -> HeldAlert {
        let label = |(name, value): &(&str, &str)| Label { name: (*name).into(), value: (*value).into() };
        let labels = labels.iter().map(label).collect();
        HeldAlert { labels, annotations: vec![], value: 1.0, hold_for: 0, keep_firing_for: 0 }
    }

    fn check_refused(held: &[HeldAlert], expected: &str) {
        let error = checked(held).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_is_no_set_of_alerts_says_why() {
        check_refused(&[alert(&[("job", "a")])], "no label `alertname`");
        check_refused(&[alert(&[("alertname", "")])], "no label `alertname`");
        check_refused(&[alert(&[("alertname", "A"), ("alertname", "B")])], "`alertname` twice");
        let twice = [alert(&[("alertname", "A"), ("b", "x")]), alert(&[("b", "x"), ("alertname", "A")])];
        check_refused(&twice, r#"{alertname="A", b="x"}"#);
        check_refused(&[alert(&[("a", "x"); 65])], "65 labels");
    }

    #[test]
    fn long_values_are_cut_at_a_character() {
        let long = "ä".repeat(MAX_VALUE_BYTES);
        let held = checked(&[alert(&[("alertname", "A"), ("b", &format!("x{long}"))])]).unwrap();
        let (labels, _) = held.first_key_value().unwrap();
        assert_eq!(labels[1].value.len(), MAX_VALUE_BYTES - 1);
    }
}
