//! A drain's reading side: the lanes that its forwarder wants, in turns, one batch at a time.
//!
//! It moves no cursor. What it has read and the receiver has not taken is read again after a restart.

use std::time::{Duration, Instant};

use picket_forwarders::select::Select;
use picket_forwarders::{Batch, BatchLimits};
use picket_journal::{JournalError, Position};

use crate::lanes::{self, LaneReader, Lanes, Lost, Place, Queued};
use crate::model::{Digest, Frame, FrameKind, Lane, now_nanos};

pub(super) struct Reading {
    /// In the order of [`Lane::ALL`]; none for a lane of which nothing is wanted.
    readers: [Option<LaneReader>; 2],
    /// When this process first saw that something waits in a lane.
    waiting: [Option<Instant>; 2],
    /// What is left of records that did not fit into a batch.
    rests: [Option<Rest>; 2],
    /// The kinds that are wanted.
    kinds: Vec<FrameKind>,
    select: Option<Select>,
    limits: BatchLimits,
    /// The lane whose turn it is.
    turn: usize,
}

/// What is left of a record: it is the results of one commit, which may be more than a batch takes.
struct Rest {
    /// The cursor's place of who has had what comes before.
    place: Place,
    /// Where the record begins.
    position: Position,
    frames: std::vec::IntoIter<Frame>,
    /// The number of the next of them.
    next: u64,
    behind: Place,
}

impl Rest {
    fn whole(record: lanes::Batch) -> Self {
        let place = Place::new(record.position, Some(record.first));
        let (position, behind) = (record.position, record.place);
        Self { place, position, frames: record.frames.into_iter(), next: record.first, behind }
    }
}

/// What was read of one lane.
pub(super) struct Read {
    pub(super) lane: Lane,
    /// The frames that are wanted, maybe none.
    pub(super) batch: Batch,
    /// Behind it.
    pub(super) place: Place,
    pub(super) lost: Lost,
}

/// What there is to do.
pub(super) enum Next {
    Read(Read),
    /// Something waits for more to come with it, for so long at most.
    Gathers(Duration),
    Nothing,
}

impl Reading {
    /// From these places on. `wants` says which kinds the forwarder can take.
    pub(super) fn new(
        lanes: &Lanes,
        places: &[Place; 2],
        wants: impl Fn(FrameKind) -> bool,
        select: Option<Select>,
        limits: BatchLimits,
    ) -> Self {
        let selected = |kind| select.as_ref().is_none_or(|select| select.wants(kind));
        let kinds: Vec<_> =
            FrameKind::ALL.into_iter().filter(|kind| wants(*kind) && selected(*kind)).collect();
        let readers = Lane::ALL.map(|lane| {
            let wanted = kinds.iter().any(|kind| Lane::of(*kind) == lane);
            wanted.then(|| lanes.reader(lane, places[lane.index()]))
        });
        Self { readers, waiting: [None; 2], rests: [None, None], kinds, select, limits, turn: 0 }
    }

    /// Whether anything of a lane is wanted.
    pub(super) fn reads(&self, lane: Lane) -> bool {
        self.readers[lane.index()].is_some()
    }

    /// The next batch behind these places. Does not wait for more when `hurry`.
    pub(super) fn next(&mut self, places: &[Place; 2], hurry: bool) -> Result<Next, JournalError> {
        let mut gathers = None;
        for _ in Lane::ALL {
            let at = self.turn;
            self.turn = (self.turn + 1) % Lane::ALL.len();
            match self.due(at, places[at], hurry) {
                Some(Duration::ZERO) => return self.read(at, places[at]),
                Some(wait) => gathers = Some(gathers.map_or(wait, |other: Duration| other.min(wait))),
                None => {}
            }
        }
        Ok(gathers.map_or(Next::Nothing, Next::Gathers))
    }

    /// After how long a lane is to be read; none when nothing is there.
    fn due(&mut self, at: usize, place: Place, hurry: bool) -> Option<Duration> {
        let reader = self.readers[at].as_mut()?;
        if !reader.has_more(place) {
            self.waiting[at] = None;
            return None;
        }
        let since = *self.waiting[at].get_or_insert_with(Instant::now);
        let Queued { bytes, frames } = reader.queued(place);
        let full = bytes >= self.limits.bytes as u64 || frames >= self.limits.frames as u64;
        Some(match full || hurry {
            true => Duration::ZERO,
            false => self.limits.wait.saturating_sub(since.elapsed()),
        })
    }

    fn read(&mut self, at: usize, from: Place) -> Result<Next, JournalError> {
        let lane = Lane::ALL[at];
        self.waiting[at] = None;
        let mut rest = self.rests[at].take().filter(|rest| rest.place == from);
        let Some(reader) = self.readers[at].as_mut() else { return Ok(Next::Nothing) };
        if rest.is_none() {
            reader.seek(from);
        }
        let (mut frames, mut bytes, mut lost, mut place) = (Vec::new(), 0, Lost::default(), from);
        while frames.len() < self.limits.frames && bytes < self.limits.bytes {
            let mut record = match rest.take() {
                Some(rest) => rest,
                None => match reader.next() {
                    Ok(Some(record)) => {
                        bytes += record.bytes;
                        lost.expelled += record.lost.expelled;
                        lost.damaged += record.lost.damaged;
                        Rest::whole(record)
                    }
                    Ok(None) => {
                        place = reader.place();
                        break;
                    }
                    // What was read goes first; the next batch begins where it failed.
                    Err(_) if bytes > 0 => break,
                    Err(error) => return Err(error),
                },
            };
            for frame in record.frames.by_ref().take(self.limits.frames - frames.len()) {
                record.next += 1;
                if self.kinds.contains(&frame.kind()) {
                    frames.extend(match &self.select {
                        Some(select) => select.apply(frame),
                        None => Some(frame),
                    });
                }
            }
            place = match record.frames.len() {
                0 => record.behind,
                _ => {
                    record.place = Place::new(record.position, Some(record.next));
                    self.rests[at].insert(record).place
                }
            };
            if self.rests[at].is_some() {
                break;
            }
        }
        let id = Digest::of(format!("{} {from:?} {place:?}", lane.name()).as_bytes());
        Ok(Next::Read(Read { lane, batch: Batch { id, frames }, place, lost }))
    }

    /// How much waits behind these places, and for how long it has waited.
    pub(super) fn queued(&mut self, places: &[Place; 2]) -> (Queued, Duration) {
        let (mut sum, mut oldest) = (Queued::default(), None);
        for (at, reader) in self.readers.iter_mut().enumerate() {
            let Some(reader) = reader else { continue };
            let Queued { bytes, frames } = reader.queued(places[at]);
            if bytes == 0 {
                continue;
            }
            sum.bytes += bytes;
            sum.frames += frames;
            if let Some(time) = reader.oldest(places[at]) {
                oldest = Some(oldest.map_or(time, |other: u64| other.min(time)));
            }
        }
        let age = oldest.map_or(0, |time| now_nanos().saturating_sub(time));
        (sum, Duration::from_nanos(age))
    }
}
