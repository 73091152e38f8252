//! Which results were taken back, and which still stand.
//!
//! Retractions are records of the archive like all others; the index knows where they stand, so that only they are
//! read. Each stands behind what it takes back, and leaves with it or later. A result that comes behind a retraction
//! with the same id is a new one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::index::{Index, Segment};
use super::metrics::Metrics;
use super::query::{Filter, Query};
use super::search::{SearchError, in_time, read_segment, tolerate};
use super::segment;
use crate::model::{Digest, EventId, Frame, RetractedBy, Retraction};

/// The most results that one question for [`Standing`] names. More are asked for again.
pub const MAX_STANDING: usize = 100_000;
/// The most examples of them.
const EXAMPLES: usize = 5;

/// How a result was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Unix time in nanoseconds.
    pub time: u64,
    /// Who did it.
    pub by: RetractedBy,
    /// Why.
    pub reason: String,
}

/// Where a record stands: the segment's number and the offset in it. Later records are greater.
pub(super) type Spot = (u64, u64);

/// What was taken back.
#[derive(Debug, Default)]
pub(super) struct Retracted {
    /// The last retraction of each id.
    taken: HashMap<EventId, (Spot, Arc<Taken>)>,
}

/// Results that match a query and stand.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Standing {
    /// Their ids by generation, together at most [`MAX_STANDING`].
    pub ids: BTreeMap<Digest, BTreeSet<EventId>>,
    /// Some of the newest of them, the newest first.
    pub examples: Vec<Frame>,
    /// How many match and were taken back before.
    pub already: u64,
    /// There are more: the bound cut the answer.
    pub more: bool,
}

impl Retracted {
    /// How the result that stands at a place was taken back.
    pub(super) fn of(&self, id: EventId, spot: Spot) -> Option<&Arc<Taken>> {
        self.taken.get(&id).filter(|(behind, _)| *behind > spot).map(|(_, taken)| taken)
    }

    fn add(&mut self, spot: Spot, retraction: Retraction, wanted: &HashSet<EventId>) {
        let Retraction { time, by, reason, retracts, .. } = retraction;
        let taken = Arc::new(Taken { time, by, reason });
        for id in retracts.into_iter().filter(|id| wanted.contains(id)) {
            self.taken.insert(id, (spot, taken.clone()));
        }
    }
}

/// What of these results was taken back. Holds one retraction at a time.
pub(super) fn of_these(
    folder: &Path,
    index: &Index,
    ids: &HashSet<EventId>,
    deadline: Instant,
    metrics: &Metrics,
) -> Result<Retracted, SearchError> {
    let mut retracted = Retracted::default();
    let add = |spot, retraction| retracted.add(spot, retraction, ids);
    each(folder, index, Spot::default(), deadline, metrics, add)?;
    Ok(retracted)
}

/// What of a segment's matches was taken back: at most what a segment holds, some 15 MiB of ids.
pub(super) fn of_matches(
    folder: &Path,
    index: &Index,
    segment: &Segment,
    filter: &Filter<'_>,
    deadline: Instant,
    metrics: &Metrics,
) -> Result<Retracted, SearchError> {
    let mut ids = HashSet::new();
    if last(index) == Spot::default() {
        return Ok(Retracted::default());
    }
    let read = read_segment(folder, segment, |_, frame| {
        if filter.matches(frame) {
            ids.extend(frame.origin().map(|(id, _)| id));
        }
    });
    tolerate(read, &segment::path(folder, segment.number), metrics)?;
    of_these(folder, index, &ids, deadline, metrics)
}

/// Whether the archive has a retraction, behind a place.
pub(super) fn holds(
    folder: &Path,
    index: &Index,
    id: EventId,
    behind: Spot,
    deadline: Instant,
    metrics: &Metrics,
) -> Result<bool, SearchError> {
    let mut held = false;
    each(folder, index, behind, deadline, metrics, |_, retraction| held |= retraction.id == id)?;
    Ok(held)
}

/// Where the last retraction stands.
pub(super) fn last(index: &Index) -> Spot {
    let last = |segment: &Segment| Some((segment.number, *segment.retractions.last()?));
    index.segments.iter().rev().find_map(last).unwrap_or_default()
}

/// Reads all retractions behind a place, in their order.
fn each(
    folder: &Path,
    index: &Index,
    behind: Spot,
    deadline: Instant,
    metrics: &Metrics,
    mut take: impl FnMut(Spot, Retraction),
) -> Result<(), SearchError> {
    for segment in &index.segments {
        let offsets = segment.retractions.iter().filter(|offset| (segment.number, **offset) > behind);
        let mut offsets = offsets.peekable();
        if offsets.peek().is_none() {
            continue;
        }
        in_time(deadline)?;
        let path = segment::path(folder, segment.number);
        let Some(mut file) = tolerate(File::open(&path).map_err(Into::into), &path, metrics)? else {
            continue;
        };
        for offset in offsets {
            let read = tolerate(segment::read_at(&mut file, *offset), &path, metrics)?;
            if let Some((Frame::Retraction(retraction), _)) = read {
                take((segment.number, *offset), retraction);
            }
        }
    }
    Ok(())
}

/// The results that match a query and were not taken back. The deadline is looked at before each segment.
pub(super) fn standing(
    folder: &Path,
    index: &Index,
    query: &Query,
    deadline: Instant,
    metrics: &Metrics,
) -> Result<Standing, SearchError> {
    let filter = Filter::new(query)?;
    let (mut standing, mut count) = (Standing::default(), 0);
    for segment in index.segments.iter().rev() {
        if !filter.may_match(segment.oldest, segment.newest) {
            continue;
        }
        in_time(deadline)?;
        let retracted = of_matches(folder, index, segment, &filter, deadline, metrics)?;
        let read = read_segment(folder, segment, |place, frame| {
            let Some((id, origin)) = frame.origin().filter(|_| filter.matches(frame)) else { return };
            if retracted.of(id, place.spot()).is_some() {
                standing.already += 1;
            } else if count == MAX_STANDING {
                standing.more = true;
            } else {
                count += usize::from(standing.ids.entry(origin.generation).or_default().insert(id));
                standing.show(frame);
            }
        });
        tolerate(read, &segment::path(folder, segment.number), metrics)?;
    }
    Ok(standing)
}

impl Standing {
    /// Keeps a frame as an example when it is one of the newest.
    fn show(&mut self, frame: &Frame) {
        if self.examples.len() == EXAMPLES {
            if self.examples.last().is_some_and(|oldest| oldest.time() >= frame.time()) {
                return;
            }
            self.examples.pop();
        }
        self.examples.push(frame.clone());
        self.examples.sort_by_key(|example| Reverse(example.time()));
    }
}
