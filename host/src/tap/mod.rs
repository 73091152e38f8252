//! Taps: whoever looks after a node sees what passes a point of its ways, as it passes. Those who hand something on
//! show it here; nothing waits for a tap, and as long as nobody taps it costs the look at one number.
//!
//! This module knows neither who shows nor who looks, keeps nothing, and does not decide who may look.

mod line;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::model::{Frame, Record, Stream, now_nanos};

pub use line::{Dropped, Line, MAX_TEXT, Outcome, Way};

/// Taps at once: each makes the lines that it shows anew, on the threads of those who show.
pub const MAX_TAPS: usize = 8;
/// Lines that wait for a reader; at most 1 KiB of text each. What comes on top is dropped and counted.
const QUEUE: usize = 256;
/// Lines in a second when nothing else is asked for: what a person can follow.
pub const DEFAULT_LIMIT: u32 = 10;
/// More would make showing a load of its own.
pub const MAX_LIMIT: u32 = 1000;
/// The time that a limit is for.
const WINDOW: Duration = Duration::from_secs(1);

/// A place where something passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// Which part of the way.
    pub way: Way,
    /// Its name in the configuration.
    pub name: String,
}

/// Why there is no tap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoTap {
    /// As many are open as may be.
    #[error("{MAX_TAPS} taps are open, and more are not possible; end one of them")]
    TooMany,
    /// The agent stops.
    #[error("the agent is stopping")]
    Stopping,
}

/// All taps of an agent. Clones share the same.
#[derive(Clone, Default)]
pub struct Taps(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// How many are open, for those who show: without any they need no lock.
    count: AtomicUsize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    taps: Vec<Arc<Tap>>,
    next: u64,
    ended: bool,
}

struct Tap {
    id: u64,
    point: Point,
    pace: Mutex<Pace>,
    sender: mpsc::Sender<String>,
}

/// How much a tap may still show.
struct Pace {
    limit: u32,
    /// Of the current second.
    left: u32,
    since: Instant,
    /// What was not shown and not yet told.
    dropped: u64,
}

/// The looking end of a tap. Dropping it closes the tap.
pub struct Tapped {
    taps: Taps,
    id: u64,
    receiver: mpsc::Receiver<String>,
}

impl Taps {
    /// Opens a tap that shows at most so many lines in a second, from 1 to [`MAX_LIMIT`]; others are brought within.
    pub fn open(&self, point: Point, limit: u32) -> Result<Tapped, NoTap> {
        let mut open = lock(&self.0.open);
        if open.ended {
            return Err(NoTap::Stopping);
        }
        if open.taps.len() >= MAX_TAPS {
            return Err(NoTap::TooMany);
        }
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (id, limit) = (open.next, limit.clamp(1, MAX_LIMIT));
        let pace = Mutex::new(Pace { limit, left: limit, since: Instant::now(), dropped: 0 });
        open.next += 1;
        open.taps.push(Arc::new(Tap { id, point, pace, sender }));
        self.0.count.store(open.taps.len(), Ordering::Relaxed);
        Ok(Tapped { taps: self.clone(), id, receiver })
    }

    /// Ends all taps for good: their readers get what waits, and then the end.
    pub fn end(&self) {
        let mut open = lock(&self.0.open);
        open.ended = true;
        open.taps.clear();
        self.0.count.store(0, Ordering::Relaxed);
    }

    /// Shows records of a source, which lie in `data`.
    pub fn records(&self, stream: &Stream, data: &[u8], records: &[Record]) {
        self.show(Way::Source, &stream.source, records.len(), |at| {
            let record = records[at];
            let bytes = data.get(record.start as usize..record.end as usize).unwrap_or_default();
            Line::of_record(&stream.source, &stream.name, record.offset, bytes)
        });
    }

    /// Shows frames that a plugin has committed.
    pub fn committed(&self, plugin: &str, frames: &[Frame]) {
        self.show(Way::Plugin, plugin, frames.len(), |at| {
            Line::of_frame(Way::Plugin, plugin, &frames[at], None)
        });
    }

    /// Shows frames that were handed over to a receiver, with what became of the one at each place.
    pub fn handed_over(&self, forwarder: &str, frames: &[Frame], outcome: impl Fn(usize) -> Outcome) {
        self.show(Way::Forwarder, forwarder, frames.len(), |at| {
            Line::of_frame(Way::Forwarder, forwarder, &frames[at], Some(outcome(at)))
        });
    }

    /// Makes lines for those who look at a point, and only as many as they may see.
    fn show(&self, way: Way, name: &str, count: usize, line: impl Fn(usize) -> Line) {
        if count == 0 || self.0.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let here = |tap: &&Arc<Tap>| tap.point.way == way && tap.point.name == name;
        let taps: Vec<Arc<Tap>> = lock(&self.0.open).taps.iter().filter(here).cloned().collect();
        for tap in taps {
            tap.take(Instant::now(), count, &line);
        }
    }

    fn close(&self, id: u64) {
        let mut open = lock(&self.0.open);
        open.taps.retain(|tap| tap.id != id);
        self.0.count.store(open.taps.len(), Ordering::Relaxed);
    }
}

impl Tap {
    /// Queues what may be shown of `count` lines, and counts the rest. Never waits for the reader.
    fn take(&self, now: Instant, count: usize, line: &impl Fn(usize) -> Line) {
        let mut pace = lock(&self.pace);
        if now.saturating_duration_since(pace.since) >= WINDOW {
            (pace.since, pace.left) = (now, pace.limit);
        }
        let shown = count.min(pace.left as usize);
        for at in 0..shown {
            if pace.dropped > 0 && self.send(&Dropped { dropped: pace.dropped }) {
                pace.dropped = 0;
            }
            let line = Line { time: now_nanos(), ..line(at) };
            pace.left -= 1;
            if !self.send(&line) {
                // Nobody reads: no more lines are made for nobody.
                pace.dropped += (shown - at) as u64;
                break;
            }
        }
        pace.dropped += (count - shown) as u64;
    }

    fn send(&self, line: &impl serde::Serialize) -> bool {
        let mut text = serde_json::to_string(line).expect("plain data always encodes into memory");
        text.push('\n');
        self.sender.try_send(text).is_ok()
    }
}

impl Tapped {
    /// The next line, as JSON with its line end; none when the agent stops.
    pub fn poll_line(&mut self, context: &mut Context<'_>) -> Poll<Option<String>> {
        self.receiver.poll_recv(context)
    }
}

impl Drop for Tapped {
    fn drop(&mut self) {
        self.taps.close(self.id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Counts and lists are whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
