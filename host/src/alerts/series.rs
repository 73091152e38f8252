//! The series that tell of alerts, as Prometheus writes them: `ALERTS{alertstate="…"}`, which is 1 while an alert is
//! in that state, and `ALERTS_FOR_STATE`, since when it has been active in Unix seconds. Both have its labels.
//!
//! Stores and commits nothing.

use std::collections::HashSet;

use crate::model::{AlertState, Label, Sample};

/// 1 while an alert is in the state that its label `alertstate` names.
pub const ALERTS: &str = "ALERTS";
/// Since when an alert has been active, in Unix seconds.
pub const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";
/// The label that tells the state.
const STATE: &str = "alertstate";
/// How much later than the last sample a stale marker is at least, in nanoseconds: receivers count in milliseconds.
pub(super) const LATER: u64 = 1_000_000;
/// What a sample takes beside its text.
const SAMPLE_BYTES: usize = 64;

/// The samples of an active alert. `active_since` and `time` are Unix time in nanoseconds.
pub(super) fn of(labels: &[Label], state: AlertState, active_since: u64, time: u64) -> [Sample; 2] {
    let seconds = active_since / 1_000_000_000;
    [
        Sample { name: ALERTS.to_owned(), labels: with_state(labels, state), time, value: 1.0 },
        Sample { name: ALERTS_FOR_STATE.to_owned(), labels: labels.to_vec(), time, value: seconds as f64 },
    ]
}

/// The stale markers of an alert that was in a state and is now in another one, or in none.
pub(super) fn ends(labels: &[Label], before: AlertState, now: Option<AlertState>, time: u64) -> Vec<Sample> {
    let mut ends = Vec::new();
    if now != Some(before) {
        ends.push(Sample::stale(ALERTS.to_owned(), with_state(labels, before), time));
    }
    if now.is_none() {
        ends.push(Sample::stale(ALERTS_FOR_STATE.to_owned(), labels.to_vec(), time));
    }
    ends
}

/// The ends of series that no sample goes on with: two rules may have alerts with the same labels.
pub(super) fn only_ended(mut ends: Vec<Sample>, samples: &[Sample]) -> Vec<Sample> {
    if ends.is_empty() {
        return ends;
    }
    let live: HashSet<_> = samples.iter().map(|sample| (&sample.name, &sample.labels)).collect();
    ends.retain(|end| !live.contains(&(&end.name, &end.labels)));
    ends
}

/// About how many bytes a sample takes in the journal.
pub(super) fn bytes(sample: &Sample) -> usize {
    let labels = sample.labels.iter().map(|label| label.name.len() + label.value.len() + 16);
    SAMPLE_BYTES + sample.name.len() + labels.sum::<usize>()
}

/// Sorted by name. A label of this name that the alert has itself gives way, as in Prometheus.
fn with_state(labels: &[Label], state: AlertState) -> Vec<Label> {
    let own = labels.iter().filter(|label| label.name != STATE).cloned();
    let mut labels: Vec<Label> = own.collect();
    let at = labels.partition_point(|label| label.name.as_str() < STATE);
    labels.insert(at, Label { name: STATE.to_owned(), value: state.word().to_owned() });
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Vec<Label> {
        pairs.iter().map(|(name, value)| Label { name: (*name).into(), value: (*value).into() }).collect()
    }

    #[test]
    fn samples_are_those_of_prometheus() {
        let own = labels(&[("alertname", "A"), ("alertstate", "mine"), ("job", "x")]);
        let [alerts, for_state] = of(&own, AlertState::Pending, 1_700_000_000_900_000_000, 7);
        assert_eq!((alerts.name.as_str(), alerts.time, alerts.value), ("ALERTS", 7, 1.0));
        assert_eq!(alerts.labels, labels(&[("alertname", "A"), ("alertstate", "pending"), ("job", "x")]));
        assert_eq!((for_state.name.as_str(), for_state.value), ("ALERTS_FOR_STATE", 1_700_000_000.0));
        assert_eq!(for_state.labels, own);
    }

    #[test]
    fn what_an_alert_has_no_more_ends() {
        let own = labels(&[("alertname", "A")]);
        let shown = |now| -> Vec<String> {
            let ends = ends(&own, AlertState::Pending, now, 7);
            assert!(ends.iter().all(|end| end.is_stale() && end.time == 7));
            ends.into_iter().map(|end| end.name).collect()
        };
        assert_eq!(shown(Some(AlertState::Pending)), [""; 0]);
        assert_eq!(shown(Some(AlertState::Firing)), [ALERTS]);
        assert_eq!(shown(None), [ALERTS, ALERTS_FOR_STATE]);
    }

    #[test]
    fn what_another_alert_goes_on_with_does_not_end() {
        let own = labels(&[("alertname", "A")]);
        let live = of(&own, AlertState::Firing, 0, 7);
        let ended = ends(&own, AlertState::Firing, None, 7);
        assert!(only_ended(ended, &live).is_empty());
        let ended = only_ended(ends(&own, AlertState::Pending, Some(AlertState::Firing), 7), &live);
        assert_eq!(ended[0].labels, with_state(&own, AlertState::Pending));
    }
}
