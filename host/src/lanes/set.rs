//! Both lanes, as readers see them: cheap to clone, for any thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use picket_journal::{JournalError, Position, Tail};
use serde::Serialize;

use super::floors::{END, Floors};
use super::lane::Writer;
use super::{LaneReader, Place};
use crate::model::Lane;

/// A lane cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its files.
    #[error("the lane `{}` cannot be opened: {source}", lane.name())]
    Journal {
        /// Which.
        lane: Lane,
        /// Why.
        source: JournalError,
    },
    /// A newer agent wrote it.
    #[error(
        "the lane `{}` was written by a newer version (format {found}): start the newer agent that wrote it",
        lane.name()
    )]
    NewerVersion {
        /// Which.
        lane: Lane,
        /// Its format.
        found: u8,
    },
    /// There is no thread for the feeder.
    #[error("cannot start the thread that fills the lanes: {0}")]
    Thread(#[from] std::io::Error),
}

/// How a lane is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Its name.
    pub lane: &'static str,
    /// Its size on disk.
    pub bytes: u64,
    /// Frames that ever came into it.
    pub frames: u64,
}

/// Wakes readers. A mutex and a condition variable: readers sleep until a lane grows, the feeder holds the lock
/// for one addition.
#[derive(Debug, Default)]
pub(super) struct Signal {
    version: Mutex<u64>,
    moved: Condvar,
}

impl Signal {
    pub(super) fn raise(&self) {
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.moved.notify_all();
    }
}

#[derive(Clone)]
struct One {
    tail: Tail,
    end: Arc<AtomicU64>,
}

/// The readers' side of the lanes.
#[derive(Clone)]
pub struct Lanes {
    lanes: [One; 2],
    floors: Floors,
    signal: Arc<Signal>,
}

impl Lanes {
    pub(super) fn new(writers: &[Writer; 2], floors: Floors, signal: Arc<Signal>) -> Self {
        let one = |writer: &Writer| One { tail: writer.tail(), end: writer.end() };
        Self { lanes: [one(&writers[0]), one(&writers[1])], floors, signal }
    }

    fn one(&self, lane: Lane) -> &One {
        &self.lanes[lane.index()]
    }

    /// A reader of a lane from a place on.
    pub fn reader(&self, lane: Lane, place: Place) -> LaneReader {
        let One { tail, end } = self.one(lane).clone();
        LaneReader::new(tail, end, place)
    }

    /// Where a lane ends now.
    pub fn end(&self, lane: Lane) -> Position {
        self.one(lane).tail.durable_end()
    }

    /// Says up to where a reader needs a lane no more. Call it after the place was put into the state: the feeder
    /// syncs the state before it acts on a floor, so that no start finds a cursor in deleted segments.
    pub fn set_floor(&self, reader: &str, lane: Lane, place: Place) {
        self.floors.set(reader, lane, place.position());
    }

    /// Says that a reader does not want a lane.
    pub fn leave(&self, reader: &str, lane: Lane) {
        self.floors.set(reader, lane, END);
    }

    /// Names all readers that there are. One that has never set its floor holds everything back. Until this is
    /// called nothing is given back, save at the lanes' bounds.
    pub fn set_readers(&self, names: &[String]) {
        self.floors.set_readers(names);
    }

    /// A number that grows whenever a lane does.
    pub fn version(&self) -> u64 {
        *self.signal.version.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a lane has grown since the version was asked for, or somebody calls [`wake`](Self::wake), or
    /// the timeout has passed.
    pub fn wait(&self, seen: u64, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let mut version = self.signal.version.lock().unwrap_or_else(PoisonError::into_inner);
        while *version == seen {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.signal.moved.wait_timeout(version, left);
            version = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Wakes all who wait.
    pub fn wake(&self) {
        self.signal.raise();
    }

    /// Whether nothing will follow.
    pub fn is_closed(&self) -> bool {
        self.lanes.iter().all(|one| one.tail.is_closed())
    }

    /// How each is doing.
    pub fn status(&self) -> [Status; 2] {
        Lane::ALL.map(|lane| {
            let One { tail, end } = self.one(lane);
            let bytes = tail.bytes_after(Position::ZERO);
            Status { lane: lane.name(), bytes, frames: end.load(Ordering::Acquire) }
        })
    }
}
