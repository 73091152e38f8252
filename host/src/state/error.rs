//! What can go wrong with the state.

use std::io;
use std::path::{Path, PathBuf};

/// A failed operation on the state.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another agent works in the folder.
    #[error(
        "the data folder {} is held by another agent{}: stop that one, or give this one another `data_dir`",
        dir.display(), holder.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    Held {
        /// The state's folder.
        dir: PathBuf,
        /// The process id that the other agent wrote down, if it can be read.
        holder: Option<u32>,
    },
    /// A newer agent has written here.
    #[error(
        "the {what} was written by a newer version (format {found}, this version knows up to {known}): \
         start the newer version, or restore a backup made by this one"
    )]
    NewerVersion {
        /// What was written.
        what: String,
        /// Its version.
        found: u32,
        /// The newest version that this agent reads.
        known: u32,
    },
    /// The disk is full, or nearly so.
    #[error(
        "the disk of {} is full: free some space ({} MiB are needed), the agent goes on by itself then",
        dir.display(), super::room::NEEDED_MIB
    )]
    Full {
        /// The state's folder.
        dir: PathBuf,
    },
    /// A copy of the state would take what others need of the disk.
    #[error(
        "the disk has no room for a copy of the state: {free} bytes are free, about {expected} are needed besides what \
         commits need; until there is room, a damaged state could not be filled from it"
    )]
    NoRoomForBackup {
        /// Free bytes.
        free: u64,
        /// What the copy takes, in bytes.
        expected: u64,
    },
    /// What is stored cannot be read.
    #[error(
        "{what} is damaged: a damaged database is repaired when the agent starts, a single value is left out"
    )]
    Damaged {
        /// Which value or file, and how it shows.
        what: String,
    },
    /// The operating system failed an operation.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The database failed before and has not been opened again yet.
    #[error("the state is closed after a failure, until it can be opened again: {reason}")]
    Closed {
        /// The failure.
        reason: String,
    },
    /// The table has lost commits that the journal still has; they are being applied again.
    #[error("the state is being brought up to date from the journal")]
    Behind,
    /// A key or name is longer than allowed.
    #[error(transparent)]
    Write(#[from] super::WriteError),
}

impl StateError {
    pub(super) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { dir: path },
            _ => Self::Io { operation, path, source },
        }
    }

    /// Whether the cause is a full disk.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}
