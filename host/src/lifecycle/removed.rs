//! What is left of plugins that are not configured any more: their alerts end, so that nobody waits for them,
//! and after a grace all that the state keeps of them is forgotten.
//!
//! A worker that ends in order ends its plugin's alerts itself. This is for all others: the plugin was removed
//! while the agent did not run, or its worker rested, did not come back, or could not commit. What fails is
//! tried again at the next look.
//!
//! Runs between changes of the plugin table, in their thread, so that no plugin comes back in the middle. That
//! thread must not wait for ever, as a commit may while the state fails: what is not answered soon is left on
//! its way, and until it is answered the plugin does not come back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::config::Plugin;
use super::{AlertDeps, Lifecycle, Rejection};
use crate::alerts::{Accept, Alerts};
use crate::model::now_nanos;
use crate::pipeline::commit::{Commit, Committer, Submitted};
use crate::state::{State, StateError};

/// How long the state of a removed plugin is kept: as long as the places in files that are gone. A plugin that
/// was removed by mistake has its memory and its places when it is put back within that time.
const KEEP: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long all commits of one look may take together: the control loop does nothing else meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);
/// Text of alerts that end in one commit; with what is around it, less than the journal's largest record.
const END_BYTES: usize = 8 << 20;
/// Entries of the state that are removed at once: some milliseconds in which a commit waits.
const PIECE: usize = 1_000;
/// Pieces in one look: a large scan cache takes some more of them.
const PIECES: usize = 10;
/// The beginning of the state's names for since when a plugin is not configured.
const SINCE: &str = "removed/";

/// See the module's description.
pub(super) struct Removed {
    state: State,
    committer: Committer,
    alerts: AlertDeps,
    /// None until it is said which.
    configured: Option<BTreeSet<String>>,
    /// Commits that are not answered yet, by plugin.
    ending: BTreeMap<String, Ending>,
    /// Plugins whose alerts cannot be read, which is in the log already.
    told: BTreeSet<String>,
    patience: Duration,
}

/// Some of a plugin's alerts on their way out.
struct Ending {
    alerts: Alerts,
    accept: Accept,
    submitted: Submitted,
}

/// What a commit came to.
enum Answer {
    /// It is done, or there was none.
    Done,
    /// Nothing of it has happened.
    Failed,
    /// It is not known yet.
    Waits,
}

impl Lifecycle {
    /// Looks after plugins that are not configured any more. To be called now and then; `now` is Unix time in
    /// nanoseconds.
    pub fn look_after_removed(&mut self, now: u64) {
        self.removed.look(now);
    }

    /// These are configured from now on.
    pub(super) fn configured(&mut self, plugins: &BTreeMap<String, Plugin>) {
        self.removed.configured = Some(plugins.keys().cloned().collect());
        self.look_after_removed(now_nanos());
    }

    /// Whether a plugin may come back: not before it is known which of its alerts have ended.
    pub(super) fn may_come_back(&mut self, plugin: &str) -> Result<(), Rejection> {
        match self.removed.settle(plugin, Instant::now() + PATIENCE) {
            Answer::Done | Answer::Failed => Ok(()),
            Answer::Waits => Err(Rejection::Snapshot(
                "its alerts are ending since it was removed, and that is not committed yet".to_owned(),
            )),
        }
    }
}

impl Removed {
    /// Does nothing until it is said which plugins are configured.
    pub(super) fn new(state: State, committer: Committer, alerts: AlertDeps) -> Self {
        Self {
            state,
            committer,
            alerts,
            configured: None,
            ending: BTreeMap::new(),
            told: BTreeSet::new(),
            patience: PATIENCE,
        }
    }

    fn look(&mut self, now: u64) {
        let Some(configured) = self.configured.clone() else { return };
        let looked = self.end_alerts(&configured, now).and_then(|()| self.forget(&configured, now));
        if let Err(error) = looked {
            tracing::warn!(%error, "What is kept of removed plugins cannot be looked at; it is tried again.");
        }
    }

    fn end_alerts(&mut self, configured: &BTreeSet<String>, now: u64) -> Result<(), StateError> {
        let until = Instant::now() + self.patience;
        let mut gone = self.state.plugins_with_alerts()?;
        gone.extend(self.ending.keys().cloned());
        for plugin in gone.difference(configured) {
            while let Answer::Done = self.settle(plugin, until) {
                let Some(ending) = self.end_some(plugin, now)? else { break };
                self.ending.insert(plugin.clone(), ending);
            }
        }
        Ok(())
    }

    /// Takes in what the commit under way came to.
    fn settle(&mut self, plugin: &str, until: Instant) -> Answer {
        let Some(mut ending) = self.ending.remove(plugin) else { return Answer::Done };
        match ending.submitted.wait(until) {
            Some(Ok(_)) => {
                ending.alerts.accept(ending.accept);
                tracing::info!(plugin, "Alerts of a plugin that was removed have ended.");
                Answer::Done
            }
            Some(Err(error)) => {
                failed(plugin, &error);
                Answer::Failed
            }
            None => {
                self.ending.insert(plugin.to_owned(), ending);
                Answer::Waits
            }
        }
    }

    /// Hands in the end of alerts that are stored for a plugin; none when there is nothing left to end.
    fn end_some(&mut self, plugin: &str, now: u64) -> Result<Option<Ending>, StateError> {
        let AlertDeps { config, active, silences, metrics } = &self.alerts;
        let stored = self.state.alerts(plugin)?;
        let (alerts, errors) = Alerts::restore(plugin, stored, *config, active, silences, metrics);
        if let Some(error) = errors.first()
            && self.told.insert(plugin.to_owned())
        {
            tracing::error!(plugin, %error, "An alert of a plugin that was removed cannot be read and does not end.");
        }
        let change = alerts.end_some(now, END_BYTES);
        if change.is_empty() {
            return Ok(None);
        }
        // Their series end with the plugin's others, or by themselves when it was removed before the start.
        match self.committer.submit(Commit { frames: change.frames, writes: change.writes }) {
            Ok(submitted) => Ok(Some(Ending { alerts, accept: change.accept, submitted })),
            Err(error) => {
                failed(plugin, &error);
                Ok(None)
            }
        }
    }

    /// Forgets what is kept of plugins that have not been configured for long enough.
    fn forget(&self, configured: &BTreeSet<String>, now: u64) -> Result<(), StateError> {
        let kept = self.state.plugins()?;
        for plugin in kept.difference(configured).filter(|plugin| !self.ending.contains_key(*plugin)) {
            let name = format!("{SINCE}{plugin}");
            let since = self.state.meta_get(&name)?.and_then(|bytes| bytes.try_into().ok());
            match since.map(u64::from_le_bytes).filter(|since| *since <= now) {
                Some(since) if u128::from(now - since) >= KEEP.as_nanos() => self.forget_some(plugin)?,
                Some(_) => {}
                None => self.state.meta_put(&name, now.to_le_bytes().to_vec())?,
            }
        }
        for (name, _) in self.state.meta_scan(SINCE)? {
            let plugin = name.strip_prefix(SINCE).unwrap_or_default();
            if configured.contains(plugin) || !kept.contains(plugin) {
                self.state.meta_delete(&name)?;
            }
        }
        Ok(())
    }

    fn forget_some(&self, plugin: &str) -> Result<(), StateError> {
        let mut entries = 0;
        for _ in 0..PIECES {
            let forgotten = self.state.forget_plugin(plugin, PIECE)?;
            entries += forgotten;
            if forgotten < PIECE {
                tracing::info!(
                    plugin,
                    "All that was kept of a plugin that was removed long ago is forgotten."
                );
                return Ok(());
            }
        }
        tracing::debug!(plugin, entries, "What was kept of a removed plugin is forgotten piece by piece.");
        Ok(())
    }
}

fn failed(plugin: &str, error: &dyn std::fmt::Display) {
    tracing::warn!(
        plugin, %error,
        "The end of alerts of a plugin that was removed cannot be committed; it is tried again."
    );
}

#[cfg(test)]
#[path = "removed_tests.rs"]
mod tests;
