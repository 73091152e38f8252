//! What a forwarder has to be able to do. The loop around it is in [`super::drain`].

use std::io;
use std::time::Duration;

use crate::model::{Frame, FrameKind};

/// Hands frames to one receiver. Called in this order: `resume` once at the start, by the starting
/// thread, and after every error; then `prepare` and `send` in turn, by the drain's thread.
///
/// A *note* is what a forwarder wants to be told again after a restart. It is stored together with
/// the cursor, in one write, so that the two never disagree: the `file` forwarder keeps the file's
/// length there and cuts back what a crash has left behind it.
pub trait Forwarder: Send {
    /// Whether frames of a kind are sent at all. Must not change over its life.
    fn wants(&self, kind: FrameKind) -> bool;

    /// Brings the receiver to where it was when the note was made: everything after it is going
    /// to be sent again. The note is empty when there is none yet.
    fn resume(&mut self, _note: &[u8]) -> Result<(), SendError> {
        Ok(())
    }

    /// Called before each batch, and now and then without one, for what must be done between
    /// batches. A note that it returns is stored with the unchanged cursor, and made durable, before the
    /// next batch: a crash may lose the notes of some batches, but none of these.
    fn prepare(&mut self) -> Result<Option<Vec<u8>>, SendError> {
        Ok(None)
    }

    /// Hands over a batch of at least one frame, all of kinds it wants. Returns once the receiver
    /// has accepted all of it, with the new note.
    fn send(&mut self, frames: &[Frame]) -> Result<Vec<u8>, SendError>;
}

/// Why a batch was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It may be accepted later: the batch waits.
    #[error("{reason}")]
    Later {
        /// What happened, where, and what to do.
        reason: String,
        /// How long the receiver wants to be left alone.
        after: Option<Duration>,
    },
    /// It will never be accepted: the batch is dropped and counted.
    #[error("{reason}")]
    Refused {
        /// What happened, and where.
        reason: String,
    },
}

impl SendError {
    /// To be tried again.
    pub fn later(reason: impl Into<String>) -> Self {
        Self::Later { reason: reason.into(), after: None }
    }
}

/// What an operator can do when the system refuses to write; none when its words say it all.
pub(crate) fn remedy(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("the disk is full: free some space; results wait in the journal meanwhile")
        }
        io::ErrorKind::PermissionDenied => Some("the agent's user must be allowed to write there"),
        io::ErrorKind::ReadOnlyFilesystem => Some("choose a folder that can be written"),
        _ => None,
    }
}

/// The system's words with what to do about it.
pub(crate) fn explained(error: &io::Error) -> String {
    match remedy(error) {
        Some(remedy) => format!("{error}: {remedy}"),
        None => error.to_string(),
    }
}
