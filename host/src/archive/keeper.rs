//! The archive: its folder, the thread that fills it, and the searches beside.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::config::Config;
use super::index::{Index, Segment};
use super::metrics::Metrics;
use super::query::Query;
use super::retracted::{self, Spot, Standing};
use super::search::{self, Found, SearchError};
use super::segment;
use crate::forwarders::drain::{self, Deps, Drain, StartError};
use crate::forwarders::{Batch, Forwarder, SendError, Sent, explained};
use crate::model::{EventId, Frame, FrameKind, VerdictKind};

/// How often retention looks when nothing comes, in nanoseconds. Ages are in days.
const EXPIRE_EVERY: u64 = 60_000_000_000;

/// Tells the wall-clock time, Unix time in nanoseconds.
type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The archive. It fills itself until it is stopped; searches go on after that.
pub struct Archive {
    searcher: Searcher,
    drain: Drain,
}

/// What searches need: the folder and the index as of the last batch. Clones search the same archive, also
/// after it was stopped.
#[derive(Clone)]
pub struct Searcher {
    folder: PathBuf,
    metrics: Metrics,
    // Held for the time of a copy only; the index is some kilobytes.
    index: Arc<Mutex<Index>>,
    /// Searches that run now.
    running: Arc<AtomicUsize>,
}

/// A moment in the archive's life, by the retractions that it had then.
#[derive(Debug, Clone, Copy)]
pub struct Retractions(Spot);

/// Searches at once. Each may read the whole archive from the disk and hold an answer of
/// [`MAX_ANSWER_BYTES`](super::MAX_ANSWER_BYTES); anybody on the machine may ask for one.
pub(super) const MAX_SEARCHES: usize = 2;

/// The right to search, given back when it is dropped.
pub(super) struct Permit<'a>(&'a AtomicUsize);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Archive {
    /// Opens the archive in a folder, which is made when missing, and begins to drain the journal.
    pub fn open(
        folder: &Path,
        config: Config,
        deps: Deps,
        metrics: Metrics,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let unmade = |source| StartError::Folder { path: folder.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unmade)?;
        let folder = folder.to_owned();
        let searcher = Searcher { folder, metrics, index: Arc::default(), running: Arc::default() };
        let writer: Box<dyn Forwarder> = Box::new(Writer::new(searcher.clone(), config, clock));
        let drain = Drain::start(drain::ARCHIVE, Box::new(|_| writer), drain::Config::default(), deps)?;
        Ok(Self { searcher, drain })
    }

    /// For searches: cheap, so that who holds a lock on the archive can take one and let go.
    pub fn searcher(&self) -> Searcher {
        self.searcher.clone()
    }

    /// How its thread is doing.
    pub fn status(&self) -> drain::Status {
        self.drain.status()
    }

    /// Lets it take in what waits, for at most `drain_for`, and stop then; does not wait for that.
    pub fn ask_to_stop(&self, drain_for: Duration) {
        self.drain.ask_to_stop(drain_for);
    }

    /// Lets it take in what waits, for at most `drain_for`, and stops it.
    pub fn stop(self, drain_for: Duration) {
        // The journal goes on keeping what it has not read.
        let _stopped = self.drain.stop(drain_for);
    }
}

impl Searcher {
    /// The newest frames that match. Reads what it must from the disk, until `deadline` passes between
    /// two segments: not for a thread that others wait for, and not under a lock. Refuses when two
    /// searches run already.
    pub fn search(&self, query: &Query, deadline: Instant) -> Result<Found, SearchError> {
        let Some(_permit) = self.permit() else {
            self.metrics.refused.inc();
            return Err(SearchError::Busy);
        };
        search::search(&self.folder, &self.index(), query, deadline, &self.metrics)
    }

    /// Results that match and were not taken back. Reads as much as a search, and is refused like one. The query's
    /// limit and choice of retracted results do not count.
    pub fn standing(&self, query: &Query, deadline: Instant) -> Result<Standing, SearchError> {
        let Some(_permit) = self.permit() else {
            self.metrics.refused.inc();
            return Err(SearchError::Busy);
        };
        retracted::standing(&self.folder, &self.index(), query, deadline, &self.metrics)
    }

    /// Behind all retractions that the archive has now.
    pub fn retractions(&self) -> Retractions {
        Retractions(retracted::last(&self.index()))
    }

    /// Whether the archive has a retraction that came in after a moment. Reads those that did.
    pub fn has_retraction(
        &self,
        id: EventId,
        since: Retractions,
        deadline: Instant,
    ) -> Result<bool, SearchError> {
        retracted::holds(&self.folder, &self.index(), id, since.0, deadline, &self.metrics)
    }

    pub(super) fn permit(&self) -> Option<Permit<'_>> {
        let one_more = |running| (running < MAX_SEARCHES).then_some(running + 1);
        let taken = self.running.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        taken.ok().map(|_| Permit(&self.running))
    }

    fn index(&self) -> Index {
        self.index.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn show(&self, index: &Index) {
        *self.index.lock().unwrap_or_else(PoisonError::into_inner) = index.clone();
        self.metrics.bytes.set(i64::try_from(index.bytes()).unwrap_or(i64::MAX));
        self.metrics.segments.set(i64::try_from(index.segments.len()).unwrap_or(i64::MAX));
    }
}

/// The drain's side of the archive.
struct Writer {
    view: Searcher,
    config: Config,
    clock: Clock,
    index: Index,
    /// The index's last segment, when it is open.
    file: Option<File>,
    /// The index differs from what is stored.
    unnoted: bool,
    expired_at: u64,
    /// Records of one batch; kept for its memory.
    buffer: Vec<u8>,
}

impl Writer {
    fn new(view: Searcher, config: Config, clock: Clock) -> Self {
        let index = Index::default();
        Self { view, config, clock, index, file: None, unnoted: false, expired_at: 0, buffer: Vec::new() }
    }

    fn note(&self) -> Vec<u8> {
        rmp_serde::to_vec(&self.index).expect("plain data always encodes into memory")
    }

    /// Makes the folder what the index says, or the index what the folder says when there is none.
    fn open(&mut self, index: Option<Index>) -> io::Result<()> {
        let folder = &self.view.folder;
        let mut numbers: Vec<u64> = Vec::new();
        for entry in fs::read_dir(folder)? {
            numbers.extend(segment::number(&entry?.path()));
        }
        numbers.sort_unstable();
        self.unnoted = index.is_none();
        self.index = match index {
            Some(index) => index,
            None => scan(folder, &numbers)?,
        };
        for number in numbers.iter().filter(|number| !self.index.has(**number)) {
            fs::remove_file(segment::path(folder, *number))?;
        }
        let (before, metrics) = (self.index.segments.len(), &self.view.metrics);
        self.index.segments.retain(|segment| numbers.binary_search(&segment.number).is_ok());
        metrics.damaged.inc_by((before - self.index.segments.len()) as u64);
        self.file = None;
        if let Some(last) = self.index.segments.last_mut() {
            let (file, length) = segment::open_at(folder, last.number, last.length)?;
            if length == last.length {
                self.file = Some(file);
            } else {
                // Somebody has cut it, maybe through a record: it can be read, but not written to.
                metrics.damaged.inc();
                last.length = length;
            }
        }
        Ok(())
    }

    /// Writes frames behind the last segment's end, and goes on in new segments when it is full.
    fn append(&mut self, frames: &[&Frame]) -> io::Result<()> {
        let now = (self.clock)();
        let mut rest = frames;
        while !rest.is_empty() {
            if self.file.is_none() || self.index.is_full(&self.config, now) {
                let number = self.index.last_number + 1;
                self.file = Some(segment::create(&self.view.folder, number)?);
                self.index.last_number = number;
                self.index.segments.push(Segment::new(number, now));
            }
            let (Some(file), Some(last)) = (&self.file, self.index.segments.last_mut()) else {
                return Err(io::Error::other("there is no segment to write to"));
            };
            let room = self.config.segment_bytes().saturating_sub(last.length);
            let offsets = encode_until(rest, room, &mut self.buffer);
            segment::append(file, last.length, &self.buffer)?;
            for (frame, offset) in rest.iter().zip(&offsets) {
                last.add(last.length + offset, frame);
            }
            last.length += self.buffer.len() as u64;
            last.written = now;
            rest = &rest[offsets.len()..];
        }
        self.buffer.shrink_to(MAX_KEPT_BUFFER);
        Ok(())
    }

    /// Takes segments out of the index and the folder. A file that cannot be removed is removed at
    /// the next start, for no index knows it.
    fn expire(&mut self) {
        let now = (self.clock)();
        self.expired_at = now;
        for (gone, bound) in self.index.expire(&self.config, now) {
            self.unnoted = true;
            if self.index.segments.is_empty() {
                self.file = None;
            }
            self.view.metrics.expired.with_label_values(&[bound.word()]).inc_by(gone.length);
            let path = segment::path(&self.view.folder, gone.number);
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "An expired segment cannot be removed.");
            }
        }
    }

    fn failed(&self, what: &str) -> impl Fn(io::Error) -> SendError + use<> {
        let context = format!("cannot {what} the archive in {}", self.view.folder.display());
        move |error| SendError::later(format!("{context}: {}", explained(&error)))
    }
}

/// A batch with a huge record must not cost its memory for ever.
const MAX_KEPT_BUFFER: usize = 2 << 20;

impl Forwarder for Writer {
    fn wants(&self, kind: FrameKind) -> bool {
        kind != FrameKind::Sample
    }

    fn resume(&mut self, note: &[u8]) -> Result<(), SendError> {
        let index = match note {
            [] => None,
            note => rmp_serde::from_slice(note)
                .inspect_err(|error| {
                    self.view.metrics.damaged.inc();
                    tracing::error!(%error, "The stored index of the archive is damaged; its files are read.");
                })
                .ok(),
        };
        self.open(index).map_err(self.failed("open"))?;
        self.view.show(&self.index);
        Ok(())
    }

    fn prepare(&mut self) -> Result<Option<Vec<u8>>, SendError> {
        if (self.clock)().abs_diff(self.expired_at) >= EXPIRE_EVERY {
            self.expire();
            self.view.show(&self.index);
        }
        Ok(std::mem::take(&mut self.unnoted).then(|| self.note()))
    }

    fn send(&mut self, batch: &Batch) -> Result<Sent, SendError> {
        let kept: Vec<&Frame> = batch.frames.iter().filter(|frame| is_kept(frame)).collect();
        if !kept.is_empty() {
            self.append(&kept).map_err(self.failed("write to"))?;
            self.expire();
        }
        self.unnoted = false;
        self.view.show(&self.index);
        Ok(Sent::noted(self.note()))
    }

    fn probe(&mut self) -> Result<String, SendError> {
        Ok("the archive".to_owned())
    }
}

/// Encodes frames up to the one that reaches `room` bytes, one at least; says where each begins.
fn encode_until(frames: &[&Frame], room: u64, buffer: &mut Vec<u8>) -> Vec<u64> {
    buffer.clear();
    let mut offsets = Vec::new();
    for frame in frames {
        offsets.push(buffer.len() as u64);
        segment::encode(frame, buffer);
        if buffer.len() as u64 >= room {
            break;
        }
    }
    offsets
}

/// Verdicts that nobody need look at are many: one for each file and scanner.
fn is_kept(frame: &Frame) -> bool {
    !matches!(frame, Frame::Verdict(verdict) if verdict.verdict < VerdictKind::Suspicious)
}

/// An index of files that no index knows: the state was lost, and what was found is not.
fn scan(folder: &Path, numbers: &[u64]) -> io::Result<Index> {
    let segments: Vec<Segment> = numbers
        .iter()
        .map(|number| Segment::scan(&segment::path(folder, *number), *number))
        .collect::<io::Result<_>>()?;
    Ok(Index { segments, last_number: numbers.last().copied().unwrap_or(0) })
}
