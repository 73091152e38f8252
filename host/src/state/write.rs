//! What a commit can change in the state. These values travel through the journal, inside a commit's
//! own version byte: a field may be added with `#[serde(default)]`, a variant may be added, and
//! neither may be renamed or removed while journals with it can exist.

use serde::{Deserialize, Serialize};

use super::bytes;
use crate::model::{Day, Digest};

/// The longest key of a plugin, alert or file, in bytes. sled keeps whole keys in its pages, which
/// must stay below 128 KiB with 16 entries and more; the `state` interface allows plugins 512.
pub const MAX_KEY_BYTES: usize = 1024;

/// The longest name of a plugin or source, in bytes.
pub const MAX_NAME_BYTES: usize = 256;

/// One change, part of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Write {
    /// A plugin sets a key of its own.
    PluginSet {
        /// The plugin's name.
        plugin: String,
        /// Its key; at most [`MAX_KEY_BYTES`].
        #[serde(with = "bytes")]
        key: Vec<u8>,
        /// The value.
        #[serde(with = "bytes")]
        value: Vec<u8>,
        /// When the key is gone by itself; Unix time in nanoseconds.
        expires: Option<u64>,
    },
    /// A plugin deletes a key of its own, whether it exists or not.
    PluginDelete {
        /// The plugin's name.
        plugin: String,
        /// Its key.
        #[serde(with = "bytes")]
        key: Vec<u8>,
    },
    /// A plugin is done with the records of a stream up to here.
    Checkpoint {
        /// The plugin's name.
        plugin: String,
        /// The source's name.
        source: String,
        /// The stream's identity.
        stream: Digest,
        /// The source's own encoding of its place.
        #[serde(with = "bytes")]
        value: Vec<u8>,
    },
    /// A stream is gone for good.
    CheckpointDelete {
        /// The plugin's name.
        plugin: String,
        /// The source's name.
        source: String,
        /// The stream's identity.
        stream: Digest,
    },
    /// What a plugin's instance wants its successor to know; replaces the one before.
    Snapshot {
        /// The plugin's name.
        plugin: String,
        /// The version that the plugin gives itself.
        version: String,
        /// The generation that made it.
        generation: Digest,
        /// The plugin's own encoding; at most 16 MiB.
        #[serde(with = "bytes")]
        bytes: Vec<u8>,
    },
    /// Where an alert is in its life.
    Alert {
        /// The plugin that evaluates its rule.
        plugin: String,
        /// Which alert; at most [`MAX_KEY_BYTES`].
        #[serde(with = "bytes")]
        key: Vec<u8>,
        /// The alert engine's own encoding; `None` when the alert is inactive again.
        #[serde(with = "bytes::option")]
        value: Option<Vec<u8>>,
    },
    /// A scanner has seen a content.
    Scanned {
        /// The scanner's name.
        plugin: String,
        /// Its generation: another one scans again.
        generation: Digest,
        /// SHA-256 of the content.
        content: Digest,
        /// What is remembered about it; `None` forgets it.
        #[serde(with = "bytes::option")]
        value: Option<Vec<u8>>,
        /// The day of this use. Long after the last one it is removed.
        #[serde(default)]
        used: Day,
    },
    /// The digest of a file's content, for as long as its size and times do not change.
    FileDigest {
        /// Names the file; of any length, kept as a digest.
        #[serde(with = "bytes")]
        key: Vec<u8>,
        /// What is remembered about it; `None` forgets it.
        #[serde(with = "bytes::option")]
        value: Option<Vec<u8>>,
        /// The day of this use. Long after the last one it is removed.
        #[serde(default)]
        used: Day,
    },
}

/// A write that can never be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {what} is {bytes} bytes long, and the bound is {limit}")]
pub struct WriteError {
    /// What is too long.
    what: &'static str,
    bytes: usize,
    limit: usize,
}

impl Write {
    /// Whether it can be applied at all. A commit is refused before it is durable if not.
    pub fn check(&self) -> Result<(), WriteError> {
        let bound = |what, bytes, limit| match bytes > limit {
            true => Err(WriteError { what, bytes, limit }),
            false => Ok(()),
        };
        let name = |name: &str| bound("plugin's name", name.len(), MAX_NAME_BYTES);
        match self {
            Self::PluginSet { plugin, key, .. } | Self::PluginDelete { plugin, key } => {
                name(plugin)?;
                bound("key in a plugin's state", key.len(), MAX_KEY_BYTES)
            }
            Self::Checkpoint { plugin, source, .. } | Self::CheckpointDelete { plugin, source, .. } => {
                name(plugin)?;
                bound("source's name", source.len(), MAX_NAME_BYTES)
            }
            Self::Alert { plugin, key, .. } => {
                name(plugin)?;
                bound("alert's key", key.len(), MAX_KEY_BYTES)
            }
            Self::Snapshot { plugin, .. } | Self::Scanned { plugin, .. } => name(plugin),
            Self::FileDigest { .. } => Ok(()),
        }
    }
}
