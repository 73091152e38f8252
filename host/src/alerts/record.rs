//! An alert as it is kept: in memory with all that its next evaluation needs, in the state store
//! as MessagePack behind a version byte.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::evaluation::Evaluation;
use super::life::Life;
use crate::model::{Digest, EventId, Label};

/// The first byte of a stored alert. Since 2 it tells which silence it was silenced by.
const VERSION: u8 = 2;

/// What the wall clock may differ from the steady one before its step counts, in nanoseconds: adjustments that
/// keep a clock right are smaller for hours, and times are shown to the second.
const STEP: u64 = 1_000_000_000;

/// What an alert is: its rule and its labels. All generations of a plugin share it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) group: String,
    pub(super) rule: String,
    /// Sorted by name.
    pub(super) labels: Vec<Label>,
}

/// An alert that is pending or firing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Alert {
    pub(super) life: Life,
    /// Since when it has been active, by the wall clock as it goes now: Unix time in nanoseconds. A step of the
    /// clock moves it, and so does down-time while it is pending.
    pub(super) active_since: u64,
    /// The generation that last found that it holds.
    pub(super) generation: Digest,
    pub(super) annotations: Vec<Label>,
    pub(super) value: f64,
    pub(super) keep_firing_for: u64,
    /// Wall-clock time up to which `life` has counted; it stands still while nothing is counted.
    pub(super) counted_until: u64,
    /// The silence that its last event was marked with.
    #[serde(default)]
    pub(super) silenced_by: Option<String>,
    /// What `active_since` goes by.
    #[serde(skip)]
    pub(super) anchor: Option<Moment>,
    /// When its last samples were made; Unix time in nanoseconds.
    #[serde(skip)]
    pub(super) sampled: Option<u64>,
    /// The same as `counted_until` by the steady clock, which ends with the process.
    #[serde(skip)]
    pub(super) counted_instant: Option<Instant>,
    /// The first evaluation since the alert was taken up from the store, until it holds again.
    #[serde(skip)]
    pub(super) missed_since: Option<Instant>,
}

/// The same moment by both clocks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Moment {
    /// Unix time in nanoseconds.
    pub(super) time: u64,
    pub(super) instant: Instant,
}

impl Moment {
    pub(super) fn of(evaluation: &Evaluation) -> Self {
        Self { time: evaluation.time, instant: evaluation.instant }
    }

    /// By how many nanoseconds the wall clock was set forwards since an earlier moment.
    fn step_since(&self, earlier: &Self) -> i64 {
        let passed = nanos(self.instant.saturating_duration_since(earlier.instant));
        let step = i128::from(self.time) - i128::from(earlier.time) - i128::from(passed);
        i64::try_from(step).unwrap_or(if step < 0 { i64::MIN } else { i64::MAX })
    }
}

impl Alert {
    /// Since when it has been active by the wall clock of an evaluation, and what that goes by from now on.
    pub(super) fn since(&self, evaluation: &Evaluation) -> (u64, Moment) {
        let now = Moment::of(evaluation);
        let Some(anchor) = self.anchor else { return (self.since_after_restart(evaluation), now) };
        let step = now.step_since(&anchor);
        match step.unsigned_abs() < STEP {
            true => (self.active_since, anchor),
            false => (self.active_since.saturating_add_signed(step), now),
        }
    }

    /// What it has been pending for lies before now, without the down-time. One that fires has done so since it
    /// did; whether the clock was set meanwhile nobody can tell.
    fn since_after_restart(&self, evaluation: &Evaluation) -> u64 {
        match self.life {
            Life::Pending { held } => {
                let held = held.saturating_add(self.elapsed(evaluation));
                evaluation.time.saturating_sub(held)
            }
            Life::Firing | Life::Lingering { .. } => self.active_since.min(evaluation.time),
        }
    }

    /// Nanoseconds since the last evaluation that was counted, as far as somebody could look.
    pub(super) fn elapsed(&self, evaluation: &Evaluation) -> u64 {
        match self.counted_instant {
            Some(before) => nanos(evaluation.instant.saturating_duration_since(before)),
            // Down-time lies between, and the wall clock may have been set meanwhile.
            None => evaluation.time.saturating_sub(self.counted_until).min(evaluation.interval),
        }
    }

    /// For how long an alert that was taken up from the store has not been seen to hold; none once it
    /// was.
    pub(super) fn missed(&self, evaluation: &Evaluation) -> Option<Duration> {
        let since = self.missed_since.or(self.counted_instant.is_none().then_some(evaluation.instant))?;
        Some(evaluation.instant.saturating_duration_since(since))
    }

    /// Whether the two look the same once stored.
    pub(super) fn is_stored_like(&self, other: &Self) -> bool {
        let key = |alert: &Self| {
            let value = alert.value.to_bits();
            (
                alert.life,
                alert.active_since,
                alert.generation,
                value,
                alert.keep_firing_for,
                alert.counted_until,
            )
        };
        key(self) == key(other)
            && self.annotations == other.annotations
            && self.silenced_by == other.silenced_by
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Identity {
    /// The digest by which it is stored and its events are named.
    pub(super) fn digest(&self, plugin: &str) -> Digest {
        let labels = self.labels.iter().flat_map(|label| [label.name.as_bytes(), label.value.as_bytes()]);
        let rule = ["alert", plugin, &self.group, &self.rule].map(str::as_bytes);
        Digest::of_parts(rule.into_iter().chain(labels))
    }
}

/// The name of an event: the same when the same evaluation is made of the same state again.
pub(super) fn event_id(
    identity: &Digest,
    time: u64,
    generation: &Digest,
    state: crate::model::AlertState,
) -> EventId {
    EventId::derive(identity, time, generation, state as u32)
}

#[derive(Serialize, Deserialize)]
struct Stored {
    identity: Identity,
    alert: Alert,
}

/// Why a stored alert cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// It was stored by a newer agent; it stays where it is.
    #[error(
        "a stored alert of plugin `{plugin}` has version {found}, and this agent knows only up to {known}: \
         start the newer agent that stored it"
    )]
    NewerVersion {
        /// The plugin.
        plugin: String,
        /// Its first byte.
        found: u8,
        /// What this agent writes.
        known: u8,
    },
    /// Its bytes mean nothing; it is forgotten, and begins anew if it holds.
    #[error("a stored alert of plugin `{plugin}` is damaged and was forgotten: {cause}")]
    Damaged {
        /// The plugin.
        plugin: String,
        /// What the decoder says.
        cause: String,
    },
}

pub(super) fn encode(identity: &Identity, alert: &Alert) -> Vec<u8> {
    let stored = Stored { identity: identity.clone(), alert: alert.clone() };
    let mut bytes = vec![VERSION];
    rmp_serde::encode::write(&mut bytes, &stored).expect("plain data always encodes into memory");
    bytes
}

pub(super) fn decode(plugin: &str, bytes: &[u8]) -> Result<(Identity, Alert), RestoreError> {
    let damaged = |cause: &dyn std::fmt::Display| RestoreError::Damaged {
        plugin: plugin.to_owned(),
        cause: cause.to_string(),
    };
    match bytes.split_first() {
        Some((1..=VERSION, packed)) => {
            let stored: Stored = rmp_serde::from_slice(packed).map_err(|error| damaged(&error))?;
            Ok((stored.identity, stored.alert))
        }
        Some((&found, _)) if found > VERSION => {
            Err(RestoreError::NewerVersion { plugin: plugin.to_owned(), found, known: VERSION })
        }
        _ => Err(damaged(&"it has no version")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn alert(life: Life) -> Alert {
        Alert {
            life,
            active_since: 100 * STEP,
            generation: Digest::of(b"g"),
            annotations: Vec::new(),
            value: 1.0,
            keep_firing_for: 0,
            counted_until: 130 * STEP,
            silenced_by: None,
            anchor: None,
            sampled: None,
            counted_instant: None,
            missed_since: None,
        }
    }

    fn identity() -> Identity {
        let labels = vec![Label { name: "alertname".into(), value: "A".into() }];
        Identity { group: "g".into(), rule: "r".into(), labels }
    }

    #[test]
    fn what_the_version_before_has_stored_is_read() {
        /// An alert as version 1 has it.
        #[derive(Serialize)]
        struct Former {
            life: Life,
            active_since: u64,
            generation: Digest,
            annotations: Vec<Label>,
            value: f64,
            keep_firing_for: u64,
            counted_until: u64,
        }
        let alert = alert(Life::Pending { held: 30 });
        let former = Former {
            life: alert.life,
            active_since: alert.active_since,
            generation: alert.generation,
            annotations: Vec::new(),
            value: alert.value,
            keep_firing_for: alert.keep_firing_for,
            counted_until: alert.counted_until,
        };
        let mut bytes = vec![1];
        rmp_serde::encode::write(&mut bytes, &(identity(), former)).unwrap();
        assert_eq!(decode("p", &bytes).unwrap(), (identity(), alert.clone()));
        let silenced = Alert { silenced_by: Some("x".into()), ..alert };
        assert_eq!(decode("p", &encode(&identity(), &silenced)).unwrap(), (identity(), silenced));
    }

    #[test]
    fn since_when_it_is_active_goes_with_the_clock() {
        let at = |begin: Instant, wall: u64, steady: u64| Evaluation {
            group: "g".into(),
            time: wall * STEP,
            instant: begin + Duration::from_secs(steady),
            interval: 10 * STEP,
            results: Vec::new(),
        };
        let begin = Instant::now();
        let since = |alert: &Alert, wall, steady| alert.since(&at(begin, wall, steady)).0 / STEP;
        // Taken up after a restart: pending for 30 s, and one interval of the time since.
        let pending = alert(Life::Pending { held: 30 * STEP });
        assert_eq!(since(&pending, 1000, 0), 960);
        // The clock was set back meanwhile: nothing of it counts.
        assert_eq!(since(&pending, 120, 0), 90);
        let firing = alert(Life::Firing);
        assert_eq!([since(&firing, 1000, 0), since(&firing, 60, 0)], [100, 60]);
        // While the agent runs, each step moves it, up to a second all together none does.
        let (active_since, anchor) = firing.since(&at(begin, 1000, 0));
        let firing = Alert { active_since, anchor: Some(anchor), ..firing };
        assert_eq!(since(&firing, 1010, 10), 100);
        assert_eq!(since(&firing, 1010 + 3600, 10), 3700);
        assert_eq!(since(&firing, 940, 10), 30);
        assert_eq!(since(&firing, 2, 10), 0, "not before 1970");
    }
}
