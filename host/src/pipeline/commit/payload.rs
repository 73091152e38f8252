//! A commit as the payload of one journal record.
//!
//! ```text
//! payload := version(u8) events samples writes
//! events  := count(u32) length(u32) MessagePack, `length` bytes: a list of frames as maps by field name
//! samples := likewise
//! writes  := MessagePack: a list of writes as maps by field name
//! ```
//!
//! In version 1 all frames stood in one list: `version(u8) length(u32) frames writes`.
//!
//! Numbers are little-endian. Field names cost bytes, and buy that fields can be added: a commit must be
//! readable by the version that comes after an upgrade. Events and samples are apart, so that they are copied
//! into their lanes without being unpacked; who only wants frames does not unpack the writes.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use super::Commit;
use crate::model::{Frame, Lane};
use crate::state::Write;

/// What is written, and the newest that is read.
const VERSION: u8 = 2;

/// The version that did not know lanes.
const WITHOUT_LANES: u8 = 1;

/// Count and length of a lane's part.
const PART_HEAD_BYTES: usize = 8;

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed<'a> {
    /// How many.
    pub count: u32,
    /// MessagePack: a list of them.
    pub frames: Cow<'a, [u8]>,
}

/// Packs a commit.
pub(super) fn encode(commit: &Commit) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    let mut payload = vec![VERSION];
    for lane in Lane::ALL {
        let head = payload.len();
        payload.extend([0; PART_HEAD_BYTES]);
        let count = pack(&commit.frames, lane, &mut payload)?;
        // Numbers that do not fit make the record too long anyway.
        let length = u32::try_from(payload.len() - head - PART_HEAD_BYTES).unwrap_or(u32::MAX);
        payload[head..head + 4].copy_from_slice(&count.to_le_bytes());
        payload[head + 4..head + PART_HEAD_BYTES].copy_from_slice(&length.to_le_bytes());
    }
    rmp_serde::encode::write_named(&mut payload, &commit.writes)?;
    Ok(payload)
}

/// Packs the frames of a lane behind what is there. Returns how many they are.
fn pack(frames: &[Frame], lane: Lane, into: &mut Vec<u8>) -> Result<u32, rmp_serde::encode::Error> {
    let frames: Vec<&Frame> = frames.iter().filter(|frame| Lane::of(frame.kind()) == lane).collect();
    rmp_serde::encode::write_named(into, &frames)?;
    Ok(u32::try_from(frames.len()).unwrap_or(u32::MAX))
}

/// The frames of a commit, from the payload of its record: events before samples.
pub fn frames(payload: &[u8]) -> Result<Vec<Frame>, DecodeError> {
    let [events, samples] = packed(payload)?;
    let mut frames: Vec<Frame> = unpack(&events.frames, "events")?;
    frames.append(&mut unpack(&samples.frames, "samples")?);
    Ok(frames)
}

/// The frames of a commit by lane, in the order of [`Lane::ALL`], as they are packed.
pub fn packed(payload: &[u8]) -> Result<[Packed<'_>; 2], DecodeError> {
    match split(payload)? {
        (Frames::ByLane(lanes), _) => Ok(lanes),
        (Frames::Mixed(frames), _) => {
            let frames: Vec<Frame> = unpack(frames, "frames")?;
            let packed = |lane| {
                let mut into = Vec::new();
                let count = pack(&frames, lane, &mut into).map_err(|error| malformed(&error.to_string()))?;
                Ok(Packed { count, frames: into.into() })
            };
            Ok([packed(Lane::Events)?, packed(Lane::Samples)?])
        }
    }
}

/// The writes of a commit, from the payload of its record.
pub fn writes(payload: &[u8]) -> Result<Vec<Write>, DecodeError> {
    unpack(split(payload)?.1, "writes")
}

/// The frames of a commit, as its version has them.
enum Frames<'a> {
    ByLane([Packed<'a>; 2]),
    Mixed(&'a [u8]),
}

fn split(payload: &[u8]) -> Result<(Frames<'_>, &[u8]), DecodeError> {
    let (&version, rest) = payload.split_first().ok_or_else(|| malformed("it is empty"))?;
    match version {
        VERSION => {
            let (events, rest) = part(rest).ok_or_else(|| malformed("it ends in its events"))?;
            let (samples, writes) = part(rest).ok_or_else(|| malformed("it ends in its samples"))?;
            Ok((Frames::ByLane([events, samples]), writes))
        }
        WITHOUT_LANES => {
            let (length, rest) = rest.split_first_chunk().ok_or_else(|| malformed("it ends in its head"))?;
            let length = u32::from_le_bytes(*length) as usize;
            let (frames, writes) =
                rest.split_at_checked(length).ok_or_else(|| malformed("it ends in its frames"))?;
            Ok((Frames::Mixed(frames), writes))
        }
        0 => Err(malformed("its version is 0")),
        found => Err(DecodeError::NewerVersion { found, known: VERSION }),
    }
}

fn malformed(reason: &str) -> DecodeError {
    DecodeError::Malformed { reason: reason.into() }
}

fn part(rest: &[u8]) -> Option<(Packed<'_>, &[u8])> {
    let (count, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (frames, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((Packed { count: u32::from_le_bytes(*count), frames: frames.into() }, rest))
}

fn unpack<T: DeserializeOwned>(packed: &[u8], what: &str) -> Result<T, DecodeError> {
    rmp_serde::from_slice(packed)
        .map_err(|error| DecodeError::Malformed { reason: format!("its {what} do not unpack: {error}") })
}
