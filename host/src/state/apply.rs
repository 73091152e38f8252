//! Turns writes into one batch, reading what is there where accounting and expiry need it.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::value::{self, Versioned};
use super::{Batch, Remembered, StateError, Table, Write, bytes, keys};
use crate::model::{Day, Digest};

/// A plugin's own value as it is stored.
#[derive(Serialize, Deserialize)]
pub(super) struct Entry {
    /// Unix time in nanoseconds.
    pub(super) expires: Option<u64>,
    #[serde(with = "bytes")]
    pub(super) value: Vec<u8>,
}

impl Versioned for Entry {
    const KIND: &'static str = "plugin value";
    const VERSION: u8 = 1;
}

/// How many bytes a plugin has stored.
#[derive(Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) bytes: u64,
}

impl Versioned for Account {
    const KIND: &'static str = "plugin account";
    const VERSION: u8 = 1;
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredSnapshot {
    pub(super) version: String,
    pub(super) generation: Digest,
    #[serde(with = "bytes")]
    pub(super) bytes: Vec<u8>,
}

impl Versioned for StoredSnapshot {
    const KIND: &'static str = "snapshot";
    const VERSION: u8 = 1;
}

/// Bytes that the owner encodes and versions itself.
#[derive(Serialize, Deserialize)]
pub(super) struct Opaque {
    #[serde(with = "bytes")]
    pub(super) bytes: Vec<u8>,
}

impl Versioned for Opaque {
    const KIND: &'static str = "value";
    const VERSION: u8 = 1;
}

/// A batch in the making. Its own changes are seen by later ones.
pub(super) struct Changes<'a> {
    table: &'a dyn Table,
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl<'a> Changes<'a> {
    pub(super) fn new(table: &'a dyn Table) -> Self {
        Self { table, changes: BTreeMap::new() }
    }

    pub(super) fn into_batch(self) -> Batch {
        self.changes.into_iter().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    pub(super) fn write(&mut self, write: &Write) -> Result<(), StateError> {
        match write {
            Write::PluginSet { plugin, key, value, expires } => {
                self.set(plugin, key, Some(Entry { expires: *expires, value: value.clone() }))
            }
            Write::PluginDelete { plugin, key } => self.set(plugin, key, None),
            Write::Checkpoint { plugin, source, stream, value } => {
                self.put(keys::checkpoint(plugin, source, stream), Some(value))
            }
            Write::CheckpointDelete { plugin, source, stream } => {
                self.put(keys::checkpoint(plugin, source, stream), None)
            }
            Write::Snapshot { plugin, version, generation, bytes } => {
                let (version, bytes) = (version.clone(), bytes.clone());
                self.store(
                    keys::snapshot(plugin),
                    &StoredSnapshot { version, generation: *generation, bytes },
                )
            }
            Write::Alert { plugin, key, value } => self.put(keys::alert(plugin, key), value.as_ref()),
            Write::Scanned { plugin, generation, content, value, used } => {
                self.remember(keys::scanned(plugin, generation, content), value.as_ref(), *used)
            }
            Write::FileDigest { key, value, used } => {
                self.remember(keys::file_digest(key), value.as_ref(), *used)
            }
        }
    }

    /// Sets or removes a plugin's key, keeps its account, and the index of what expires.
    pub(super) fn set(&mut self, plugin: &str, key: &[u8], entry: Option<Entry>) -> Result<(), StateError> {
        let own = keys::plugin(plugin, key);
        let before = self.load::<Entry>(&own)?;
        let size =
            |entry: &Option<Entry>| entry.as_ref().map_or(0, |entry| (key.len() + entry.value.len()) as u64);
        let (freed, used) = (size(&before), size(&entry));
        if freed != used {
            let account = keys::plugin_bytes(plugin);
            let bytes = self.load::<Account>(&account)?.map_or(0, |account| account.bytes);
            self.store(account, &Account { bytes: (bytes + used).saturating_sub(freed) })?;
        }
        if let Some(expires) = before.and_then(|entry| entry.expires) {
            self.changes.insert(keys::expiry(expires, &own), None);
        }
        match entry {
            Some(entry) => {
                if let Some(expires) = entry.expires {
                    self.changes.insert(keys::expiry(expires, &own), Some(Vec::new()));
                }
                self.store(own, &entry)
            }
            None => self.remove(own),
        }
    }

    pub(super) fn put(&mut self, key: Vec<u8>, value: Option<&Vec<u8>>) -> Result<(), StateError> {
        match value {
            Some(value) => self.store(key, &Opaque { bytes: value.clone() }),
            None => self.remove(key),
        }
    }

    fn remember(&mut self, key: Vec<u8>, value: Option<&Vec<u8>>, used: Day) -> Result<(), StateError> {
        match value {
            Some(value) => self.store(key, &Remembered { used, value: value.clone() }),
            None => self.remove(key),
        }
    }

    /// Stores a value, in pieces when it is long. Pieces that have not changed are not written.
    pub(super) fn store<T: Versioned + Serialize>(
        &mut self,
        key: Vec<u8>,
        value: &T,
    ) -> Result<(), StateError> {
        let encoded = value::encode(value)?;
        let (stored, pieces) = value::split(&encoded);
        let before = self.pieces(&key)?;
        let mut count = 0;
        for piece in pieces {
            let at = keys::piece(&key, count);
            if count >= before || self.get(&at)?.as_deref() != Some(piece) {
                self.changes.insert(at, Some(piece.to_vec()));
            }
            count += 1;
        }
        for index in count..before {
            self.changes.insert(keys::piece(&key, index), None);
        }
        self.changes.insert(key, Some(stored));
        Ok(())
    }

    /// Removes a value with its pieces.
    pub(super) fn remove(&mut self, key: Vec<u8>) -> Result<(), StateError> {
        for index in 0..self.pieces(&key)? {
            self.changes.insert(keys::piece(&key, index), None);
        }
        self.changes.insert(key, None);
        Ok(())
    }

    fn pieces(&self, key: &[u8]) -> Result<u32, StateError> {
        Ok(self.get(key)?.map_or(0, |stored| value::pieces_of(&stored)))
    }

    /// What is stored, or nothing if it cannot be read: one bad value must not keep the state from
    /// taking commits, and it is about to be replaced or removed.
    pub(super) fn load<T: Versioned + DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, StateError> {
        let Some(stored) = self.get(key)? else {
            return Ok(None);
        };
        let encoded = value::assemble(key, &stored, |piece| self.get(piece));
        match encoded.and_then(|encoded| value::decode(&encoded)) {
            Err(error @ (StateError::Damaged { .. } | StateError::NewerVersion { .. })) => {
                tracing::warn!(%error, "A stored value cannot be read and is given up.");
                Ok(None)
            }
            other => other.map(Some),
        }
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        match self.changes.get(key) {
            Some(changed) => Ok(changed.clone()),
            None => self.table.get(key),
        }
    }
}
