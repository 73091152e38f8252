//! Capability `state`: the plugin's durable key-value store.
//!
//! The store behind it is only read here. What a call writes is kept beside it in an overlay, which
//! the call itself sees and which leaves with the call's result, to be committed together with it;
//! a call that fails leaves nothing. `configure`, `snapshot` and `restore` have no result that is
//! committed, so they can read but not write.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use wasmtime::component::{HasSelf, Linker};

use super::HostState;
use crate::accounts::Counters;
use crate::bindings::state::{self, StateError};
use crate::call::Deadline;
use crate::{keys, text};

/// Bytes of a key: long enough for a path or a name with a prefix, short enough for an index.
const MAX_KEY: usize = 512;
/// Bytes of a value. Larger ones belong into several keys: each is rewritten as a whole.
const MAX_VALUE: usize = 256 << 10;
/// Entries of one `scan`.
const MAX_SCAN_ENTRIES: usize = 1000;
/// Bytes of one `scan`.
const MAX_SCAN_BYTES: usize = 1 << 20;
/// What an entry of the overlay costs besides its bytes, so that many deletions of short keys are
/// bounded too.
const ENTRY_OVERHEAD: u64 = 64;

/// The store cannot answer, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// An entry of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
}

/// The committed state of one plugin. What has expired is not there.
pub trait StateReader: Send + Sync {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable>;

    /// Entries whose key begins with `prefix`, by key, from the first behind `after`, at most
    /// `limit`. Fewer does not mean the end; an empty answer does.
    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, Unavailable>;

    /// Bytes of all keys and values, which count for the quota.
    fn bytes_used(&self) -> u64;
}

/// A change of the plugin's state that a call made. Those of one call have different keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateWrite {
    /// Sets a value.
    Set {
        /// The key.
        key: Vec<u8>,
        /// The value.
        value: Vec<u8>,
        /// Unix time in nanoseconds at which it is gone.
        expires: Option<u64>,
    },
    /// Deletes a key, whether it exists or not.
    Delete {
        /// The key.
        key: Vec<u8>,
    },
}

/// What a key will be after the call: a value and when it expires, or nothing.
type Written = Option<(Vec<u8>, Option<u64>)>;

/// An instance's view of the store.
pub(crate) struct StateContext {
    reader: Option<Arc<dyn StateReader>>,
    quota: u64,
    write_bytes: u64,
    deadline: Deadline,
    counters: Arc<Counters>,
    writable: bool,
    overlay: BTreeMap<Vec<u8>, Written>,
    /// Bytes of the overlay's keys and values and what they cost.
    overlay_bytes: u64,
    /// Bytes of the overlay's keys and values that will be there after the call.
    overlay_sizes: u64,
    /// Bytes of what the overlay's keys have in the store; without those of `unlooked`.
    replaced: u64,
    /// Keys of the overlay that have not been looked up in the store: that is only needed near the quota.
    unlooked: Vec<Vec<u8>>,
}

impl StateContext {
    pub(crate) fn new(
        reader: Option<Arc<dyn StateReader>>,
        quota: u64,
        write_bytes: u64,
        deadline: Deadline,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            reader,
            quota,
            write_bytes,
            deadline,
            counters,
            writable: false,
            overlay: BTreeMap::new(),
            overlay_bytes: 0,
            overlay_sizes: 0,
            replaced: 0,
            unlooked: Vec::new(),
        }
    }

    /// Begins a call. Writes of an earlier one that were not taken are gone.
    pub(crate) fn begin(&mut self, writable: bool) {
        self.writable = writable;
        self.clear();
    }

    /// Ends a call and gives its writes, by key.
    pub(crate) fn take_writes(&mut self) -> Vec<StateWrite> {
        let overlay = std::mem::take(&mut self.overlay);
        self.clear();
        let write = |(key, written)| match written {
            Some((value, expires)) => StateWrite::Set { key, value, expires },
            None => StateWrite::Delete { key },
        };
        overlay.into_iter().map(write).collect()
    }

    fn clear(&mut self) {
        self.overlay.clear();
        self.unlooked.clear();
        (self.overlay_bytes, self.overlay_sizes, self.replaced) = (0, 0, 0);
    }

    fn reader(&self) -> Result<&dyn StateReader, StateError> {
        self.reader.as_deref().ok_or_else(|| unavailable("this agent keeps no state here"))
    }

    fn committed(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.reader()?.get(key).map_err(|Unavailable(words)| unavailable(&words))
    }

    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        match self.overlay.get(key) {
            Some(written) => {
                Ok(written.as_ref().filter(|written| is_live(written)).map(|(value, _)| value.clone()))
            }
            None => self.committed(key),
        }
    }

    /// Puts a write into the overlay if there is room.
    fn write(&mut self, key: Vec<u8>, written: Written) -> Result<(), StateError> {
        self.reader()?;
        if !self.writable {
            return Err(unavailable("state can be written only in calls whose results are committed"));
        }
        let before = self.overlay.get(&key).map_or(0, |written| cost(&key, written));
        let bytes = self.overlay_bytes - before + cost(&key, &written);
        if bytes > self.write_bytes {
            let words = format!("one call may write {} bytes (`{}`)", self.write_bytes, keys::STATE_WRITES);
            Counters::add(&self.counters.state_writes_refused, 1);
            return Err(unavailable(&words));
        }
        let earlier = self.overlay.get(&key).map(|earlier| size(&key, earlier));
        let sizes = self.overlay_sizes - earlier.unwrap_or(0) + size(&key, &written);
        if written.is_some() {
            self.check_quota(&key, earlier.is_none(), sizes)?;
        }
        if earlier.is_none() {
            self.unlooked.push(key.clone());
        }
        self.overlay_bytes = bytes;
        self.overlay_sizes = sizes;
        self.overlay.insert(key, written);
        Ok(())
    }

    /// Whether the store would stay within the quota if the overlay came to `sizes` bytes. `new` says whether
    /// the overlay does not have the key yet. Each key is looked up once in a call, and only near the quota.
    fn check_quota(&mut self, key: &[u8], new: bool, sizes: u64) -> Result<(), StateError> {
        let used = self.reader()?.bytes_used();
        if used.saturating_add(sizes) <= self.quota {
            return Ok(());
        }
        for unlooked in std::mem::take(&mut self.unlooked) {
            self.replaced += self.committed_size(&unlooked)?;
        }
        let replaced = self.replaced + if new { self.committed_size(key)? } else { 0 };
        if used.saturating_sub(replaced).saturating_add(sizes) > self.quota {
            Counters::add(&self.counters.state_quota_refused, 1);
            return Err(StateError::QuotaExceeded(self.quota));
        }
        Ok(())
    }

    fn committed_size(&self, key: &[u8]) -> Result<u64, StateError> {
        Ok(self.committed(key)?.map_or(0, |value| (key.len() + value.len()) as u64))
    }

    fn scan_merged(
        &self,
        prefix: &[u8],
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> wasmtime::Result<ScanResult> {
        let mut merged = Merged { entries: Vec::new(), bytes: 0, limit };
        let mut after = after;
        loop {
            self.deadline.check()?;
            let reader = match self.reader() {
                Ok(reader) => reader,
                Err(error) => return Ok(Err(error)),
            };
            let page = match reader.scan(prefix, after.as_deref(), limit) {
                Ok(page) => page,
                Err(Unavailable(words)) => return Ok(Err(unavailable(&words))),
            };
            // The overlay counts up to where the page ends; behind the last page, to the end.
            let last = page.last().map(|entry| entry.key.clone());
            let mut written = self.overlay_between(prefix, after.as_deref(), last.as_deref()).peekable();
            for entry in page {
                while let Some((key, value)) = written.next_if(|(key, _)| **key < entry.key) {
                    merged.push_written(key, value);
                }
                match written.next_if(|(key, _)| **key == entry.key) {
                    Some((key, value)) => merged.push_written(key, value),
                    None => merged.push(entry.key, entry.value),
                }
            }
            written.for_each(|(key, value)| merged.push_written(key, value));
            let Some(last) = last else { return Ok(Ok(merged.entries)) };
            // Only when everything on the page is deleted must the next one be looked at: an empty
            // answer would mean the end.
            if !merged.entries.is_empty() {
                return Ok(Ok(merged.entries));
            }
            after = Some(last);
        }
    }

    fn overlay_between<'a>(
        &'a self,
        prefix: &'a [u8],
        after: Option<&[u8]>,
        last: Option<&[u8]>,
    ) -> impl Iterator<Item = (&'a Vec<u8>, &'a Written)> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        // A range that ends before it begins would panic.
        let to = match (last, from) {
            (Some(last), Bound::Excluded(start) | Bound::Included(start)) if last > start => {
                Bound::Included(last)
            }
            (Some(_), _) => from_as_end(from),
            (None, _) => Bound::Unbounded,
        };
        self.overlay.range::<[u8], _>((from, to)).take_while(move |(key, _)| key.starts_with(prefix))
    }
}

type ScanResult = Result<Vec<state::Entry>, StateError>;

/// The end of a range that holds at most its own start.
fn from_as_end(from: Bound<&[u8]>) -> Bound<&[u8]> {
    match from {
        Bound::Excluded(start) | Bound::Included(start) => Bound::Included(start),
        Bound::Unbounded => Bound::Unbounded,
    }
}

/// Entries of a scan, up to its bounds. What is behind the first one that does not fit is left out
/// too, so that the caller can go on behind the last.
struct Merged {
    entries: Vec<state::Entry>,
    bytes: usize,
    limit: usize,
}

impl Merged {
    fn push_written(&mut self, key: &[u8], written: &Written) {
        if let Some((value, _)) = written.as_ref().filter(|written| is_live(written)) {
            self.push(key.to_vec(), value.clone());
        }
    }

    fn push(&mut self, key: Vec<u8>, value: Vec<u8>) {
        let bytes = self.bytes.saturating_add(key.len() + value.len());
        // The first entry always fits: key and value are far below the bound.
        if self.entries.len() < self.limit && bytes <= MAX_SCAN_BYTES {
            self.entries.push(state::Entry { key, value });
            self.bytes = bytes;
        } else {
            self.limit = 0;
        }
    }
}

fn is_live((_, expires): &(Vec<u8>, Option<u64>)) -> bool {
    expires.is_none_or(|expires| expires > now())
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// What a write adds to the store.
fn size(key: &[u8], written: &Written) -> u64 {
    written.as_ref().map_or(0, |(value, _)| (key.len() + value.len()) as u64)
}

/// What a write costs until it is committed.
fn cost(key: &[u8], written: &Written) -> u64 {
    let value = written.as_ref().map_or(0, |(value, _)| value.len());
    (key.len() + value) as u64 + ENTRY_OVERHEAD
}

fn unavailable(words: &str) -> StateError {
    StateError::Unavailable(text::cut(words, crate::error::MESSAGE_BYTES).to_owned())
}

fn check_key(key: &[u8]) -> Result<(), StateError> {
    if (1..=MAX_KEY).contains(&key.len()) { Ok(()) } else { Err(StateError::KeyLength(MAX_KEY as u32)) }
}

impl state::Host for StateContext {
    fn get(&mut self, key: Vec<u8>) -> wasmtime::Result<Result<Option<Vec<u8>>, StateError>> {
        self.deadline.check()?;
        Ok(check_key(&key).and_then(|()| self.read(&key)))
    }

    fn set(
        &mut self,
        key: Vec<u8>,
        value: Vec<u8>,
        ttl: Option<u64>,
    ) -> wasmtime::Result<Result<(), StateError>> {
        self.deadline.check()?;
        if value.len() > MAX_VALUE {
            return Ok(Err(StateError::ValueTooLong(MAX_VALUE as u32)));
        }
        let expires = ttl.map(|ttl| now().saturating_add(ttl));
        Ok(check_key(&key).and_then(|()| self.write(key, Some((value, expires)))))
    }

    fn delete(&mut self, key: Vec<u8>) -> wasmtime::Result<Result<(), StateError>> {
        self.deadline.check()?;
        Ok(check_key(&key).and_then(|()| self.write(key, None)))
    }

    fn scan(
        &mut self,
        prefix: Vec<u8>,
        after: Option<Vec<u8>>,
        limit: u32,
    ) -> wasmtime::Result<Result<Vec<state::Entry>, StateError>> {
        let limit = (limit as usize).min(MAX_SCAN_ENTRIES);
        if limit == 0 {
            return Ok(Ok(Vec::new()));
        }
        self.scan_merged(&prefix, after, limit)
    }
}

pub(crate) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    state::add_to_linker::<_, HasSelf<StateContext>>(linker, |host| &mut host.state)
}
