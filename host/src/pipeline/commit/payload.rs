//! A commit as the payload of one journal record.
//!
//! ```text
//! payload := version(u8) events samples writes
//! events  := count(u32) length(u32) MessagePack, `length` bytes: a list of frames as maps by field name
//! samples := likewise
//! writes  := MessagePack: a list of writes as maps by field name
//! ```
//!
//! Numbers are little-endian. Field names cost bytes, and buy that fields can be added: a commit must be
//! readable by the version that comes after an upgrade. Events and samples are apart, so that they are copied
//! into their lanes without being unpacked; who only wants frames does not unpack the writes.

use serde::de::DeserializeOwned;

use super::Commit;
use crate::model::{Frame, Lane};
use crate::state::Write;

/// What is written, and the newest that is read.
const VERSION: u8 = 1;

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

/// Frames of one lane, as they are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed<'a> {
    /// How many.
    pub count: u32,
    /// MessagePack: a list of them.
    pub frames: &'a [u8],
}

/// Packs a commit.
pub(super) fn encode(commit: &Commit) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    let mut payload = vec![VERSION];
    for lane in Lane::ALL {
        let frames: Vec<&Frame> =
            commit.frames.iter().filter(|frame| Lane::of(frame.kind()) == lane).collect();
        let head = payload.len();
        payload.extend([0; 8]);
        rmp_serde::encode::write_named(&mut payload, &frames)?;
        // Numbers that do not fit make the record too long anyway.
        let length = u32::try_from(payload.len() - head - 8).unwrap_or(u32::MAX);
        let count = u32::try_from(frames.len()).unwrap_or(u32::MAX);
        payload[head..head + 4].copy_from_slice(&count.to_le_bytes());
        payload[head + 4..head + 8].copy_from_slice(&length.to_le_bytes());
    }
    rmp_serde::encode::write_named(&mut payload, &commit.writes)?;
    Ok(payload)
}

/// The frames of a commit, from the payload of its record: events before samples.
pub fn frames(payload: &[u8]) -> Result<Vec<Frame>, DecodeError> {
    let [events, samples] = packed(payload)?;
    let mut frames: Vec<Frame> = unpack(events.frames, "events")?;
    frames.append(&mut unpack(samples.frames, "samples")?);
    Ok(frames)
}

/// The frames of a commit by lane, in the order of [`Lane::ALL`], as they are packed.
pub fn packed(payload: &[u8]) -> Result<[Packed<'_>; 2], DecodeError> {
    let (lanes, _) = split(payload)?;
    Ok(lanes)
}

/// The writes of a commit, from the payload of its record.
pub fn writes(payload: &[u8]) -> Result<Vec<Write>, DecodeError> {
    unpack(split(payload)?.1, "writes")
}

fn split(payload: &[u8]) -> Result<([Packed<'_>; 2], &[u8]), DecodeError> {
    let malformed = |reason: &str| DecodeError::Malformed { reason: reason.into() };
    let (&version, rest) = payload.split_first().ok_or_else(|| malformed("it is empty"))?;
    match version {
        VERSION => {}
        0 => return Err(malformed("its version is 0")),
        found => return Err(DecodeError::NewerVersion { found, known: VERSION }),
    }
    let (events, rest) = part(rest).ok_or_else(|| malformed("it ends in its events"))?;
    let (samples, writes) = part(rest).ok_or_else(|| malformed("it ends in its samples"))?;
    Ok(([events, samples], writes))
}

fn part(rest: &[u8]) -> Option<(Packed<'_>, &[u8])> {
    let (count, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (frames, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((Packed { count: u32::from_le_bytes(*count), frames }, rest))
}

fn unpack<T: DeserializeOwned>(packed: &[u8], what: &str) -> Result<T, DecodeError> {
    rmp_serde::from_slice(packed)
        .map_err(|error| DecodeError::Malformed { reason: format!("its {what} do not unpack: {error}") })
}
