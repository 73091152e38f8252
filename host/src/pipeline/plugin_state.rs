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
type Written = BTreeMap<Vec<u8>, Option<(Vec<u8>, Option<u64>)>>;

/// The writes of a round's earlier calls.
#[derive(Default)]
struct Pending {
    written: Written,
    /// By how much they change the bytes that the plugin uses. Kept along, since the quota is checked at
    /// every write.
    growth: i64,
}

/// See the module's description.
pub struct PluginState {
    state: State,
    plugin: String,
    // Reader and writer are the same thread; the lock is never contended.
    pending: Mutex<Pending>,
    /// Why the state failed a read, if it did since somebody asked.
    failure: Mutex<Option<String>>,
}

impl PluginState {
    /// The view of one plugin.
    pub fn new(state: State, plugin: impl Into<String>) -> Self {
        Self { state, plugin: plugin.into(), pending: Mutex::default(), failure: Mutex::default() }
    }

    /// The same plugin's state for another thread, which sees only what is committed.
    pub fn beside(&self) -> Self {
        Self::new(self.state.clone(), self.plugin.clone())
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the writes of a call that succeeded.
    pub fn keep(&self, writes: &[StateWrite]) {
        let mut pending = self.pending();
        for write in writes {
            let (key, value) = match write {
                StateWrite::Set { key, value, expires } => (key, Some((value.clone(), *expires))),
                StateWrite::Delete { key } => (key, None),
            };
            let now = value.as_ref().map_or(0, |(value, _)| size(key, value));
            let before = match pending.written.get(key) {
                Some(earlier) => earlier.as_ref().map_or(0, |(value, _)| size(key, value)),
                // A state that cannot be read refuses the commit itself a moment later.
                None => match self.state.plugin_get(&self.plugin, key, 0) {
                    Ok(Some(old)) => size(key, &old),
                    Ok(None) | Err(_) => 0,
                },
            };
            pending.growth += now - before;
            pending.written.insert(key.clone(), value);
        }
    }

    /// Why the state failed a read since the last time this was asked: then what a call came to says nothing
    /// about the plugin or its records.
    pub fn take_failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn unavailable(&self, error: impl std::fmt::Display) -> Unavailable {
        let reason = error.to_string();
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.clone());
        Unavailable(reason)
    }

    /// Drops the writes: they are committed, or will never be.
    pub fn forget_pending(&self) {
        *self.pending() = Pending::default();
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
        match self.pending().written.get(key) {
            Some(Some((value, expires))) => return Ok(alive(*expires, now).then(|| value.clone())),
            Some(None) => return Ok(None),
            None => {}
        }
        self.state.plugin_get(&self.plugin, key, now).map_err(|error| self.unavailable(error))
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, Unavailable> {
        let now = now_nanos();
        let pending = self.pending();
        let mut after = after.map(<[u8]>::to_vec);
        loop {
            let committed = self
                .state
                .plugin_scan(&self.plugin, prefix, after.as_deref(), limit, now)
                .map_err(|error| self.unavailable(error))?;
            let bound = committed.last().map(|(key, _)| key.clone());
            let merged =
                merge(&pending.written, committed, prefix, after.as_deref(), bound.as_deref(), limit, now);
            // Everything committed here was deleted by the round: the next part may hold more.
            if merged.is_empty() && bound.is_some() {
                after = bound;
                continue;
            }
            return Ok(merged);
        }
    }

    fn bytes_used(&self) -> u64 {
        // A state that cannot be read refuses the write itself a moment later.
        let used = self.state.plugin_bytes(&self.plugin).unwrap_or(0);
        used.saturating_add_signed(self.pending().growth)
    }
}

/// What a value counts for, in bytes.
fn size(key: &[u8], value: &[u8]) -> i64 {
    i64::try_from(key.len() + value.len()).unwrap_or(i64::MAX)
}

/// Lays the round's writes over a part of the committed entries, up to the part's last key.
fn merge(
    pending: &Written,
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
