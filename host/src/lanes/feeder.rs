//! The thread that copies results from the journal of commits into the lanes, and gives room back.
//!
//! It reads behind the journal's durable end only, and a lane is durable before the journal may forget what
//! came into it: a crash at any moment loses nothing and repeats nothing.

use std::convert::Infallible;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use picket_journal::{FileSystem, JournalError, Position, Reader, Tail};

use super::floors::Floors;
use super::lane::Writer;
use super::set::Signal;
use super::{Config, Lanes, Metrics, OpenError, Place, mend};
use crate::model::{Lane, now_nanos};
use crate::pipeline::commit::{self, Committer};
use crate::state::State;

/// The name under which the journal of commits is kept for the lanes.
const READER: &str = "lanes";
/// Lanes are synced as often, so that a forwarder sees a result at most so much later.
const SYNC_EVERY: Duration = Duration::from_millis(100);
/// And after this many bytes.
const SYNC_BYTES: usize = 4 << 20;
/// How often room is given back.
const RELEASE_EVERY: Duration = Duration::from_secs(1);
/// How long the thread sleeps when nothing comes: room is given back so late at most.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);
/// The pause after a failed write.
const RETRY: Duration = Duration::from_secs(1);

/// The running thread. Dropping it stops it, once what is committed is in the lanes.
pub struct Feeder {
    shared: Arc<Shared>,
    tail: Tail,
    lanes: Lanes,
    ended: Receiver<Infallible>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// Somebody waits for what is committed now.
    hurry: AtomicBool,
    /// Up to where the lanes are durable. Held for a copy.
    durable: Mutex<Position>,
}

/// What the lanes stand between.
pub struct Deps {
    /// Gives the journal of commits to read, and keeps it until the lanes have it.
    pub committer: Committer,
    /// Where readers keep their places.
    pub state: State,
    /// The places that readers have kept, as far as they are known: what comes now lies behind all of them,
    /// also when a lane's end was damaged or its folder is gone.
    pub kept: Vec<[Place; 2]>,
    /// What is counted.
    pub metrics: Metrics,
}

/// Opens the lanes below a folder and starts to fill them.
pub fn start(
    fs: &Arc<dyn FileSystem>,
    folder: &Path,
    config: &Config,
    deps: Deps,
) -> Result<(Lanes, Feeder), OpenError> {
    let Deps { committer, state, kept, metrics } = deps;
    let open = |lane: Lane| {
        let failed = |source| OpenError::Journal { lane, source };
        let (mut writer, repair) = Writer::open(lane, fs.clone(), folder, config.of(lane))?;
        for place in kept.iter().map(|places| places[lane.index()]) {
            writer.advance_past(place.position()).map_err(failed)?;
        }
        if !repair.is_clean() {
            tracing::warn!(lane = lane.name(), %repair, "A lane was repaired after a crash.");
        }
        Ok::<_, OpenError>(writer)
    };
    let writers = [open(Lane::Events)?, open(Lane::Samples)?];
    let (floors, signal) = (Floors::default(), Arc::new(Signal::default()));
    let lanes = Lanes::new(&writers, floors.clone(), signal.clone());
    let (tail, shared) = (committer.tail(), Arc::new(Shared::default()));
    let mut run = Run {
        reader: tail.reader(Position::ZERO),
        tail: tail.clone(),
        writers,
        committer,
        state,
        floors,
        signal,
        metrics,
        shared: shared.clone(),
        unsynced: 0,
        synced_at: Instant::now(),
        released_at: Instant::now(),
        noted: [0; 2],
        least: Position::ZERO,
    };
    run.find_place(&kept)?;
    run.committer.set_readers(&[READER.to_owned()]);
    let (lives, ended) = bounded(0);
    let thread = std::thread::Builder::new().name("lanes".into()).spawn(move || {
        let _lives: Sender<Infallible> = lives;
        run.run();
    })?;
    let feeder = Feeder { shared, tail, lanes: lanes.clone(), ended, thread: Some(thread) };
    Ok((lanes, feeder))
}

impl Feeder {
    /// Waits until what is committed now is in the lanes, at most until a moment. Says whether it is.
    pub fn settle(&self, until: Instant) -> bool {
        let end = self.tail.durable_end();
        loop {
            let seen = self.lanes.version();
            if self.shared.durable() >= end {
                return true;
            }
            self.shared.hurry.store(true, Ordering::Release);
            self.tail.wake();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            self.lanes.wait(seen, left.min(SYNC_EVERY));
        }
    }

    /// A channel that is closed when the thread has ended, which it does unasked only by a panic: nothing reaches
    /// a receiver any more, and the journal has all that was committed.
    pub fn ended(&self) -> Receiver<Infallible> {
        self.ended.clone()
    }

    /// Stops the thread, once what is committed is in the lanes or cannot be written.
    pub fn stop(mut self) {
        self.join();
    }

    fn join(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.tail.wake();
        let Some(thread) = self.thread.take() else { return };
        if thread.join().is_err() {
            tracing::error!("The thread that fills the lanes panicked; it goes on at the next start.");
        }
        self.lanes.wake();
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.join();
    }
}

impl Shared {
    fn durable(&self) -> Position {
        *self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread's own.
struct Run {
    writers: [Writer; 2],
    /// Of the journal of commits.
    reader: Reader,
    tail: Tail,
    committer: Committer,
    state: State,
    floors: Floors,
    signal: Arc<Signal>,
    metrics: Metrics,
    shared: Arc<Shared>,
    /// Bytes copied since the last sync.
    unsynced: usize,
    synced_at: Instant,
    released_at: Instant,
    /// The numbers that the state has.
    noted: [u64; 2],
    /// Up to where the lanes have had the journal at the start.
    least: Position,
}

impl Run {
    /// Goes on behind what the lanes have.
    fn find_place(&mut self, kept: &[[Place; 2]]) -> Result<(), OpenError> {
        let (first, end) = (self.tail.first(), self.tail.durable_end());
        let floor = self.committer.floor(READER);
        let mut whole = true;
        for writer in &mut self.writers {
            if writer.written() > end {
                tracing::error!(lane = writer.lane().name(), journal = %end,
                    "The journal ends before the lane does: its end was damaged or its folder replaced.");
                writer.go_back_to(end);
            }
            let lane = writer.lane();
            let known = kept.iter().filter_map(|places| places[lane.index()].next()).max().unwrap_or(0);
            let known = known.max(noted_next(&self.state, lane));
            if known > writer.next() {
                whole = false;
                mend::end(&self.tail, writer, known, &self.metrics)?;
            }
            // A lane that nothing came into stands far behind what it was looked through for.
            let from = floor.map(|floor| writer.written().max(floor));
            if let Some(from) = from.filter(|from| from.segment + 1 < first.segment && *from != end) {
                tracing::error!(lane = writer.lane().name(), lane_end = %from, journal = %first,
                    "The journal begins behind the lane's end: results between the two are lost.");
                self.metrics.gap(writer.lane());
            }
        }
        // Lanes that are whole have all up to there, though their last records may be older.
        self.least = floor.filter(|_| whole).unwrap_or(Position::ZERO).min(end);
        self.go_back();
        self.show();
        Ok(())
    }

    /// To the lane that has come least far.
    fn go_back(&mut self) {
        let from = self.writers.iter().map(Writer::written).min().unwrap_or(Position::ZERO).max(self.least);
        self.reader = self.tail.reader(from);
    }

    fn run(mut self) {
        loop {
            // Looked at first: what was committed before the stop is copied.
            let stop = self.shared.stop.load(Ordering::Acquire) || self.tail.is_closed();
            let hurry = self.shared.hurry.swap(false, Ordering::AcqRel) || stop;
            let copied = self.copy();
            let due = hurry || self.synced_at.elapsed() >= SYNC_EVERY || self.unsynced >= SYNC_BYTES;
            let synced = if due || copied.is_err() { self.sync() } else { Ok(()) };
            self.release();
            let failed = copied.is_err() || synced.is_err();
            if stop && (failed || !self.tail.has_more(self.reader.position())) {
                self.note_next();
                return;
            }
            match failed {
                true => std::thread::park_timeout(RETRY),
                false => {
                    let asked = || {
                        self.shared.hurry.load(Ordering::Acquire) || self.shared.stop.load(Ordering::Acquire)
                    };
                    self.tail.wait_beyond_or(self.reader.position(), self.sleep(), asked);
                }
            }
        }
    }

    /// Until something has to be done though nothing comes.
    fn sleep(&self) -> Duration {
        match self.unsynced {
            0 => LONGEST_SLEEP,
            _ => SYNC_EVERY.saturating_sub(self.synced_at.elapsed()),
        }
    }

    /// Copies what there is, up to what is worth a sync.
    fn copy(&mut self) -> Result<(), JournalError> {
        while self.unsynced < SYNC_BYTES {
            let damaged = self.tail.damage().bytes;
            let before = self.reader.position().segment;
            let next = self.reader.next();
            let skipped = self.tail.damage().bytes.saturating_sub(damaged);
            if skipped > 0 {
                tracing::error!(
                    bytes = skipped,
                    "The journal is damaged: results in it are lost to the lanes."
                );
                Lane::ALL.iter().for_each(|lane| self.metrics.gap(*lane));
            }
            let entry = match next {
                Ok(Some(entry)) => entry,
                Ok(None) => return Ok(()),
                Err(error) => {
                    tracing::error!(%error, "The journal cannot be read for the lanes now.");
                    return Err(error);
                }
            };
            if before != 0 && before < self.tail.first().segment && entry.position.segment > before + 1 {
                tracing::error!("The journal has given up results before they came into the lanes.");
                Lane::ALL.iter().for_each(|lane| self.metrics.gap(*lane));
            }
            let packed = match commit::packed(&entry.payload) {
                Ok(packed) => packed,
                Err(error) => {
                    tracing::error!(position = %entry.position, %error,
                        "A commit in the journal cannot be read and is passed over.");
                    Lane::ALL.iter().for_each(|lane| self.metrics.gap(*lane));
                    continue;
                }
            };
            let now = now_nanos();
            for (writer, packed) in self.writers.iter_mut().zip(packed) {
                match writer.append(entry.next, now, packed.count, &packed.frames) {
                    Ok(true) => self.metrics.came(writer.lane(), packed.count),
                    Ok(false) => {}
                    Err(error) => {
                        let error = tell(&self.metrics, writer.lane(), error);
                        self.go_back();
                        return Err(error);
                    }
                }
                self.unsynced += packed.frames.len();
            }
            // Nothing in it is for readers, and still the journal need not be kept for it.
            self.unsynced += 1;
        }
        Ok(())
    }

    /// Makes durable and shows what was copied; after a failure it is copied again.
    fn sync(&mut self) -> Result<(), JournalError> {
        self.synced_at = Instant::now();
        if self.unsynced == 0 {
            return Ok(());
        }
        let mut outcome = Ok(());
        for writer in &mut self.writers {
            if let Err(error) = writer.sync() {
                outcome = Err(tell(&self.metrics, writer.lane(), error));
            }
        }
        match outcome {
            Ok(()) => self.unsynced = 0,
            Err(_) => self.go_back(),
        }
        self.show();
        outcome
    }

    /// Says how far the lanes are durable.
    fn show(&self) {
        let durable =
            self.writers.iter().map(Writer::durable).min().unwrap_or(Position::ZERO).max(self.least);
        *self.shared.durable.lock().unwrap_or_else(PoisonError::into_inner) = durable;
        self.committer.set_floor(READER, durable);
        for writer in &self.writers {
            self.metrics.size(writer.lane(), writer.bytes());
        }
        self.signal.raise();
    }

    /// Notes in the state how far the lanes are durable, when that has changed.
    fn note_next(&mut self) {
        for (writer, noted) in self.writers.iter().zip(&mut self.noted) {
            let (lane, next) = (writer.lane(), writer.next());
            if *noted == next {
                continue;
            }
            match self.state.meta_put(&next_name(lane), next.to_le_bytes().to_vec()) {
                Ok(()) => *noted = next,
                Err(error) => {
                    tracing::debug!(lane = lane.name(), %error, "It is noted later how far a lane is.")
                }
            }
        }
    }

    /// Gives back what all readers have passed, and what is beyond the bounds.
    fn release(&mut self) {
        if self.released_at.elapsed() < RELEASE_EVERY {
            return;
        }
        self.released_at = Instant::now();
        self.note_next();
        // Read before the sync: each stands for a cursor that is in the state by now. A segment at whose very end a
        // cursor stands goes when the cursor is in the next one, so that what is asked here is what is done below.
        let floors = Lane::ALL.map(|lane| Position { offset: 0, ..self.floors.of(lane) });
        let now = now_nanos();
        let bounds = self.writers.each_mut().map(|writer| writer.bound(now));
        let gone = self.writers.iter().zip(floors).zip(&bounds).any(|((writer, floor), bound)| {
            writer.has_segments_before(floor.max(bound.as_ref().copied().unwrap_or(Position::ZERO)))
        });
        if gone && let Err(error) = self.state.sync() {
            tracing::warn!(%error, "Cursors cannot be made durable; the lanes keep what they have passed.");
            return;
        }
        for ((writer, floor), bound) in self.writers.iter_mut().zip(floors).zip(bounds) {
            let lane = writer.lane();
            let outcome = bound.and_then(|bound| writer.release(floor).and_then(|_| writer.release(bound)));
            match outcome {
                Ok(0) => {}
                Ok(bytes) => {
                    self.metrics.expelled(lane, bytes);
                    tracing::error!(
                        lane = lane.name(),
                        bytes,
                        "A lane has reached its bound of size or age; a forwarder that lags has lost results."
                    );
                }
                Err(error) => drop(tell(&self.metrics, lane, error)),
            }
            self.metrics.size(lane, writer.bytes());
        }
    }
}

/// The name of the fact that says which number comes next in a lane, so that a start knows what its end had.
fn next_name(lane: Lane) -> String {
    format!("lane/{}", lane.name())
}

fn noted_next(state: &State, lane: Lane) -> u64 {
    // What cannot be read is put again soon.
    let noted = state.meta_get(&next_name(lane)).ok().flatten();
    noted.and_then(|noted| noted.try_into().ok()).map_or(0, u64::from_le_bytes)
}

fn tell(metrics: &Metrics, lane: Lane, error: JournalError) -> JournalError {
    metrics.failed(lane);
    tracing::error!(lane = lane.name(), %error,
        "A lane cannot be written to; results wait in the journal of commits, and it is tried again.");
    error
}
