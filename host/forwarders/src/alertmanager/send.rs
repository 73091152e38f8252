//! Tells changes when they come, and everything now and then.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use picket_model::{Digest, Frame, FrameKind, now_nanos};

use super::config::{Config, ConfigError};
use super::encode::{Alert, Pairs};
use super::kept::{Kept, Life, MAX_KEPT, NoteError, Words};
use super::peers::{Peers, What};
use crate::{Batch, Forwarder, Link, Refused, SendError, Sent};
use picket_http::Client;

/// When everything is told first after a start. What a crash left half-done comes before, so that no end that an
/// Alertmanager knows is taken back; and of the four times `resend` that alerts last, little is used up.
const FIRST_AFTER: Duration = Duration::from_secs(10);

/// The `alertmanager` forwarder's hands.
pub struct AlertmanagerForwarder {
    peers: Peers,
    words: Words,
    /// How often everything is told.
    resend: Duration,
    pub(super) kept: Kept,
    /// When everything is told next.
    pub(super) due: Instant,
    /// Alerts of which a newer state may have reached a peer than the one that is remembered: their batch was
    /// tried and is not accepted yet. Told once more, the older state would begin an alert anew that has ended.
    unsettled: BTreeSet<Digest>,
    /// Some alert was told once and will not be repeated; nobody needs to hear that again.
    overflowed: bool,
}

/// The newest state of an alert that a batch changes.
struct Change {
    /// Its place in the batch.
    frame: usize,
    key: Digest,
    life: Life,
}

impl AlertmanagerForwarder {
    /// Reads certificates and secrets; connects to nothing.
    pub fn new(config: &Config, link: &Link) -> Result<Self, ConfigError> {
        config.check_kinds()?;
        let peers = Peers::new(Client::new(&config.http, link)?, config.pages()?);
        let generator = config.generator()?;
        let words = Words { node: link.node.to_string(), generator, valid_for: config.valid_for() };
        let (due, unsettled) = (Instant::now() + FIRST_AFTER, BTreeSet::new());
        let resend = config.resend_every();
        Ok(Self { peers, words, resend, kept: Kept::default(), due, unsettled, overflowed: false })
    }

    /// What a batch says about each alert in the end, and which are silent then.
    fn changes(batch: &Batch, now: u64) -> (Vec<Change>, Vec<Digest>) {
        let mut newest = BTreeMap::new();
        for (frame, alert) in batch.frames.iter().enumerate() {
            if let Frame::Alert(event) = alert
                && let Some(life) = Life::of(event, now)
            {
                newest.insert(life.key(), (frame, event.silenced_by.is_none().then_some(life)));
            }
        }
        let (mut changes, mut silent) = (Vec::new(), Vec::new());
        for (key, (frame, life)) in newest {
            match life {
                Some(life) => changes.push(Change { frame, key, life }),
                None => silent.push(key),
            }
        }
        changes.sort_unstable_by_key(|change: &Change| change.frame);
        (changes, silent)
    }

    /// What the peers are told, with the place in the batch. To an Alertmanager alerts of two rules with the same
    /// labels are one: it does not end before both do.
    fn said(&self, changes: &[Change], silent: &[Digest], now: u64) -> Vec<(usize, Alert)> {
        let mut said: BTreeMap<Pairs, (usize, Alert)> = BTreeMap::new();
        let (firing, ended): (Vec<&Change>, Vec<&Change>) =
            changes.iter().partition(|change| change.life.is_firing());
        let still_firing = match ended.is_empty() {
            true => BTreeSet::new(),
            false => {
                let changed = changes.iter().map(|change| change.key).chain(silent.iter().copied()).collect();
                self.kept.firing_labels(&self.words, &changed)
            }
        };
        for change in firing.into_iter().chain(ended) {
            let alert = change.life.alert(&self.words, now);
            if change.life.is_firing() || !still_firing.contains(&alert.labels) {
                said.entry(alert.labels.clone()).or_insert((change.frame, alert));
            }
        }
        said.into_values().collect()
    }

    /// Remembers what was accepted.
    fn keep(&mut self, changes: Vec<Change>, refused: &[Refused]) {
        for change in changes {
            if refused.iter().any(|refused| refused.frame == change.frame) {
                self.kept.remove(&change.key);
            } else if !self.kept.put(change.life) && !self.overflowed {
                self.overflowed = true;
                tracing::warn!(
                    "More than {MAX_KEPT} alerts, or very large ones, fire at once: some were sent to the \
                     Alertmanagers, but are not repeated and will end there by themselves; look for the rule \
                     that makes them."
                );
            }
        }
    }
}

impl Forwarder for AlertmanagerForwarder {
    fn wants(&self, kind: FrameKind) -> bool {
        kind == FrameKind::Alert
    }

    /// Nothing is taken back from the Alertmanagers: what is told twice is the same as told once, and the next
    /// batch tells what came after the note.
    fn resume(&mut self, note: &[u8]) -> Result<(), SendError> {
        self.kept = match Kept::read(note) {
            Ok(kept) => kept,
            Err(error @ NoteError::Newer(_)) => {
                return Err(SendError::unusable(format!(
                    "what is stored about the alerts that fire was written by a newer agent: {error}; run that \
                     one, or give this forwarder another name to begin anew"
                )));
            }
            Err(NoteError::Damaged(error)) => {
                tracing::error!(%error, "What is stored about the alerts that fire cannot be read: those that fire \
                    now are not repeated and will end in the Alertmanagers, new ones are not affected.");
                Kept::default()
            }
        };
        Ok(())
    }

    fn prepare(&mut self) -> Result<Option<Vec<u8>>, SendError> {
        let now = now_nanos();
        self.kept.expire(now);
        if Instant::now() < self.due && !self.peers.has_one_behind() {
            return Ok(None);
        }
        let alerts = self.kept.alerts(&self.words, now, &self.unsettled);
        if alerts.is_empty() {
            return Ok(None);
        }
        // A peer that hangs takes its time, which does not put off the next repeat.
        let begun = Instant::now();
        let bad = self.peers.deliver(&alerts, What::Everything)?;
        if let Some((_, reason)) = bad.first() {
            tracing::warn!(alerts = bad.len(), reason, "Alerts that were accepted before are refused now.");
        }
        self.due = begun + self.resend;
        Ok(None)
    }

    /// Silenced alerts are neither told nor repeated; the end of a silence comes as an event of its own. There is
    /// no memory of batches that failed half-way: the batch is told again with the times of then.
    fn send(&mut self, batch: &Batch) -> Result<Sent, SendError> {
        let now = now_nanos();
        let (changes, silent) = Self::changes(batch, now);
        let said = self.said(&changes, &silent, now);
        let (frames, alerts): (Vec<usize>, Vec<Alert>) = said.into_iter().unzip();
        if changes.is_empty() && silent.is_empty() {
            return Ok(Sent::all());
        }
        self.unsettled = changes.iter().map(|change| change.key).chain(silent.iter().copied()).collect();
        let bad = match alerts.is_empty() {
            true => Vec::new(),
            false => self.peers.deliver(&alerts, What::Changes)?,
        };
        let mut refused: Vec<Refused> =
            bad.into_iter().map(|(at, reason)| Refused { frame: frames[at], reason }).collect();
        self.unsettled.clear();
        refused.sort_unstable_by_key(|refused| refused.frame);
        self.keep(changes, &refused);
        // Not repeated, a silent one ends by itself where it was told before.
        silent.iter().for_each(|key| self.kept.remove(key));
        Ok(Sent { note: Some(self.kept.note()), refused, ..Sent::default() })
    }

    fn probe(&mut self) -> Result<String, SendError> {
        self.peers.probe()
    }
}
