//! What can go wrong with a journal.

use std::io;
use std::path::{Path, PathBuf};

/// A failed operation. None of them leaves the journal unusable: the next one starts from the
/// durable end.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process, or another journal of this one, writes in the folder.
    #[error(
        "the journal in {} is in use by another process: stop it, or choose another `data_dir`",
        dir.display()
    )]
    Held {
        /// The journal's folder.
        dir: PathBuf,
    },
    /// A newer agent has written here.
    #[error(
        "{} has format version {found}, and this version knows only up to {known}: start the newer \
         version that wrote it, or move the folder away to begin with an empty journal", path.display()
    )]
    NewerVersion {
        /// The segment.
        path: PathBuf,
        /// What its header says.
        found: u32,
        /// [`FORMAT_VERSION`](crate::FORMAT_VERSION).
        known: u32,
    },
    /// The record is longer than [`Config::max_record_bytes`](crate::Config::max_record_bytes).
    #[error("a record of {bytes} bytes is longer than the bound of {limit}")]
    TooLarge {
        /// The payload's length.
        bytes: u64,
        /// The bound.
        limit: u64,
    },
    /// Records hold one byte at least.
    #[error("a record must not be empty")]
    Empty,
    /// The disk, or this user's quota of it, is full. Nothing was written.
    #[error("the disk of {} is full: free some space; what failed can be tried again then", path.display())]
    Full {
        /// The file or folder that was to grow.
        path: PathBuf,
    },
    /// The operating system failed an operation.
    #[error("{operation} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// An earlier append or sync failed in a way that took the records since the last sync with
    /// it. Returned until [`Journal::sync`](crate::Journal::sync) has been called, which returns
    /// it too.
    #[error("records appended since the last sync were lost with an earlier failure")]
    Lost,
}

impl JournalError {
    pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            _ => Self::Io { operation, path, source },
        }
    }

    /// Whether the cause is a full disk.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}
