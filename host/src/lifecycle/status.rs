//! What an operator can see of the plugin table: which generation serves, and why another one does not.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Rejection;
use super::config::Plugin;
use super::slot::Slot;
use crate::model::{Digest, Origin, now_nanos};
use crate::pipeline::control::Control;
use crate::pipeline::generation::Generation;
use crate::pipeline::lane::LaneSender;
use crate::pipeline::work::Work;
use crate::pipeline::worker::Place;

/// Where a plugin is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PluginState {
    /// A generation serves.
    Active,
    /// It serves, but rests after failures.
    Resting,
    /// Its thread ended by a bug of the agent; another one serves after a rest.
    Ended,
    /// No generation has served since the agent started.
    Rejected,
}

/// The generation that serves.
#[derive(Clone)]
pub struct Active {
    /// Records that wait for it; log lines that it lost.
    live: Live,
    /// Of component, configuration and assets.
    pub generation: Digest,
    /// Of the component alone.
    pub component: Digest,
    /// The component's file.
    pub file: PathBuf,
    /// The plugin's own version.
    pub version: String,
    /// The kinds that it exports.
    pub kinds: Vec<String>,
    /// The sources that feed it.
    pub sources: Vec<String>,
    /// Since when it serves, Unix time in nanoseconds.
    pub since: u64,
    /// Whether its first call has succeeded.
    pub proven: bool,
    /// This generation, and the one that comes back if this one fails.
    pub kept: Vec<Digest>,
}

/// Handles on what serves, for figures that change all the time.
#[derive(Clone)]
struct Live {
    lane: LaneSender<Work, Control>,
    generation: Arc<Generation>,
}

impl Active {
    /// Bytes of records that wait for the plugin.
    pub fn waiting_bytes(&self) -> u64 {
        self.live.lane.waiting() as u64
    }

    /// Log lines above the generation's rate.
    pub fn log_lines_dropped(&self) -> u64 {
        self.live.generation.linked.counts().log_dropped
    }
}

/// A generation that does not serve, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its digest; none when its files could not be read.
    pub generation: Option<Digest>,
    /// The step that failed.
    pub step: &'static str,
    /// What happened, where, and what to do.
    pub reason: String,
    /// Unix time in nanoseconds.
    pub time: u64,
}

/// Something a plugin could not process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blame {
    /// The generation that failed.
    pub origin: Origin,
    /// What it failed on.
    pub place: Place,
    /// How the call failed.
    pub reason: String,
    /// Unix time in nanoseconds.
    pub time: u64,
}

/// One plugin.
#[derive(Clone)]
pub struct PluginStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Where it is in its life.
    pub state: PluginState,
    /// What serves.
    pub active: Option<Active>,
    /// The last generation that was rejected, unless a later one serves.
    pub rejected: Option<Rejected>,
    /// Until when it rests, Unix time in nanoseconds.
    pub rests_until: Option<u64>,
    /// Failures, or ends of its thread, in a row that made it rest.
    pub failures: u32,
    /// What it could not process last.
    pub blame: Option<Blame>,
}

impl PluginStatus {
    /// It rests for so long after so many failures, or it does not.
    fn rests(&mut self, rests: Option<(u32, Duration)>, resting: PluginState, working: PluginState) {
        let nanos = |pause: Duration| u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
        self.state = if rests.is_some() { resting } else { working };
        self.failures = rests.map_or(0, |(failures, _)| failures);
        self.rests_until = rests.map(|(_, pause)| now_nanos().saturating_add(nanos(pause)));
    }
}

/// All plugins; clones share them.
#[derive(Clone, Default)]
pub struct Statuses(Arc<Mutex<BTreeMap<String, PluginStatus>>>);

impl Statuses {
    /// As they are now, by name.
    pub fn all(&self) -> Vec<PluginStatus> {
        self.lock().values().cloned().collect()
    }

    /// One of them as it is now.
    pub fn get(&self, plugin: &str) -> Option<PluginStatus> {
        self.lock().get(plugin).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, PluginStatus>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, plugin: &str, change: impl FnOnce(&mut PluginStatus)) {
        change(self.lock().entry(plugin.to_owned()).or_insert_with(|| PluginStatus {
            name: plugin.to_owned(),
            state: PluginState::Rejected,
            active: None,
            rejected: None,
            rests_until: None,
            failures: 0,
            blame: None,
        }));
    }

    pub(super) fn active(&self, slot: &Slot) {
        let (generation, section) = (slot.generation(), slot.section());
        self.with(&generation.origin.plugin, |status| {
            status.state = PluginState::Active;
            status.rejected = None;
            status.rests_until = None;
            status.active = Some(Active {
                live: Live { lane: slot.lane.clone(), generation: generation.clone() },
                generation: generation.origin.generation,
                component: slot.component(),
                file: section.component.clone(),
                version: generation.version.clone(),
                kinds: generation.kinds.iter().map(ToString::to_string).collect(),
                sources: section.sources.clone(),
                since: now_nanos(),
                proven: false,
                kept: slot.generations(),
            });
        });
    }

    pub(super) fn proven(&self, origin: &Origin) {
        self.with(&origin.plugin, |status| {
            if let Some(active) = &mut status.active {
                active.proven |= active.generation == origin.generation;
            }
        });
    }

    /// The wanted generation serves: an earlier rejection is history.
    pub(super) fn settled(&self, plugin: &str) {
        self.with(plugin, |status| status.rejected = None);
    }

    /// Notes a rejection; says whether it is news.
    pub(super) fn rejected(&self, plugin: &str, generation: Option<Digest>, rejection: &Rejection) -> bool {
        let mut news = false;
        self.with(plugin, |status| {
            let reason = rejection.to_string();
            let known = |old: &Rejected| old.generation == generation && old.reason == reason;
            news = !status.rejected.as_ref().is_some_and(known);
            if news {
                let step = rejection.step();
                status.rejected = Some(Rejected { generation, step, reason, time: now_nanos() });
            }
        });
        news
    }

    pub(super) fn circuit(&self, plugin: &str, open: Option<(u32, Duration)>) {
        self.with(plugin, |status| {
            let serves = if status.active.is_some() { PluginState::Active } else { PluginState::Rejected };
            status.rests(open, PluginState::Resting, serves);
        });
    }

    /// Another thread serves the same, after a pause.
    pub(super) fn ended(&self, slot: &Slot, pause: Duration) {
        self.with(&slot.generation().origin.plugin, |status| {
            if let Some(active) = &mut status.active {
                active.live.lane = slot.lane.clone();
            }
            let rests = Some((slot.ends.in_a_row(), pause));
            status.rests(rests, PluginState::Ended, PluginState::Active);
        });
    }

    pub(super) fn blamed(&self, blame: Blame) {
        let plugin = blame.origin.plugin.clone();
        self.with(&plugin, |status| status.blame = Some(blame));
    }

    pub(super) fn removed(&self, plugin: &str) {
        self.lock().remove(plugin);
    }

    pub(super) fn retain(&self, wanted: &BTreeMap<String, Plugin>) {
        self.lock().retain(|name, _| wanted.contains_key(name));
    }
}
