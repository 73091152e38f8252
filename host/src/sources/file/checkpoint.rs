//! What a file source stores with each commit, to go on behind it.
//!
//! A checkpoint is a version byte and a MessagePack array. It is kept for each plugin and stream.

use serde::{Deserialize, Serialize};

use super::identity::Identity;

/// The format written; older ones are read, newer ones refused.
const VERSION: u8 = 1;

/// Where a reader stands in a stream. Every record that was complete before `done` has been handed
/// on; of the lines before `done` only those of records that were still open are needed again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Position {
    /// In bytes: behind the last line that was taken.
    pub done: u64,
    /// Records that were begun and not complete: the channel (standard output, standard error) and
    /// where the record's first line starts. At most one each, sorted.
    pub open: Vec<(u8, u64)>,
}

impl Position {
    /// At a line's start, with nothing open.
    pub fn at(done: u64) -> Self {
        Self { done, open: Vec::new() }
    }

    /// The first byte that a reader needs to go on from here.
    pub fn read_from(&self) -> u64 {
        self.open.iter().map(|(_, start)| *start).fold(self.done, u64::min)
    }

    /// Whether the line of a channel that starts at `offset` has to be taken.
    pub fn takes(&self, channel: u8, offset: u64) -> bool {
        offset >= self.done || self.open.iter().any(|open| open.0 == channel && open.1 <= offset)
    }
}

/// A plugin's place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Which file.
    pub identity: Identity,
    /// Its path when it was first seen, which is the stream's name.
    pub path: String,
    /// Unix time in nanoseconds at which the agent first saw it.
    pub first_seen: u64,
    /// Unix time in nanoseconds at which this was made.
    pub made: u64,
    /// How far the plugin has come.
    pub position: Position,
}

/// The checkpoint cannot be used; its file is treated as one never seen.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A newer agent wrote it.
    #[error("the checkpoint has version {found}, this agent knows versions up to {VERSION}")]
    NewerVersion {
        /// Its version.
        found: u8,
    },
    /// It is not what this agent writes.
    #[error("the checkpoint is damaged")]
    Damaged,
}

impl Checkpoint {
    /// As stored.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        rmp_serde::encode::write(&mut bytes, self).expect("writing plain data to memory cannot fail");
        bytes
    }

    /// From what was stored.
    pub fn decode(bytes: &[u8]) -> Result<Self, CheckpointError> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => rmp_serde::from_slice(rest).map_err(|_| CheckpointError::Damaged),
            Some((&found, _)) if found > VERSION => Err(CheckpointError::NewerVersion { found }),
            _ => Err(CheckpointError::Damaged),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::sources::file::identity::Fingerprint;

    #[test]
    fn a_checkpoint_reads_back_and_says_when_it_cannot() {
        let identity =
            Identity { device: 1, inode: 2, born: Some(3), fingerprint: Fingerprint::of(b"head"), epoch: 4 };
        let position = Position { done: 900, open: vec![(0, 700), (1, 800)] };
        let checkpoint = Checkpoint { identity, path: "/var/log/x".into(), first_seen: 5, made: 6, position };
        let mut bytes = checkpoint.encode();
        assert_eq!(Checkpoint::decode(&bytes).unwrap(), checkpoint);
        assert!(matches!(Checkpoint::decode(&bytes[..9]), Err(CheckpointError::Damaged)));
        assert!(matches!(Checkpoint::decode(&[]), Err(CheckpointError::Damaged)));
        bytes[0] = 9;
        assert!(matches!(Checkpoint::decode(&bytes), Err(CheckpointError::NewerVersion { found: 9 })));
    }

    #[test]
    fn a_position_takes_only_the_lines_of_open_records_again() {
        let position = Position { done: 900, open: vec![(0, 700)] };
        assert_eq!(position.read_from(), 700);
        assert!(position.takes(0, 750) && position.takes(1, 900));
        assert!(!position.takes(1, 750) && !position.takes(0, 650));
    }
}
