//! Small facts outside of commits: cursors, an archive's place, a generation's record.
//!
//! The journal does not have them. When the table has to be opened again and has lost what was not
//! synced, they are put again from here, so that nobody who has put one has to care while the agent
//! runs.

use std::collections::BTreeMap;

use super::apply::{Changes, Opaque};
use super::{State, StateError, keys};

/// What was put or deleted since the last sync.
#[derive(Default)]
pub(super) struct Facts {
    by_name: BTreeMap<String, (u64, Option<Vec<u8>>)>,
    /// Number of the last change.
    last: u64,
}

impl Facts {
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The changes up to this one are durable.
    pub(super) fn synced(&mut self, last: u64) {
        self.by_name.retain(|_, (number, _)| *number > last);
    }

    pub(super) fn unsynced(&self) -> impl Iterator<Item = (&str, Option<&Vec<u8>>)> {
        self.by_name.iter().map(|(name, (_, value))| (name.as_str(), value.as_ref()))
    }

    fn note(&mut self, name: &str, value: Option<Vec<u8>>) {
        self.last += 1;
        self.by_name.insert(name.to_owned(), (self.last, value));
    }
}

impl Changes<'_> {
    pub(super) fn fact(&mut self, name: &str, value: Option<&Vec<u8>>) -> Result<(), StateError> {
        self.put(keys::meta(name), value)
    }
}

impl State {
    /// A small fact outside of commits. Its owner encodes and versions it.
    pub fn meta_get(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        self.opaque(&keys::meta(name))
    }

    /// All facts whose name begins with `prefix`, by name. A damaged one is logged and left out.
    pub fn meta_scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StateError> {
        let mut found = Vec::new();
        self.each_read::<Opaque>(&keys::meta(prefix), None, |key, value| {
            let name = String::from_utf8_lossy(&key[1..]).into_owned();
            match value {
                Ok(value) => found.push((name, value.bytes)),
                Err(error @ StateError::Damaged { .. }) => {
                    tracing::error!(fact = name, %error, "A stored fact is damaged and is passed over.");
                }
                Err(error) => return Err(error),
            }
            Ok(true)
        })?;
        Ok(found)
    }

    /// Sets such a fact. Replaced as a whole; survives a power cut, or even `kill -9`, only once
    /// [`sync`](State::sync) has returned, as the commit thread calls it every few seconds. After a crash
    /// facts may be older than they were, all by the same moment.
    pub fn meta_put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StateError> {
        self.meta_change(name, Some(bytes))
    }

    /// Forgets such a fact.
    pub fn meta_delete(&self, name: &str) -> Result<(), StateError> {
        self.meta_change(name, None)
    }

    fn meta_change(&self, name: &str, value: Option<Vec<u8>>) -> Result<(), StateError> {
        let _writer = self.lock();
        let mut changes = Changes::new(self.current()?);
        changes.fact(name, value.as_ref())?;
        self.table().apply(changes.into_batch())?;
        self.facts().note(name, value);
        Ok(())
    }
}
