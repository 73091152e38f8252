//! The writer of one lane. It knows the journal that the lane is, and nothing of who reads it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use picket_journal::{Entry, FileSystem, Journal, JournalError, Position, Reader, Repair, Tail};

use super::OpenError;
use super::config::Bounds;
use super::record::{self, Head, RecordError};
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
    /// When the first record of a segment came, Unix time in nanoseconds, as far as it was asked for: a start
    /// with a long backlog must not look into all of it.
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
    ) -> Result<(Self, Repair), OpenError> {
        let failed = |source| OpenError::Journal { lane, source };
        let config = picket_journal::Config { segment_bytes: bounds.segment_bytes(), ..Default::default() };
        let (journal, repair) = Journal::open(fs, &folder.join(lane.name()), config).map_err(failed)?;
        let tail = journal.tail();
        let mark = last_mark(&tail, lane)?;
        let end = Arc::new(AtomicU64::new(mark.next));
        let (written, durable) = (mark, mark);
        let (starts, buffer) = (BTreeMap::new(), Vec::new());
        let writer = Self { lane, journal, bounds, written, durable, end, starts, buffer };
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
            // Here as well: the agent may not have run for long.
            self.leave_old_segment(now)?;
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

    /// Deletes the segments before one. Returns how many bytes that was.
    pub(super) fn release(&mut self, floor: Position) -> Result<u64, JournalError> {
        let freed = self.journal.delete_before(floor)?;
        self.forget_starts();
        Ok(freed)
    }

    /// Before this lies what is beyond the bounds.
    pub(super) fn bound(&mut self, now: u64) -> Result<Position, JournalError> {
        self.leave_old_segment(now)?;
        Ok(self.tail().keeping(self.bounds.max_bytes).max(self.too_old(now)))
    }

    /// Behind the segments in which everything is older than the bound.
    ///
    /// The last one stays, however old: it has the lane's number, and costs little.
    fn too_old(&mut self, now: u64) -> Position {
        let oldest = now.saturating_sub(nanos(self.bounds.max_age));
        let age = nanos(self.bounds.segment_age());
        let mut bound = Position::ZERO;
        let segments: Vec<u64> = self.tail().segments().into_iter().map(|begin| begin.segment).collect();
        for (segment, behind) in segments.iter().zip(segments.iter().skip(1)) {
            // It was left at its age, and where the next one began it had ended.
            let left = self.start_of(*segment).map(|start| start.saturating_add(age));
            let followed = self.start_of(*behind);
            match left.into_iter().chain(followed).min() {
                Some(ended) if ended <= oldest => bound = Position { segment: *behind, offset: 0 },
                Some(_) => break,
                // Nothing in it can be read; it goes with the one behind it.
                None => {}
            }
        }
        bound
    }

    /// When the first record of a segment came; none when it has none that can be read.
    fn start_of(&mut self, segment: u64) -> Option<u64> {
        if let Some(start) = self.starts.get(&segment) {
            return Some(*start);
        }
        let entry = persistently(&mut self.tail().reader(Position { segment, offset: 0 })).ok()??;
        let (head, _) = record::decode(&entry.payload).ok()?;
        (entry.position.segment == segment).then(|| {
            self.starts.insert(segment, head.time);
            head.time
        })
    }

    /// Ends a segment that has been written to for long, so that its first records can go when they are old.
    fn leave_old_segment(&mut self, now: u64) -> Result<(), JournalError> {
        let end = self.journal.durable_end();
        let age = nanos(self.bounds.segment_age());
        let is_old = |start: u64| now.saturating_sub(start) >= age;
        if self.written == self.durable && self.start_of(end.segment).is_some_and(is_old) {
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
fn last_mark(tail: &Tail, lane: Lane) -> Result<Mark, OpenError> {
    let failed = |source| OpenError::Journal { lane, source };
    for segment in tail.segments().into_iter().rev() {
        let mut reader = tail.reader(segment);
        let mut last = None;
        while let Some(entry) = persistently(&mut reader).map_err(failed)? {
            match record::decode(&entry.payload) {
                Ok((head, _)) => {
                    last = Some(Mark { source: head.source, next: head.first + u64::from(head.count) });
                }
                Err(RecordError::NewerVersion(found)) => return Err(OpenError::NewerVersion { lane, found }),
                // Skipped by readers as well, and missed by its number.
                Err(_) => {}
            }
        }
        if let Some(mark) = last {
            return Ok(mark);
        }
    }
    Ok(Mark::default())
}

/// The next record, behind a place that cannot be read if there is one: a reader passes it over once it has failed
/// there a few times.
pub(super) fn persistently(reader: &mut Reader) -> Result<Option<Entry>, JournalError> {
    const TRIES: usize = 4;
    for _ in 1..TRIES {
        if let Ok(found) = reader.next() {
            return Ok(found);
        }
    }
    reader.next()
}
