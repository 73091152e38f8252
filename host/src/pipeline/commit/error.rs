//! Why a commit failed.

use std::sync::Arc;

use picket_journal::{JournalError, Position};

use super::DecodeError;
use crate::state::{StateError, WriteError};

/// A failed commit, or a failed start of the commit thread. Except for [`NotApplied`] and
/// [`Stopped`], the commit is not in the journal.
///
/// [`NotApplied`]: CommitError::NotApplied
/// [`Stopped`]: CommitError::Stopped
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// The commit is longer than a record may be.
    #[error("a commit of {bytes} bytes is longer than the bound of {limit}")]
    TooLarge {
        /// Its length when packed.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// A write in it can never be applied.
    #[error("the commit cannot be applied: {0}")]
    Write(#[from] WriteError),
    /// It cannot be packed.
    #[error("the commit cannot be packed: {0}")]
    Encode(String),
    /// The journal cannot take it.
    #[error("the journal did not take the commit: {0}")]
    Journal(#[source] Arc<JournalError>),
    /// The state cannot take it, so that it was not even tried.
    #[error("the state takes no commits: {0}")]
    State(#[source] Arc<StateError>),
    /// The agent was stopped while the commit was durable, but not in the state, which had failed.
    /// It will be applied at the next start.
    #[error("the commit is durable, and will be applied when the agent starts again")]
    NotApplied,
    /// The commit thread has stopped. A commit that was under way when it did may be durable; the
    /// state at the next start says so.
    #[error("the agent is stopping and takes no more commits")]
    Stopped,
    /// The journal holds a commit that this version cannot read and must not skip.
    #[error("the commit at {position} of the journal cannot be applied: {source}")]
    Replay {
        /// Where it begins.
        position: Position,
        /// Why it cannot be read.
        source: DecodeError,
    },
    /// The system gave no thread.
    #[error("cannot start the commit thread: {0}")]
    Thread(#[source] Arc<std::io::Error>),
}

impl CommitError {
    /// A word for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too-large",
            Self::Write(_) => "bad-write",
            Self::Encode(_) => "encode",
            Self::Journal(error) if error.is_full() => "disk-full",
            Self::State(error) if error.is_full() => "disk-full",
            Self::Journal(_) => "journal",
            Self::State(_) => "state",
            Self::NotApplied => "not-applied",
            Self::Stopped => "stopped",
            Self::Replay { .. } => "replay",
            Self::Thread(_) => "thread",
        }
    }

    /// Whether the cause is a full disk: worth trying again for as long as it takes.
    pub fn is_full(&self) -> bool {
        self.reason() == "disk-full"
    }
}

impl From<JournalError> for CommitError {
    fn from(error: JournalError) -> Self {
        Self::Journal(Arc::new(error))
    }
}

impl From<StateError> for CommitError {
    fn from(error: StateError) -> Self {
        Self::State(Arc::new(error))
    }
}
