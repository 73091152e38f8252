//! The writer of one lane. It knows the journal that the lane is, and nothing of who reads it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use picket_journal::{FileSystem, Journal, JournalError, Position, Repair, Tail};

use super::config::Bounds;
use super::record::{self, Head};
use crate::model::Lane;

/// How far a lane has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mark {
    /// Up to where of the journal of commits.
    pub(super) source: Position,
    /// The number of the next frame.
    pub(super) next: u64,
}

/// The only writer of a lane.
pub(super) struct Writer {
    lane: Lane,
    journal: Journal,
    bounds: Bounds,
    /// Behind what was appended.
    written: Mark,
    /// Behind what readers see.
    durable: Mark,
    /// For readers: the number behind the durable end.
    end: Arc<AtomicU64>,
    /// When the first record of each segment came, Unix time in nanoseconds.
    starts: BTreeMap<u64, u64>,
    buffer: Vec<u8>,
}

impl Writer {
    /// Opens a lane below a folder and goes on behind its last record.
    pub(super) fn open(
        lane: Lane,
        fs: Arc<dyn FileSystem>,
        folder: &Path,
        bounds: Bounds,
    ) -> Result<(Self, Repair), JournalError> {
        let config = picket_journal::Config { segment_bytes: bounds.segment_bytes(), ..Default::default() };
        let (journal, repair) = Journal::open(fs, &folder.join(lane.name()), config)?;
        let tail = journal.tail();
        let mark = last_mark(&tail)?;
        let starts = starts(&tail)?;
        let end = Arc::new(AtomicU64::new(mark.next));
        let (written, durable) = (mark, mark);
        let writer = Self { lane, journal, bounds, written, durable, end, starts, buffer: Vec::new() };
        Ok((writer, repair))
    }

    pub(super) fn lane(&self) -> Lane {
        self.lane
    }

    pub(super) fn tail(&self) -> Tail {
        self.journal.tail()
    }

    /// The number behind the durable end, as readers see it.
    pub(super) fn end(&self) -> Arc<AtomicU64> {
        self.end.clone()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.journal.bytes()
    }

    /// Where the next commit to be appended may begin.
    pub(super) fn written(&self) -> Position {
        self.written.source
    }

    /// Up to where the journal of commits is not needed for this lane any more.
    pub(super) fn durable(&self) -> Position {
        self.durable.source
    }

    /// The journal of commits ends before what this lane has: its end was damaged or it was replaced. What
    /// comes now is new.
    pub(super) fn go_back_to(&mut self, end: Position) {
        self.written.source = self.written.source.min(end);
        self.durable.source = self.durable.source.min(end);
    }

    /// The number behind the durable end.
    pub(super) fn next(&self) -> u64 {
        self.durable.next
    }

    /// Frames up to this number were in the lane and cannot be had again: readers miss them by their numbers.
    pub(super) fn skip_to(&mut self, next: u64) {
        self.written.next = self.written.next.max(next);
        self.durable.next = self.durable.next.max(next);
        self.end.store(self.durable.next, Ordering::Release);
    }

    /// A position that somebody has kept is never given to another record.
    pub(super) fn advance_past(&mut self, position: Position) -> Result<(), JournalError> {
        self.journal.advance_past(position)
    }

    /// Appends the frames of the commit that ends at `source`, unless the lane has them. Says whether it did.
    pub(super) fn append(
        &mut self,
        source: Position,
        now: u64,
        count: u32,
        frames: &[u8],
    ) -> Result<bool, JournalError> {
        if source <= self.written.source {
            return Ok(false);
        }
        let first = self.written.next;
        if count > 0 {
            record::encode(&Head { source, time: now, first, count }, frames, &mut self.buffer);
            let end = self.journal.append(&self.buffer)?;
            self.starts.entry(end.segment).or_insert(now);
        }
        self.written = Mark { source, next: first + u64::from(count) };
        Ok(true)
    }

    /// Shows readers what was appended. After an error it has to be appended again.
    pub(super) fn sync(&mut self) -> Result<(), JournalError> {
        match self.journal.sync() {
            Ok(_) => {
                self.durable = self.written;
                self.end.store(self.durable.next, Ordering::Release);
                Ok(())
            }
            Err(error) => {
                self.written = self.durable;
                Err(error)
            }
        }
    }

    /// Whether a whole segment lies before a position.
    pub(super) fn has_segments_before(&self, floor: Position) -> bool {
        self.tail().first().segment < floor.segment.min(self.journal.durable_end().segment)
    }

    /// Gives back the room of what all readers have passed. Returns how many bytes.
    pub(super) fn release(&mut self, floor: Position) -> Result<u64, JournalError> {
        let freed = self.journal.delete_before(floor)?;
        self.forget_starts();
        Ok(freed)
    }

    /// Expels what is beyond the bounds. Returns how many bytes, those of the journal's own heads included.
    pub(super) fn expel(&mut self, now: u64) -> Result<u64, JournalError> {
        self.leave_old_segment(now)?;
        let bound = self.tail().keeping(self.bounds.max_bytes).max(self.too_old(now));
        if !self.has_segments_before(bound) {
            return Ok(0);
        }
        self.release(bound)
    }

    /// Behind the segments in which everything is older than the bound.
    fn too_old(&self, now: u64) -> Position {
        let oldest = now.saturating_sub(nanos(self.bounds.max_age));
        // Where a segment began, the one before it had ended.
        let begun = self.starts.iter().rev().find(|(_, start)| **start <= oldest);
        begun.map_or(Position::ZERO, |(&segment, _)| Position { segment, offset: 0 })
    }

    /// Ends a segment that has been written to for long, so that its first records can go when they are old.
    fn leave_old_segment(&mut self, now: u64) -> Result<(), JournalError> {
        let end = self.journal.durable_end();
        let age = nanos(self.bounds.segment_age());
        let is_old = |start: &u64| now.saturating_sub(*start) >= age;
        if self.written == self.durable && self.starts.get(&end.segment).is_some_and(is_old) {
            self.journal.advance_past(Position { segment: end.segment, offset: u64::MAX })?;
        }
        Ok(())
    }

    fn forget_starts(&mut self) {
        self.starts = self.starts.split_off(&self.tail().first().segment);
    }
}

fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Behind the last record, which is in the last segment that has one.
fn last_mark(tail: &Tail) -> Result<Mark, JournalError> {
    for segment in tail.segments().into_iter().rev() {
        let mut reader = tail.reader(segment);
        let mut last = None;
        while let Some(entry) = reader.next()? {
            // What cannot be read is skipped by readers as well, and missed by its number.
            if let Ok((head, _)) = record::decode(&entry.payload) {
                last = Some(Mark { source: head.source, next: head.first + u64::from(head.count) });
            }
        }
        if let Some(mark) = last {
            return Ok(mark);
        }
    }
    Ok(Mark::default())
}

/// When the first record of each segment came.
fn starts(tail: &Tail) -> Result<BTreeMap<u64, u64>, JournalError> {
    let mut starts = BTreeMap::new();
    for segment in tail.segments() {
        let Some(entry) = tail.reader(segment).next()? else { break };
        if let Ok((head, _)) = record::decode(&entry.payload)
            && entry.position.segment == segment.segment
        {
            starts.insert(segment.segment, head.time);
        }
    }
    Ok(starts)
}
