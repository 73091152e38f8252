//! A commit as the payload of one journal record.
//!
//! ```text
//! payload := version(u8) length(u32, little-endian) frames writes
//! frames  := MessagePack, `length` bytes: a list of frames as maps by field name
//! writes  := MessagePack: a list of writes as maps by field name
//! ```
//!
//! Field names cost bytes, and buy that fields can be added: a commit must be readable by the version
//! that comes after an upgrade. Who only wants frames does not unpack the writes.

use serde::de::DeserializeOwned;

use super::Commit;
use crate::model::Frame;
use crate::state::Write;

/// What is written, and the newest that is read.
const VERSION: u8 = 1;

const HEAD_BYTES: usize = 5;

/// A payload cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A newer version wrote it.
    #[error(
        "it was written by a newer version (format {found}, this version knows up to {known}): start the newer version"
    )]
    NewerVersion {
        /// Its version.
        found: u8,
        /// The newest that this agent reads.
        known: u8,
    },
    /// It is no commit, though the record's checksum fits.
    #[error("it is no commit: {reason}")]
    Malformed {
        /// What does not fit.
        reason: String,
    },
}

/// Packs a commit.
pub(super) fn encode(commit: &Commit) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    let mut payload = vec![VERSION, 0, 0, 0, 0];
    rmp_serde::encode::write_named(&mut payload, &commit.frames)?;
    // A length that does not fit makes the record too long anyway.
    let length = u32::try_from(payload.len() - HEAD_BYTES).unwrap_or(u32::MAX);
    payload[1..HEAD_BYTES].copy_from_slice(&length.to_le_bytes());
    rmp_serde::encode::write_named(&mut payload, &commit.writes)?;
    Ok(payload)
}

/// The frames of a commit, from the payload of its record.
pub fn frames(payload: &[u8]) -> Result<Vec<Frame>, DecodeError> {
    unpack(split(payload)?.0, "frames")
}

/// The writes of a commit, from the payload of its record.
pub fn writes(payload: &[u8]) -> Result<Vec<Write>, DecodeError> {
    unpack(split(payload)?.1, "writes")
}

fn split(payload: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    let malformed = |reason: &str| DecodeError::Malformed { reason: reason.into() };
    let (&version, rest) = payload.split_first().ok_or_else(|| malformed("it is empty"))?;
    match version {
        VERSION => {}
        0 => return Err(malformed("its version is 0")),
        found => return Err(DecodeError::NewerVersion { found, known: VERSION }),
    }
    let (length, rest) = rest.split_first_chunk().ok_or_else(|| malformed("it ends in its head"))?;
    let length = u32::from_le_bytes(*length) as usize;
    rest.split_at_checked(length).ok_or_else(|| malformed("it ends in its frames"))
}

fn unpack<T: DeserializeOwned>(packed: &[u8], what: &str) -> Result<T, DecodeError> {
    rmp_serde::from_slice(packed)
        .map_err(|error| DecodeError::Malformed { reason: format!("its {what} do not unpack: {error}") })
}
