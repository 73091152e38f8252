//! Typed reads of what commits have written.

use super::apply::{Account, Entry, Opaque, StoredSnapshot};
use super::{KeyValue, State, StateError, keys, value};
use crate::model::Digest;

/// How many entries are read from the table at once.
const PAGE: usize = 256;

/// What an instance left for its successor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The version that the plugin gave itself.
    pub version: String,
    /// The generation that made it.
    pub generation: Digest,
    /// The plugin's own encoding.
    pub bytes: Vec<u8>,
}

/// Checkpoints by stream, and what is wrong with those that were left out.
pub type Checkpoints = (Vec<(Digest, Vec<u8>)>, Vec<StateError>);

impl State {
    /// A plugin's value, unless it has expired by `now` (Unix time in nanoseconds).
    pub fn plugin_get(&self, plugin: &str, key: &[u8], now: u64) -> Result<Option<Vec<u8>>, StateError> {
        let entry = value::load::<Entry>(self.current()?, &keys::plugin(plugin, key))?;
        Ok(entry.filter(|entry| holds(entry, now)).map(|entry| entry.value))
    }

    /// Up to `limit` of a plugin's entries whose key begins with `prefix`, in the order of their keys,
    /// from the first one behind `after`, without those that have expired by `now`. Fewer than `limit`
    /// means that there are no more.
    pub fn plugin_scan(
        &self,
        plugin: &str,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        now: u64,
    ) -> Result<Vec<KeyValue>, StateError> {
        let own = keys::of_plugin(keys::PLUGIN, plugin);
        let mut found = Vec::new();
        let after = after.map(|after| [&own, after].concat());
        self.each::<Entry>(&[&own, prefix].concat(), after, |key, entry| {
            if found.len() < limit && holds(&entry, now) {
                found.push((keys::rest(key, &own)?.to_vec(), entry.value));
            }
            Ok(found.len() < limit)
        })?;
        Ok(found)
    }

    /// How many bytes a plugin's keys and values hold together; what has expired counts until it is
    /// swept.
    pub fn plugin_bytes(&self, plugin: &str) -> Result<u64, StateError> {
        let account = value::load::<Account>(self.current()?, &keys::plugin_bytes(plugin))?;
        Ok(account.map_or(0, |account| account.bytes))
    }

    /// Where a plugin is in a stream, in the source's own encoding.
    pub fn checkpoint(
        &self,
        plugin: &str,
        source: &str,
        stream: &Digest,
    ) -> Result<Option<Vec<u8>>, StateError> {
        self.opaque(&keys::checkpoint(plugin, source, stream))
    }

    /// Where a plugin is in all streams of a source, and which of these values are damaged: each costs
    /// only itself.
    pub fn checkpoints(&self, plugin: &str, source: &str) -> Result<Checkpoints, StateError> {
        let prefix = keys::checkpoints(plugin, source);
        let (mut whole, mut damaged) = Checkpoints::default();
        self.each_read::<Opaque>(&prefix, None, |key, value| {
            let no_stream = |_| StateError::Damaged { what: format!("the checkpoint {key:02x?}") };
            let stream = keys::rest(key, &prefix).and_then(|rest| rest.try_into().map_err(no_stream));
            match stream.and_then(|stream| Ok((Digest(stream), value?.bytes))) {
                Ok(checkpoint) => whole.push(checkpoint),
                Err(error @ StateError::Damaged { .. }) => damaged.push(error),
                Err(error) => return Err(error),
            }
            Ok(true)
        })?;
        Ok((whole, damaged))
    }

    /// The last snapshot of a plugin.
    pub fn snapshot(&self, plugin: &str) -> Result<Option<Snapshot>, StateError> {
        let found = value::load::<StoredSnapshot>(self.current()?, &keys::snapshot(plugin))?;
        Ok(found.map(|StoredSnapshot { version, generation, bytes }| Snapshot { version, generation, bytes }))
    }

    /// All alerts of a plugin that are not inactive, by key.
    pub fn alerts(&self, plugin: &str) -> Result<Vec<KeyValue>, StateError> {
        let prefix = keys::of_plugin(keys::ALERT, plugin);
        let mut found = Vec::new();
        self.each::<Opaque>(&prefix, None, |key, value| {
            found.push((keys::rest(key, &prefix)?.to_vec(), value.bytes));
            Ok(true)
        })?;
        Ok(found)
    }

    pub(super) fn opaque(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(value::load::<Opaque>(self.current()?, key)?.map(|value| value.bytes))
    }

    /// Calls `each` with the entries under a prefix until it says that it has enough.
    pub(super) fn each<T: value::Versioned + serde::de::DeserializeOwned>(
        &self,
        prefix: &[u8],
        after: Option<Vec<u8>>,
        mut each: impl FnMut(&[u8], T) -> Result<bool, StateError>,
    ) -> Result<(), StateError> {
        self.each_read(prefix, after, |key, value| each(key, value?))
    }

    /// As [`each`](Self::each), with what is wrong with a single value in its place.
    pub(super) fn each_read<T: value::Versioned + serde::de::DeserializeOwned>(
        &self,
        prefix: &[u8],
        mut after: Option<Vec<u8>>,
        mut each: impl FnMut(&[u8], Result<T, StateError>) -> Result<bool, StateError>,
    ) -> Result<(), StateError> {
        let table = self.current()?;
        loop {
            let page = table.scan(prefix, after.as_deref(), PAGE)?;
            for (key, stored) in &page {
                let encoded = value::assemble(key, stored, |piece| table.get(piece));
                if !each(key, encoded.and_then(|encoded| value::decode(&encoded)))? {
                    return Ok(());
                }
            }
            if page.len() < PAGE {
                return Ok(());
            }
            after = page.into_iter().next_back().map(|(key, _)| key);
        }
    }
}

fn holds(entry: &Entry, now: u64) -> bool {
    entry.expires.is_none_or(|expires| expires > now)
}
