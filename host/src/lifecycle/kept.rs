//! Generations to come back to after a restart: which one of each plugin served last is noted in the
//! state, the generation itself is on disk. Decides nothing about what serves while the agent runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::config::Plugin;
use super::slot::Slot;
use super::{Lifecycle, Wanted};
use crate::model::Digest;

/// The beginning of the state's names for what served last.
const LAST: &str = "generation/";

fn last(plugin: &str) -> String {
    format!("{LAST}{plugin}")
}

impl Lifecycle {
    /// Notes which generation of a plugin served last.
    pub(super) fn remember(&self, plugin: &str, generation: Digest) {
        if let Err(error) = self.deps.state.meta_put(&last(plugin), generation.0.to_vec()) {
            tracing::error!(plugin, %error, "The active generation cannot be noted; a restart may meet an older one.");
        }
    }

    /// Forgets what served last of plugins that are not wanted any more.
    pub(super) fn forget_unwanted(&self, wanted: &BTreeMap<String, Plugin>) {
        // What cannot be read or deleted now is met again at the next change.
        for (name, _) in self.deps.state.meta_scan(LAST).unwrap_or_default() {
            if name.strip_prefix(LAST).is_some_and(|plugin| !wanted.contains_key(plugin)) {
                let _ = self.deps.state.meta_delete(&name);
            }
        }
    }

    /// Deletes generations from disk that neither serve, nor may come back, nor served last. Only between
    /// two changes: a candidate is on disk before it is in the table.
    pub(super) fn delete_unused(&self) {
        let noted = match self.deps.state.meta_scan(LAST) {
            Ok(noted) => noted,
            Err(error) => {
                return tracing::warn!(%error, "Old generations are kept, since it is unknown which served last.");
            }
        };
        let noted = noted.iter().filter_map(|(_, bytes)| Some(Digest(bytes.as_slice().try_into().ok()?)));
        let kept: BTreeSet<Digest> = self.table.values().flat_map(Slot::generations).chain(noted).collect();
        if let Err(error) = self.deps.store.keep_only(&kept) {
            tracing::warn!(%error, "Old generations cannot be deleted.");
        }
    }

    /// Serves the generation that served before the last stop, since the wanted one is bad.
    pub(super) fn fall_back(&mut self, plugin: &str, bad: Option<Digest>, wanted: &Wanted<'_>) {
        let stored = match self.deps.state.meta_get(&last(plugin)) {
            Ok(Some(digest)) => digest,
            Ok(None) => return,
            Err(error) => {
                return tracing::error!(plugin, %error, "The last generation is unknown.");
            }
        };
        let Ok(digest) = <[u8; 32]>::try_from(stored.as_slice()).map(Digest) else { return };
        if bad == Some(digest) {
            return;
        }
        let loaded = self.deps.store.load(&digest).map_err(|error| error.to_string());
        let outcome = loaded.and_then(|staged| {
            let changed = self.change_together(&[Arc::new(staged)], wanted);
            changed.map_err(|all| all.into_iter().map(|(_, reason)| reason.to_string()).collect())
        });
        match outcome {
            Ok(()) => tracing::warn!(
                plugin,
                generation = digest.short(),
                "The generation that served before the last stop serves, because the wanted one is rejected."
            ),
            Err(error) => {
                tracing::error!(plugin, error, "The last generation cannot be served either.")
            }
        }
    }
}
