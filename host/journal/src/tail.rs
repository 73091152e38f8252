//! What readers see of the journal: how far it is durable, and where its segments end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::format::HEADER_BYTES;
use crate::{FileSystem, Position, Reader};

/// Name of a segment file.
pub(crate) fn segment_name(segment: u64) -> String {
    format!("{segment:020}.journal")
}

/// Shared by the writer and its readers.
pub(crate) struct Shared {
    pub(crate) fs: Arc<dyn FileSystem>,
    pub(crate) dir: PathBuf,
    // A mutex and a condition variable: readers sleep until the end moves, and the writer holds the
    // lock for a few instructions only, never during I/O.
    ends: Mutex<Ends>,
    moved: Condvar,
    damaged_places: AtomicU64,
    damaged_bytes: AtomicU64,
}

/// Durable facts only.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    /// Where the last durable record ends.
    pub(crate) durable: Position,
    /// Durable end of each segment.
    pub(crate) segments: BTreeMap<u64, u64>,
    /// The writer is gone; nothing will follow.
    pub(crate) closed: bool,
}

/// A piece of a segment that can be read.
pub(crate) struct Stretch {
    pub(crate) from: Position,
    /// Where the durable part of the segment ends.
    pub(crate) end: u64,
}

impl Ends {
    /// What follows a position, if anything durable does.
    pub(crate) fn after(&self, position: Position) -> Option<Stretch> {
        self.segments.range(position.segment..).find_map(|(&segment, &end)| {
            let offset = if segment == position.segment { position.offset } else { 0 }.max(HEADER_BYTES);
            (offset < end).then_some(Stretch { from: Position { segment, offset }, end })
        })
    }
}

impl Shared {
    pub(crate) fn new(fs: Arc<dyn FileSystem>, dir: PathBuf, ends: Ends) -> Self {
        Self {
            fs,
            dir,
            ends: Mutex::new(ends),
            moved: Condvar::new(),
            damaged_places: AtomicU64::new(0),
            damaged_bytes: AtomicU64::new(0),
        }
    }

    pub(crate) fn ends(&self) -> MutexGuard<'_, Ends> {
        // Every change is one assignment, so a panic elsewhere leaves it whole.
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the ends and wakes who waits for them.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Ends)) {
        change(&mut self.ends());
        self.moved.notify_all();
    }

    pub(crate) fn path(&self, segment: u64) -> PathBuf {
        self.dir.join(segment_name(segment))
    }

    pub(crate) fn count_damage(&self, bytes: u64) {
        self.damaged_places.fetch_add(1, Ordering::Relaxed);
        self.damaged_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Durable data that readers found damaged and skipped, since the journal was opened. Each reader
/// that comes by counts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Damage {
    /// How often something was skipped.
    pub places: u64,
    /// How much was skipped.
    pub bytes: u64,
}

/// The readers' side of a [`Journal`](crate::Journal). Cheap to clone; outlives the journal.
#[derive(Clone)]
pub struct Tail {
    pub(crate) shared: Arc<Shared>,
}

impl Tail {
    /// Where the last durable record ends. Nothing beyond it is ever read.
    pub fn durable_end(&self) -> Position {
        self.shared.ends().durable
    }

    /// Where the oldest segment that is left begins; [`durable_end`](Self::durable_end) when there
    /// is none.
    pub fn first(&self) -> Position {
        let ends = self.shared.ends();
        ends.segments
            .keys()
            .next()
            .map_or(ends.durable, |&segment| Position { segment, offset: HEADER_BYTES })
    }

    /// Where each segment that is left begins, the oldest first.
    pub fn segments(&self) -> Vec<Position> {
        let ends = self.shared.ends();
        ends.segments.keys().map(|&segment| Position { segment, offset: HEADER_BYTES }).collect()
    }

    /// Whether a durable record follows a position.
    pub fn has_more(&self, position: Position) -> bool {
        self.shared.ends().after(position).is_some()
    }

    /// Waits until a durable record follows a position, the timeout has passed, or the journal was
    /// closed. Says whether a record follows.
    pub fn wait_beyond(&self, position: Position, timeout: Duration) -> bool {
        self.wait_beyond_or(position, timeout, || false)
    }

    /// Likewise, and until `enough` says so, which is asked now and after each [`wake`](Self::wake).
    pub fn wait_beyond_or(&self, position: Position, timeout: Duration, enough: impl Fn() -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        let mut ends = self.shared.ends();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let more = ends.after(position).is_some();
            if more || ends.closed || left.is_zero() || enough() {
                return more;
            }
            let waited = self.shared.moved.wait_timeout(ends, left);
            ends = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Makes all who wait ask again whether it is enough.
    pub fn wake(&self) {
        // With the lock, so that nobody is between asking and falling asleep.
        let _ends = self.shared.ends();
        self.shared.moved.notify_all();
    }

    /// Whether the writer is gone, so that nothing will follow the durable end.
    pub fn is_closed(&self) -> bool {
        self.shared.ends().closed
    }

    /// A reader of everything durable behind a position. A position in a segment that was deleted
    /// stands for the start of the oldest one that is left.
    pub fn reader(&self, from: Position) -> Reader {
        Reader::new(self.shared.clone(), from)
    }

    /// How many durable bytes lie between a position and the durable end, headers included.
    pub fn bytes_after(&self, position: Position) -> u64 {
        let ends = self.shared.ends();
        ends.segments
            .range(position.segment..)
            .map(
                |(&segment, &end)| {
                    if segment == position.segment { end.saturating_sub(position.offset) } else { end }
                },
            )
            .sum()
    }

    /// Where the oldest segment begins from which on at most `bytes` are kept. Never behind the start of
    /// the last segment.
    pub fn keeping(&self, bytes: u64) -> Position {
        let ends = self.shared.ends();
        let mut kept = 0;
        let mut newest_first = ends.segments.iter().rev();
        let mut oldest = newest_first.next().map_or(ends.durable.segment, |(&segment, &end)| {
            kept = end;
            segment
        });
        for (&segment, &end) in newest_first {
            kept += end;
            if kept > bytes {
                break;
            }
            oldest = segment;
        }
        Position { segment: oldest, offset: 0 }
    }

    /// What readers had to skip because it was damaged.
    pub fn damage(&self) -> Damage {
        Damage {
            places: self.shared.damaged_places.load(Ordering::Relaxed),
            bytes: self.shared.damaged_bytes.load(Ordering::Relaxed),
        }
    }
}
