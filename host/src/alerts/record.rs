//! An alert as it is kept: in memory with all that its next evaluation needs, in the state store
//! as MessagePack behind a version byte.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::evaluation::Evaluation;
use super::life::Life;
use crate::model::{Digest, EventId, Label};

/// The first byte of a stored alert.
const VERSION: u8 = 1;

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
    /// Wall-clock time of the evaluation at which it began; Unix time in nanoseconds.
    pub(super) active_since: u64,
    /// The generation that last found that it holds.
    pub(super) generation: Digest,
    pub(super) annotations: Vec<Label>,
    pub(super) value: f64,
    pub(super) keep_firing_for: u64,
    /// Wall-clock time up to which `life` has counted; it stands still while nothing is counted.
    pub(super) counted_until: u64,
    /// The same by the steady clock, which ends with the process.
    #[serde(skip)]
    pub(super) counted_instant: Option<Instant>,
    /// The first evaluation since the alert was taken up from the store, until it holds again.
    #[serde(skip)]
    pub(super) missed_since: Option<Instant>,
}

impl Alert {
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
        key(self) == key(other) && self.annotations == other.annotations
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
        Some((&VERSION, packed)) => {
            let stored: Stored = rmp_serde::from_slice(packed).map_err(|error| damaged(&error))?;
            Ok((stored.identity, stored.alert))
        }
        Some((&found, _)) if found > VERSION => {
            Err(RestoreError::NewerVersion { plugin: plugin.to_owned(), found, known: VERSION })
        }
        _ => Err(damaged(&"it has no version")),
    }
}
