//! What sources produce: records of one stream, read together and shared by all plugins.
//!
//! A block is immutable and is handed around as `Arc<Block>`: its bytes exist once however many
//! plugins read them. Which of its records a plugin gets is a [`Selection`].

use super::Digest;

/// Where records come from: one file, one container's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Name of the source in the configuration.
    pub source: String,
    /// Name within the source: the path of a file.
    pub name: String,
    /// Labels from the configuration and the path (`pod`, `container`), sorted by name.
    pub labels: Vec<(String, String)>,
    /// Identity that survives renaming: for files a digest of source, device, inode and fingerprint.
    /// Event ids and checkpoints are keyed by it.
    pub id: Digest,
}

/// One record of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Where it starts in the block's `data`.
    pub start: u32,
    /// Where it ends in the block's `data`, without its line end.
    pub end: u32,
    /// Where it starts in the stream, in bytes: its durable name.
    pub offset: u64,
    /// When it was made, as its framing says, else when it was read; Unix time in nanoseconds.
    pub time: u64,
}

/// Records of one stream, in order, with the checkpoint that holds once all of them are done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Where they come from.
    pub stream: std::sync::Arc<Stream>,
    /// The bytes that the records point into; what lies between records is framing.
    pub data: Vec<u8>,
    /// At least one record, in the order of the stream.
    pub records: Vec<Record>,
    /// What the source wants back to go on behind this block, in its own encoding.
    pub checkpoint: Vec<u8>,
}

impl Block {
    /// The bytes of one record. Panics when the index is out of range, as slices do.
    pub fn bytes(&self, record: usize) -> &[u8] {
        let at = self.records[record];
        &self.data[at.start as usize..at.end as usize]
    }
}

/// Which records of a block go to one plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Every one.
    All,
    /// Those that hold a literal of the plugin's interest.
    Some {
        /// Indexes in the block, rising.
        records: Vec<u32>,
        /// `(record index in the block, literal index in the interest)`, sorted, each pair once.
        hits: Vec<(u32, u32)>,
    },
}

impl Selection {
    /// How many of the block's records are selected.
    pub fn len(&self, block: &Block) -> usize {
        match self {
            Self::All => block.records.len(),
            Self::Some { records, .. } => records.len(),
        }
    }
}
