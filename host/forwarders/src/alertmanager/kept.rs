//! What the forwarder remembers: which alerts fire, and which have ended lately. It is the forwarder's note.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use picket_model::{AlertEvent, AlertState, Digest, Label};
use serde::{Deserialize, Serialize};

use super::encode::{self, Alert, Generator, Pairs};

/// The most alerts that are remembered. A node with more has one cause behind them, which the first ones tell.
pub const MAX_KEPT: usize = 10_000;
/// The most bytes of the note: it is stored anew with each batch that changes an alert.
pub const MAX_NOTE: usize = 2 << 20;
/// How long an end is repeated, as in Prometheus: an Alertmanager that was away for so long has ended the
/// alert by itself.
const RESOLVED_FOR: Duration = Duration::from_secs(15 * 60);
/// The note's first byte.
const VERSION: u8 = 1;

/// The newest state of one alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Life {
    plugin: String,
    group: String,
    rule: String,
    labels: Vec<Label>,
    annotations: Vec<Label>,
    active_since: u64,
    resolved: Option<Resolved>,
}

/// An alert's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Resolved {
    /// Unix time in nanoseconds.
    at: u64,
    /// Unix time in nanoseconds until when the end is repeated.
    repeat_until: u64,
}

/// What goes with every alert.
pub(super) struct Words {
    pub(super) node: String,
    pub(super) generator: Option<Generator>,
    /// How long a firing alert lasts that is not repeated.
    pub(super) valid_for: Duration,
}

/// Alerts by plugin, group, rule and labels, within bounds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    alerts: BTreeMap<Digest, Life>,
    /// The sum of their sizes.
    bytes: usize,
}

/// A note that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoteError {
    #[error("it has version {0}, and this agent knows {VERSION} and below")]
    Newer(u8),
    #[error("{0}")]
    Damaged(#[from] rmp_serde::decode::Error),
}

impl Life {
    /// The state that a change leads to; none for pending alerts, which nobody is told of.
    pub(super) fn of(event: &AlertEvent, now: u64) -> Option<Self> {
        let repeat_until = now.saturating_add(RESOLVED_FOR.as_nanos() as u64);
        let resolved = match event.state {
            AlertState::Pending => return None,
            AlertState::Firing => None,
            AlertState::Resolved => Some(Resolved { at: event.time, repeat_until }),
        };
        Some(Self {
            plugin: event.origin.plugin.clone(),
            group: event.group.clone(),
            rule: event.rule.clone(),
            labels: event.labels.clone(),
            annotations: event.annotations.clone(),
            active_since: event.active_since,
            resolved,
        })
    }

    /// The same for all states of one alert.
    pub(super) fn key(&self) -> Digest {
        let names = [&self.plugin, &self.group, &self.rule].into_iter();
        let labels = self.labels.iter().flat_map(|label| [&label.name, &label.value]);
        Digest::of_parts(names.chain(labels).map(|text| text.as_bytes()))
    }

    /// It has not ended.
    pub(super) fn is_firing(&self) -> bool {
        self.resolved.is_none()
    }

    /// As it is said now.
    pub(super) fn alert(&self, words: &Words, now: u64) -> Alert {
        let (starts_at, ends_at) = match self.resolved {
            None => encode::firing_times(self.active_since, now, words.valid_for),
            Some(end) => encode::resolved_times(self.active_since, end.at, now),
        };
        let url = |generator: &Generator| generator.url(&self.plugin, &self.group, &self.rule, &words.node);
        Alert {
            labels: encode::labels(&self.labels, &self.rule, &words.node),
            annotations: encode::annotations(&self.annotations),
            starts_at,
            ends_at,
            generator_url: words.generator.as_ref().map(url).unwrap_or_default(),
        }
    }

    /// About as many bytes as it takes in the note.
    fn size(&self) -> usize {
        let pairs = self.labels.iter().chain(&self.annotations);
        let pairs: usize = pairs.map(|pair| pair.name.len() + pair.value.len() + 8).sum();
        self.plugin.len() + self.group.len() + self.rule.len() + pairs + 48
    }
}

impl Kept {
    /// From a note; from an empty one nothing.
    pub(super) fn read(note: &[u8]) -> Result<Self, NoteError> {
        let mut kept = Self::default();
        let Some((version, packed)) = note.split_first() else { return Ok(kept) };
        if *version > VERSION {
            return Err(NoteError::Newer(*version));
        }
        let lives: Vec<Life> = rmp_serde::from_slice(packed)?;
        for life in lives {
            kept.put(life);
        }
        Ok(kept)
    }

    /// As a note.
    pub(super) fn note(&self) -> Vec<u8> {
        let lives: Vec<&Life> = self.alerts.values().collect();
        let mut note = vec![VERSION];
        rmp_serde::encode::write(&mut note, &lives).expect("plain data always encodes into memory");
        note
    }

    /// Puts a newer state in the place of an alert's older one. False when a firing one found no room and will
    /// not be repeated. For its sake ends are forgotten, which were told once already.
    pub(super) fn put(&mut self, life: Life) -> bool {
        let key = life.key();
        self.remove(&key);
        if !self.has_room_for(&life) {
            if !life.is_firing() {
                return true;
            }
            self.keep_only(Life::is_firing);
            if !self.has_room_for(&life) {
                return false;
            }
        }
        self.bytes += life.size();
        self.alerts.insert(key, life);
        true
    }

    /// Forgets an alert.
    pub(super) fn remove(&mut self, key: &Digest) {
        if let Some(old) = self.alerts.remove(key) {
            self.bytes -= old.size();
        }
    }

    /// Forgets the ends that need no more repeating.
    pub(super) fn expire(&mut self, now: u64) {
        self.keep_only(|life| life.resolved.is_none_or(|end| end.repeat_until > now));
    }

    /// All of them but some as they are said now: one for each set of labels, of which firing ones go first.
    pub(super) fn alerts(&self, words: &Words, now: u64, but: &BTreeSet<Digest>) -> Vec<Alert> {
        let mut alerts: BTreeMap<Pairs, Alert> = BTreeMap::new();
        let told = self.alerts.iter().filter(|(key, _)| !but.contains(*key)).map(|(_, life)| life);
        let (firing, ended): (Vec<&Life>, Vec<&Life>) = told.partition(|life| life.is_firing());
        for life in firing.into_iter().chain(ended) {
            let alert = life.alert(words, now);
            alerts.entry(alert.labels.clone()).or_insert(alert);
        }
        alerts.into_values().collect()
    }

    /// Under which labels something fires, apart from some alerts.
    pub(super) fn firing_labels(&self, words: &Words, but: &BTreeSet<Digest>) -> BTreeSet<Pairs> {
        let fires = |(key, life): &(&Digest, &Life)| life.is_firing() && !but.contains(*key);
        let labels = |(_, life): (&Digest, &Life)| encode::labels(&life.labels, &life.rule, &words.node);
        self.alerts.iter().filter(fires).map(labels).collect()
    }

    fn keep_only(&mut self, wanted: impl Fn(&Life) -> bool) {
        self.alerts.retain(|_, life| wanted(life));
        self.bytes = self.alerts.values().map(Life::size).sum();
    }

    fn has_room_for(&self, life: &Life) -> bool {
        self.alerts.len() < MAX_KEPT && self.bytes + life.size() <= MAX_NOTE
    }
}
