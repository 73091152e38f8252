//! The readers' side of one lane: frames behind a place, and how many were lost on the way.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use picket_journal::{JournalError, Position, Reader, Tail};
use serde::{Deserialize, Serialize};

use super::record::{self, Head};
use crate::model::Frame;

/// A place between two records of a lane, as a reader keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Place {
    segment: u64,
    offset: u64,
    /// The number of the next frame; none when nothing was read yet.
    next: Option<u64>,
}

impl Place {
    /// In the lane's files.
    pub fn position(&self) -> Position {
        Position { segment: self.segment, offset: self.offset }
    }

    /// The number of the next frame; none when nothing was read yet.
    pub fn next(&self) -> Option<u64> {
        self.next
    }

    /// Behind a position, where the frame with this number comes next.
    pub(crate) fn new(position: Position, next: Option<u64>) -> Self {
        Self { segment: position.segment, offset: position.offset, next }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.position().fmt(f)
    }
}

/// What one record of a lane holds.
#[derive(Debug, PartialEq)]
pub struct Batch {
    /// Its frames, at least one.
    pub frames: Vec<Frame>,
    /// Its bytes in the lane.
    pub bytes: usize,
    /// Where it begins.
    pub position: Position,
    /// The number of its first frame.
    pub first: u64,
    /// Behind it.
    pub place: Place,
    /// What was missing before it.
    pub lost: Lost,
}

/// Frames that a reader should have found and did not, by cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    /// The lane's bound of size or age had deleted them.
    pub expelled: u64,
    /// They cannot be read any more.
    pub damaged: u64,
}

/// How much a reader has still to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Queued {
    /// Bytes in the lane.
    pub bytes: u64,
    /// Frames, those that were lost on the way included.
    pub frames: u64,
}

/// Reads a lane from a place on.
pub struct LaneReader {
    tail: Tail,
    reader: Reader,
    place: Place,
    /// Since the last record that was returned.
    lost: Lost,
    end: Arc<AtomicU64>,
    /// What comes first behind a place, so that it is read once.
    front: Option<(Place, Front)>,
}

/// What a record says of itself before its frames are unpacked.
#[derive(Debug, Clone, Copy)]
struct Front {
    /// When it came into the lane, Unix time in nanoseconds.
    time: u64,
    /// The number of its first frame.
    first: u64,
}

impl LaneReader {
    pub(super) fn new(tail: Tail, end: Arc<AtomicU64>, place: Place) -> Self {
        let reader = tail.reader(place.position());
        Self { tail, reader, place, lost: Lost::default(), end, front: None }
    }

    /// Goes to a place.
    pub fn seek(&mut self, place: Place) {
        if self.place != place {
            self.reader = self.tail.reader(place.position());
            (self.place, self.lost) = (place, Lost::default());
        }
    }

    /// Behind what was read last. Damage at the end of the lane is passed over silently: the next record's
    /// number will tell.
    pub fn place(&self) -> Place {
        Place::new(self.reader.position(), self.place.next)
    }

    /// The next record that is durable; none at the end. What cannot be read is passed over and counts as lost.
    /// An error leaves the reader where it is.
    #[expect(
        clippy::should_implement_trait,
        reason = "an error leaves it where it is, which no iterator does"
    )]
    pub fn next(&mut self) -> Result<Option<Batch>, JournalError> {
        loop {
            let Some(entry) = self.reader.next()? else { return Ok(None) };
            let (head, packed) = match record::decode(&entry.payload) {
                Ok(found) => found,
                Err(error) => {
                    tracing::error!(position = %entry.position, %error, "A record of a lane cannot be read.");
                    continue;
                }
            };
            let behind = head.first.saturating_add(u64::from(head.count));
            // Made again after damage: of what this reader has had, nothing comes twice.
            let had = self.place.next.unwrap_or(0).saturating_sub(head.first).min(u64::from(head.count));
            self.miss(&head, entry.position);
            self.place = Place::new(entry.next, Some(behind.max(self.place.next.unwrap_or(0))));
            if had == u64::from(head.count) {
                continue;
            }
            match record::unpack(packed) {
                Ok(mut frames) => {
                    frames.drain(..frames.len().min(usize::try_from(had).unwrap_or(usize::MAX)));
                    let lost = std::mem::take(&mut self.lost);
                    let (bytes, place) = (entry.payload.len(), self.place);
                    let (position, first) = (entry.position, head.first.saturating_add(had));
                    return Ok(Some(Batch { frames, bytes, position, first, place, lost }));
                }
                Err(error) => {
                    tracing::error!(position = %entry.position, %error, "Frames of a lane cannot be read.");
                    self.lost.damaged += u64::from(head.count);
                }
            }
        }
    }

    /// Counts what should have come before a record. Who begins with nothing misses nothing.
    fn miss(&mut self, head: &Head, found: Position) {
        let missing = head.first.saturating_sub(self.place.next.unwrap_or(head.first));
        // Expelled are whole segments from the old end: then the reader's own is among them, and what it finds
        // is the beginning of the oldest.
        let first = self.tail.first();
        match self.place.segment < first.segment && found.segment <= first.segment {
            true => self.lost.expelled += missing,
            false => self.lost.damaged += missing,
        }
    }

    /// When the first record behind a place came into the lane, Unix time in nanoseconds; none when there is none.
    pub fn oldest(&mut self, place: Place) -> Option<u64> {
        self.front(place).map(|front| front.time)
    }

    fn front(&mut self, place: Place) -> Option<Front> {
        if let Some((_, front)) = self.front.filter(|(known, _)| *known == place) {
            return Some(front);
        }
        let entry = self.tail.reader(place.position()).next().ok()??;
        let (Head { time, first, .. }, _) = record::decode(&entry.payload).ok()?;
        self.front = Some((place, Front { time, first }));
        Some(Front { time, first })
    }

    /// Whether a durable record follows a place.
    pub fn has_more(&self, place: Place) -> bool {
        self.tail.has_more(place.position())
    }

    /// What lies behind a place.
    pub fn queued(&mut self, place: Place) -> Queued {
        if !self.has_more(place) {
            return Queued::default();
        }
        let next = place.next.or_else(|| self.front(place).map(|front| front.first));
        let end = self.end.load(Ordering::Acquire);
        Queued {
            bytes: self.tail.bytes_after(place.position()),
            frames: end.saturating_sub(next.unwrap_or(end)),
        }
    }
}
