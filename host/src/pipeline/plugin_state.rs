//! A plugin's view of its key-value store while a round is in hand.
//!
//! The sandbox overlays the writes of the running call; the ones of the round's earlier calls are kept here
//! until they are committed (then the state has them) or the round starts over (then they
//! never happened). Reads see the newest of both.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use picket_sandbox::{Entry, StateReader, StateWrite, Unavailable};

use crate::model::now_nanos;
use crate::state::State;

/// Value and expiry of a written key, or none when it was deleted.
type Pending = BTreeMap<Vec<u8>, Option<(Vec<u8>, Option<u64>)>>;

/// See the module's description.
pub struct PluginState {
    state: State,
    plugin: String,
    // Reader and writer are the same thread; the lock is never contended.
    pending: Mutex<Pending>,
}

impl PluginState {
    /// The view of one plugin.
    pub fn new(state: State, plugin: impl Into<String>) -> Self {
        Self { state, plugin: plugin.into(), pending: Mutex::default() }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the writes of a call that succeeded.
    pub fn keep(&self, writes: &[StateWrite]) {
        let mut pending = self.pending();
        for write in writes {
            match write {
                StateWrite::Set { key, value, expires } => {
                    pending.insert(key.clone(), Some((value.clone(), *expires)))
                }
                StateWrite::Delete { key } => pending.insert(key.clone(), None),
            };
        }
    }

    /// Drops the writes: they are committed, or will never be.
    pub fn forget_pending(&self) {
        self.pending().clear();
    }

    /// The stored snapshot and the version that wrote it; both empty when there is none.
    pub fn snapshot(&self) -> Result<(Vec<u8>, String), String> {
        let snapshot = self.state.snapshot(&self.plugin).map_err(|error| error.to_string())?;
        Ok(snapshot.map(|snapshot| (snapshot.bytes, snapshot.version)).unwrap_or_default())
    }
}

/// Whether a written value is still there at a moment.
fn alive(expires: Option<u64>, now: u64) -> bool {
    expires.is_none_or(|expires| expires > now)
}

impl StateReader for PluginState {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        let now = now_nanos();
        match self.pending().get(key) {
            Some(Some((value, expires))) => return Ok(alive(*expires, now).then(|| value.clone())),
            Some(None) => return Ok(None),
            None => {}
        }
        self.state.plugin_get(&self.plugin, key, now).map_err(unavailable)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, Unavailable> {
        let now = now_nanos();
        let pending = self.pending();
        let mut after = after.map(<[u8]>::to_vec);
        loop {
            let committed = self
                .state
                .plugin_scan(&self.plugin, prefix, after.as_deref(), limit, now)
                .map_err(unavailable)?;
            let bound = committed.last().map(|(key, _)| key.clone());
            let merged = merge(&pending, committed, prefix, after.as_deref(), bound.as_deref(), limit, now);
            // Everything committed here was deleted by the round: the next part may hold more.
            if merged.is_empty() && bound.is_some() {
                after = bound;
                continue;
            }
            return Ok(merged);
        }
    }

    fn bytes_used(&self) -> u64 {
        let now = now_nanos();
        // A state that cannot be read refuses the write itself a moment later.
        let mut used = self.state.plugin_bytes(&self.plugin).unwrap_or(0);
        for (key, written) in self.pending().iter() {
            let size = |value: &[u8]| (key.len() + value.len()) as u64;
            if let Ok(Some(old)) = self.state.plugin_get(&self.plugin, key, now) {
                used = used.saturating_sub(size(&old));
            }
            used += written.as_ref().map_or(0, |(value, _)| size(value));
        }
        used
    }
}

fn unavailable(error: impl std::fmt::Display) -> Unavailable {
    Unavailable(error.to_string())
}

/// Lays the round's writes over a part of the committed entries, up to the part's last key.
fn merge(
    pending: &Pending,
    committed: Vec<(Vec<u8>, Vec<u8>)>,
    prefix: &[u8],
    after: Option<&[u8]>,
    bound: Option<&[u8]>,
    limit: usize,
    now: u64,
) -> Vec<Entry> {
    let mut entries: BTreeMap<Vec<u8>, Vec<u8>> = committed.into_iter().collect();
    let in_part = |key: &[u8]| {
        key.starts_with(prefix)
            && after.is_none_or(|after| key > after)
            && bound.is_none_or(|bound| key <= bound)
    };
    for (key, written) in pending.iter().filter(|(key, _)| in_part(key)) {
        match written {
            Some((value, expires)) if alive(*expires, now) => entries.insert(key.clone(), value.clone()),
            _ => entries.remove(key),
        };
    }
    entries.into_iter().take(limit).map(|(key, value)| Entry { key, value }).collect()
}
