//! Removes what nobody needs any more: expired values, removed plugins, scan caches of old generations
//! (what is not used any more of those that serve is removed by `remembered`). Each call
//! does a bounded piece of work, so that commits need not wait long; call again while it returns as
//! much as it was allowed.

use std::collections::BTreeSet;

use super::apply::Changes;
use super::{State, StateError, keys};
use crate::model::Digest;

/// Where something is kept of each plugin.
const OF_PLUGINS: [u8; 6] =
    [keys::PLUGIN, keys::ACCOUNT, keys::CHECKPOINT, keys::SNAPSHOT, keys::ALERT, keys::SCANNED];

impl State {
    /// Removes up to `limit` plugin values that have expired by `now` (Unix time in nanoseconds), the
    /// oldest first. Returns how many.
    pub fn purge_expired(&self, now: u64, limit: usize) -> Result<usize, StateError> {
        let mut purged = 0;
        self.change(|changes| {
            for (index, _) in self.table().scan(&[keys::EXPIRY], None, limit)? {
                let damaged = || StateError::Damaged { what: format!("the expiry index {index:02x?}") };
                let (expires, own) = keys::split_expiry(&index).ok_or_else(damaged)?;
                if expires > now {
                    break;
                }
                let (plugin, key) = keys::split_plugin(&own).ok_or_else(damaged)?;
                changes.set(plugin, key, None)?;
                changes.remove(index)?;
                purged += 1;
            }
            Ok(())
        })?;
        Ok(purged)
    }

    /// Removes up to `limit` entries of a plugin's scan cache that were made by other generations than
    /// those to keep. Returns how many.
    pub fn purge_scanned(&self, plugin: &str, keep: &[Digest], limit: usize) -> Result<usize, StateError> {
        let kept: Vec<Vec<u8>> = keep.iter().map(|generation| keys::scanned_by(plugin, generation)).collect();
        let mut purged = 0;
        self.change(|changes| {
            let all = keys::of_plugin(keys::SCANNED, plugin);
            let mut after = None;
            while purged < limit {
                let page = self.table().scan(&all, after.as_deref(), limit)?;
                let Some((last, _)) = page.last() else { break };
                // A kept generation is stepped over, not walked through.
                let step = kept.iter().find(|prefix| last.starts_with(prefix));
                after = Some(step.map_or_else(|| last.clone(), |prefix| [&prefix[..], &[0xff; 33]].concat()));
                for (key, _) in page {
                    if purged < limit && !kept.iter().any(|prefix| key.starts_with(prefix)) {
                        changes.remove(key)?;
                        purged += 1;
                    }
                }
            }
            Ok(())
        })?;
        Ok(purged)
    }

    /// The plugins of which anything is kept.
    pub fn plugins(&self) -> Result<BTreeSet<String>, StateError> {
        let mut found = BTreeSet::new();
        for namespace in OF_PLUGINS {
            self.plugins_in(namespace, &mut found)?;
        }
        Ok(found)
    }

    /// The plugins that have alerts.
    pub fn plugins_with_alerts(&self) -> Result<BTreeSet<String>, StateError> {
        let mut found = BTreeSet::new();
        self.plugins_in(keys::ALERT, &mut found)?;
        Ok(found)
    }

    /// Steps from plugin to plugin: reads one entry of each.
    fn plugins_in(&self, namespace: u8, found: &mut BTreeSet<String>) -> Result<(), StateError> {
        let mut after: Option<Vec<u8>> = None;
        while let Some((key, _)) = self.current()?.scan(&[namespace], after.as_deref(), 1)?.pop() {
            after = Some(match keys::split_plugin(&key) {
                Some((plugin, _)) => {
                    found.insert(plugin.to_owned());
                    keys::behind_plugin(namespace, plugin)
                }
                None => key,
            });
        }
        Ok(())
    }

    /// Removes up to `limit` entries of a plugin that was removed for good: its own state, snapshot,
    /// checkpoints, alerts and scan cache. Returns how many.
    pub fn forget_plugin(&self, plugin: &str, limit: usize) -> Result<usize, StateError> {
        let mut forgotten = 0;
        self.change(|changes| {
            let own = keys::of_plugin(keys::PLUGIN, plugin);
            for (key, _) in self.table().scan(&own, None, limit)? {
                changes.set(plugin, keys::rest(&key, &own)?, None)?;
                forgotten += 1;
            }
            for namespace in [keys::CHECKPOINT, keys::ALERT, keys::SCANNED] {
                let prefix = keys::of_plugin(namespace, plugin);
                for (key, _) in self.table().scan(&prefix, None, limit.saturating_sub(forgotten))? {
                    changes.remove(key)?;
                    forgotten += 1;
                }
            }
            if forgotten < limit {
                changes.remove(keys::snapshot(plugin))?;
                changes.remove(keys::plugin_bytes(plugin))?;
            }
            Ok(())
        })?;
        Ok(forgotten)
    }

    /// Makes changes outside of a commit.
    pub(super) fn change(
        &self,
        make: impl FnOnce(&mut Changes<'_>) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let _writer = self.lock();
        let mut changes = Changes::new(self.current()?);
        make(&mut changes)?;
        match changes.len() {
            0 => Ok(()),
            _ => self.table().apply(changes.into_batch()),
        }
    }
}
