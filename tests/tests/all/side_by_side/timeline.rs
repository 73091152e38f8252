//! What one of two said of its alerts, and when it was seen to say so. Asks nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Names and values.
pub(super) type Labels = BTreeMap<String, String>;

/// An alert but for its labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    state: String,
    annotations: Labels,
}

/// The alerts of one side: those of now, and what became of all of them.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// As they were seen last.
    pub(super) now: BTreeMap<Labels, Shown>,
    /// What each became, `resolved` at its end, and when that was seen.
    events: BTreeMap<Labels, Vec<(String, Instant)>>,
}

/// How alike two timelines are.
#[derive(Debug, Default)]
pub(super) struct Likeness {
    /// Alerts, by their labels.
    pub(super) alerts: usize,
    /// All that they became.
    pub(super) events: usize,
    /// The most that the same event was apart.
    pub(super) largest: Duration,
}

impl Timeline {
    /// Takes the data of `alerts`, which was got just now.
    pub(super) fn look(&mut self, data: &Value) {
        let seen = Instant::now();
        let now = shown(data);
        let all: BTreeSet<&Labels> = self.now.keys().chain(now.keys()).collect();
        for labels in all {
            let state =
                |alerts: &BTreeMap<Labels, Shown>| alerts.get(labels).map(|alert| alert.state.clone());
            let (before, after) = (state(&self.now), state(&now));
            if before != after {
                let became = after.unwrap_or_else(|| "resolved".to_owned());
                self.events.entry(labels.clone()).or_default().push((became, seen));
            }
        }
        self.now = now;
    }

    /// Whether just these alerts are there, by their names, and each fires.
    pub(super) fn fire(&self, expected: &[&str]) -> bool {
        let mut names: Vec<&str> = self.now.keys().map(|labels| labels["alertname"].as_str()).collect();
        names.sort_unstable();
        names == expected && self.now.values().all(|alert| alert.state == "firing")
    }

    /// Panics unless the same alerts became the same in the same order, and never further apart than `most`.
    pub(super) fn compare(&self, other: &Self, most: Duration) -> Likeness {
        let of = |timeline: &Self| timeline.events.keys().cloned().collect::<Vec<_>>();
        assert_eq!(of(self), of(other), "the same alerts");
        let mut likeness = Likeness { alerts: self.events.len(), ..Likeness::default() };
        for (labels, ours) in &self.events {
            let theirs = &other.events[labels];
            let states =
                |events: &[(String, Instant)]| events.iter().map(|event| event.0.clone()).collect::<Vec<_>>();
            assert_eq!(states(ours), states(theirs), "{labels:?}");
            for ((state, one), (_, two)) in ours.iter().zip(theirs) {
                let apart = one.max(two).duration_since(*one.min(two));
                assert!(apart <= most, "{labels:?} became {state} {apart:?} apart: {ours:?} {theirs:?}");
                likeness.largest = likeness.largest.max(apart);
            }
            likeness.events += ours.len();
        }
        likeness
    }
}

fn shown(data: &Value) -> BTreeMap<Labels, Shown> {
    let alerts = data["alerts"].as_array().expect("there is a list of alerts");
    let alert = |alert: &Value| {
        let state = alert["state"].as_str().expect("an alert has a state").to_owned();
        (labels(&alert["labels"]), Shown { state, annotations: labels(&alert["annotations"]) })
    };
    alerts.iter().map(alert).collect()
}

/// A flat JSON object of texts.
pub(super) fn labels(json: &Value) -> Labels {
    let texts = json.as_object().into_iter().flatten();
    texts.map(|(name, value)| (name.clone(), value.as_str().expect("it is text").to_owned())).collect()
}
