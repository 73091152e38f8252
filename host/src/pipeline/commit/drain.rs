//! The frames of all commits, one commit after the other.

use std::time::Duration;

use picket_journal::{JournalError, Position, Reader, Tail};

use super::{DecodeError, frames};
use crate::model::Frame;

/// Reads frames behind a cursor. The cursor itself is its owner's: keep the returned positions.
pub struct Drain {
    tail: Tail,
    reader: Reader,
}

/// The next frames cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    /// The journal cannot be read right now; the next call tries again.
    #[error("cannot read the journal: {0}")]
    Journal(#[from] JournalError),
    /// A commit cannot be unpacked; the next call goes on behind it.
    #[error("cannot read the commit at {position} of the journal: {source}")]
    Decode {
        /// Where it begins.
        position: Position,
        /// Why.
        source: DecodeError,
    },
}

impl Drain {
    /// Reads everything behind a position.
    pub fn new(tail: Tail, from: Position) -> Self {
        let reader = tail.reader(from);
        Self { tail, reader }
    }

    /// The frames of the next commit that has some, and the position behind it; waits for one until the
    /// timeout has passed. `None` when there was none; [`position`](Self::position) may have moved all
    /// the same, over commits without frames.
    pub fn next_frames(&mut self, timeout: Duration) -> Result<Option<(Position, Vec<Frame>)>, DrainError> {
        let deadline = std::time::Instant::now() + timeout;
        loop {
            while let Some(entry) = self.reader.next()? {
                let found = frames(&entry.payload)
                    .map_err(|source| DrainError::Decode { position: entry.position, source })?;
                if !found.is_empty() {
                    return Ok(Some((entry.next, found)));
                }
            }
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            if !self.tail.wait_beyond(self.reader.position(), left) {
                return Ok(None);
            }
        }
    }

    /// Behind what was read last.
    pub fn position(&self) -> Position {
        self.reader.position()
    }

    /// Whether nothing more will come: the commit thread has ended, and everything was read.
    pub fn is_done(&self) -> bool {
        self.tail.is_closed() && !self.tail.has_more(self.position())
    }
}
