//! What a forwarder has to be able to do. Reading, waiting and keeping the cursor are the drain's.

use std::io;
use std::time::Duration;

use picket_http::NoAnswer;
use picket_model::{Digest, Frame, FrameKind};

/// Frames that are handed over together, and acknowledged together.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The name of its content: a batch that is handed over again, in this run, has the same frames and the
    /// same id, so that a forwarder can go on with what it had not handed over yet.
    pub id: Digest,
    /// At least one, all of kinds that the forwarder wants, in the order of the journal.
    pub frames: Vec<Frame>,
}

/// What became of a batch that is done with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sent {
    /// The new note; none to keep the old one.
    pub note: Option<Vec<u8>>,
    /// What the receiver will never accept. Everything else was accepted.
    pub refused: Vec<Refused>,
    /// What the receiver will never accept either, but has not named: only how many is known.
    pub refused_unnamed: Vec<Unnamed>,
}

/// A frame that the receiver refused for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its place in the batch.
    pub frame: usize,
    /// What the receiver said.
    pub reason: String,
}

/// Some frames of a batch that the receiver refused for good without saying which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unnamed {
    /// How many; never more than the batch has.
    pub count: usize,
    /// What the receiver said.
    pub reason: String,
}

/// Hands frames to one receiver. Called in this order: `resume` once at the start, by the starting
/// thread, and after every error; then `prepare` and `send` in turn, by the drain's thread.
///
/// A *note* is what a forwarder wants to be told again after a restart. It is stored together with
/// the cursor, in one write, so that the two never disagree: the `file` forwarder keeps the file's
/// length there and cuts back what a crash has left behind it, `alertmanager` the alerts that it has to repeat.
pub trait Forwarder: Send {
    /// Whether frames of a kind are sent at all. Must not change over its life.
    fn wants(&self, kind: FrameKind) -> bool;

    /// Brings the receiver to where it was when the note was made: everything after it is going
    /// to be sent again. The note is empty when there is none yet.
    fn resume(&mut self, _note: &[u8]) -> Result<(), SendError> {
        Ok(())
    }

    /// Called before each batch, and every ten seconds without one, for what must be done between
    /// batches. A note that it returns is stored with the unchanged cursor, and made durable, before the
    /// next batch: a crash may lose the notes of some batches, but none of these.
    fn prepare(&mut self) -> Result<Option<Vec<u8>>, SendError> {
        Ok(None)
    }

    /// Hands over a batch. Returns once the receiver has accepted or refused each frame of it. After an
    /// error the same batch comes again, save after a restart.
    fn send(&mut self, batch: &Batch) -> Result<Sent, SendError>;

    /// Tries the receiver without leaving anything there, for `picket check --connect`. Says in a few words
    /// what was found there, such as its version.
    fn probe(&mut self) -> Result<String, SendError>;
}

/// Why a batch was not accepted, though it may be later: it waits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The receiver is away or busy.
    #[error("{reason}")]
    Later {
        /// What happened, where, and what to do.
        reason: String,
        /// How long the receiver wants to be left alone.
        after: Option<Duration>,
    },
    /// The receiver cannot be used as it is configured: a wrong password, path or certificate. Nothing is
    /// the matter with the batch, and trying often does not help.
    #[error("{reason}")]
    Unusable {
        /// What happened, where, and what to do.
        reason: String,
    },
}

impl SendError {
    /// To be tried again.
    pub fn later(reason: impl Into<String>) -> Self {
        Self::Later { reason: reason.into(), after: None }
    }

    /// To be put right by a person.
    pub fn unusable(reason: impl Into<String>) -> Self {
        Self::Unusable { reason: reason.into() }
    }
}

impl From<NoAnswer> for SendError {
    fn from(none: NoAnswer) -> Self {
        match none {
            NoAnswer::Tls { .. } | NoAnswer::NotSent { .. } => Self::unusable(none.to_string()),
            _ => Self::later(none.to_string()),
        }
    }
}

impl Sent {
    /// With everything accepted.
    pub fn all() -> Self {
        Self::default()
    }

    /// With everything accepted, and a new note.
    pub fn noted(note: Vec<u8>) -> Self {
        Self { note: Some(note), ..Self::default() }
    }
}

/// What an operator can do when the system refuses to write; none when its words say it all.
pub fn remedy(error: &io::Error) -> Option<&'static str> {
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
pub fn explained(error: &io::Error) -> String {
    match remedy(error) {
        Some(remedy) => format!("{error}: {remedy}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_person_can_mend_is_not_tried_again_at_once() {
        let (to, cause) = (String::new(), String::new());
        let tls = NoAnswer::Tls { to: to.clone(), cause: cause.clone() };
        for unusable in [tls, NoAnswer::NotSent { cause: cause.clone() }] {
            assert!(matches!(SendError::from(unusable), SendError::Unusable { .. }));
        }
        for later in
            [NoAnswer::Connect { to: to.clone(), cause: cause.clone() }, NoAnswer::Broken { to, cause }]
        {
            assert!(matches!(SendError::from(later), SendError::Later { after: None, .. }));
        }
    }
}
