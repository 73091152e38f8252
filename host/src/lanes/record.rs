//! A record of a lane: the frames that one commit adds to it.
//!
//! ```text
//! payload := version(u8) source-segment(u64) source-offset(u64) time(u64) first(u64) count(u32) frames
//! frames  := MessagePack: a list of frames as maps by field name
//! ```
//!
//! Numbers are little-endian.

use picket_journal::Position;

use crate::model::Frame;

/// What is written, and the newest that is read.
const VERSION: u8 = 1;

pub(super) const HEAD_BYTES: usize = 37;

/// What a record says of its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Where the commit ends in the journal.
    pub(super) source: Position,
    /// Unix time in nanoseconds at which it came into the lane.
    pub(super) time: u64,
    /// The number of its first frame in the lane, from 0.
    pub(super) first: u64,
    /// How many frames there are.
    pub(super) count: u32,
}

/// A record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A newer version wrote it.
    #[error(
        "it was written by a newer version (format {0}; this version knows up to {VERSION}): start the newer version"
    )]
    NewerVersion(
        /// Its version byte.
        u8,
    ),
    /// It is no record of a lane, though its checksum fits.
    #[error("it is no record of a lane")]
    Malformed,
    /// Its frames do not unpack.
    #[error("its frames do not unpack: {0}")]
    Frames(
        /// What the decoder says.
        String,
    ),
}

pub(super) fn encode(head: &Head, frames: &[u8], into: &mut Vec<u8>) {
    into.clear();
    into.push(VERSION);
    for number in [head.source.segment, head.source.offset, head.time, head.first] {
        into.extend(number.to_le_bytes());
    }
    into.extend(head.count.to_le_bytes());
    into.extend(frames);
}

pub(super) fn decode(payload: &[u8]) -> Result<(Head, &[u8]), RecordError> {
    match payload.first() {
        Some(&VERSION) => {}
        Some(&newer) if newer > VERSION => return Err(RecordError::NewerVersion(newer)),
        _ => return Err(RecordError::Malformed),
    }
    let (head, frames) = payload.split_at_checked(HEAD_BYTES).ok_or(RecordError::Malformed)?;
    let number = |at: usize| {
        let bytes = head[at..at + 8].try_into().expect("the head is long enough, as checked above");
        u64::from_le_bytes(bytes)
    };
    let count = head[33..37].try_into().expect("the head is long enough, as checked above");
    let head = Head {
        source: Position { segment: number(1), offset: number(9) },
        time: number(17),
        first: number(25),
        count: u32::from_le_bytes(count),
    };
    Ok((head, frames))
}

/// The frames of a record, from its payload.
pub fn frames(payload: &[u8]) -> Result<Vec<Frame>, RecordError> {
    unpack(decode(payload)?.1)
}

pub(super) fn unpack(packed: &[u8]) -> Result<Vec<Frame>, RecordError> {
    rmp_serde::from_slice(packed).map_err(|error| RecordError::Frames(error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_record_reads_back_as_written(
            segment: u64, offset: u64, time: u64, first: u64, count: u32, frames: Vec<u8>,
        ) {
            let head = Head { source: Position { segment, offset }, time, first, count };
            let mut payload = vec![0xff; 3];
            encode(&head, &frames, &mut payload);
            prop_assert_eq!(decode(&payload).unwrap(), (head, &frames[..]));
        }

        #[test]
        fn no_bytes_break_it(payload: Vec<u8>) {
            let _ = decode(&payload);
        }
    }

    #[test]
    fn what_is_no_record_says_so() {
        assert_eq!(decode(&[]), Err(RecordError::Malformed));
        assert_eq!(decode(&[0; 60]), Err(RecordError::Malformed));
        assert_eq!(decode(&[VERSION; 36]), Err(RecordError::Malformed));
        assert_eq!(decode(&[9; 60]), Err(RecordError::NewerVersion(9)));
    }
}
