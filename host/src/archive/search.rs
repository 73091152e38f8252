//! Searching the segments: the newest matches, in memory that the query bounds.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::index::{Index, Segment};
use super::metrics::Metrics;
use super::query::{Filter, MAX_ANSWER_BYTES, MAX_LIMIT, Query};
use super::retracted::{self, Retracted, Spot, Taken};
use super::segment::{self, ReadError, Records};
use crate::model::{EventId, Finding, Frame};

/// The answer to a query.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found {
    /// Newest first.
    pub frames: Vec<Frame>,
    /// For each of them, how it was taken back if it was.
    pub retracted: Vec<Option<Arc<Taken>>>,
    /// There are more: the limit or [`MAX_ANSWER_BYTES`] cut the answer.
    pub more: bool,
}

impl Found {
    /// The findings among the frames, each with how it was taken back if it was.
    pub fn into_findings(self) -> impl Iterator<Item = (Finding, Option<Arc<Taken>>)> {
        self.frames.into_iter().zip(self.retracted).filter_map(|(frame, taken)| match frame {
            Frame::Finding(finding) => Some((finding, taken)),
            _ => None,
        })
    }
}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The text to look for is too long.
    #[error("the text to look for has {bytes} bytes; at most {limit} are allowed")]
    LongText {
        /// Its length.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// As many searches run as may.
    #[error("another search runs; ask again in a moment")]
    Busy,
    /// The deadline has passed.
    #[error(
        "the search took too long; ask for a shorter time with `since` and `until`, or for fewer findings"
    )]
    Late,
    /// A segment cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The segment.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// Where a match stands; greater is newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    time: u64,
    segment: u64,
    offset: u64,
}

impl Place {
    pub(super) fn spot(self) -> Spot {
        (self.segment, self.offset)
    }
}

/// Searches the segments of an index. Segments that retention has taken meanwhile are left out, and
/// damaged ones give what stands before the damage. The deadline is looked at before each segment.
pub(super) fn search(
    folder: &Path,
    index: &Index,
    query: &Query,
    deadline: Instant,
    metrics: &Metrics,
) -> Result<Found, SearchError> {
    let filter = Filter::new(query)?;
    let limit = query.limit.min(MAX_LIMIT);
    // One more than asked for says whether there are more.
    let kept = limit + 1;
    let mut segments: Vec<&Segment> =
        index.segments.iter().filter(|segment| filter.may_match(segment.oldest, segment.newest)).collect();
    segments.sort_by_key(|segment| Reverse(segment.newest));
    let mut best = BinaryHeap::new();
    for segment in segments {
        let worst =
            best.peek().filter(|_| best.len() >= kept).map(|Reverse(place): &Reverse<Place>| place.time);
        if worst.is_some_and(|time| segment.newest < time) {
            // So are all that follow.
            break;
        }
        in_time(deadline)?;
        let retracted = match query.retracted {
            Some(_) => retracted::of_matches(folder, index, segment, &filter, deadline, metrics)?,
            None => Retracted::default(),
        };
        let is_chosen = |place: Place, frame: &Frame| {
            let taken = || frame.origin().and_then(|(id, _)| retracted.of(id, place.spot()));
            query.retracted.is_none_or(|wanted| taken().is_some() == wanted)
        };
        let read = read_segment(folder, segment, |place, frame| {
            if filter.matches(frame) && is_chosen(place, frame) {
                best.push(Reverse(place));
                if best.len() > kept {
                    best.pop();
                }
            }
        });
        tolerate(read, &segment::path(folder, segment.number), metrics)?;
    }
    let mut places: Vec<Place> = best.into_sorted_vec().into_iter().map(|Reverse(place)| place).collect();
    let more = places.len() > limit;
    places.truncate(limit);
    let (mut found, places) = fetch(folder, &places, deadline, metrics)?;
    found.more |= more;
    mark(folder, index, &mut found, &places, deadline, metrics)?;
    Ok(found)
}

/// Says of each frame how it was taken back if it was.
fn mark(
    folder: &Path,
    index: &Index,
    found: &mut Found,
    places: &[Place],
    deadline: Instant,
    metrics: &Metrics,
) -> Result<(), SearchError> {
    let ids: Vec<Option<EventId>> =
        found.frames.iter().map(|frame| frame.origin().map(|(id, _)| id)).collect();
    let these = ids.iter().copied().flatten().collect();
    let retracted = retracted::of_these(folder, index, &these, deadline, metrics)?;
    let taken = |(id, place): (Option<EventId>, &Place)| retracted.of(id?, place.spot()).cloned();
    found.retracted = ids.into_iter().zip(places).map(taken).collect();
    Ok(())
}

pub(super) fn in_time(deadline: Instant) -> Result<(), SearchError> {
    if Instant::now() >= deadline { Err(SearchError::Late) } else { Ok(()) }
}

pub(super) fn read_segment(
    folder: &Path,
    segment: &Segment,
    mut each: impl FnMut(Place, &Frame),
) -> Result<(), ReadError> {
    let mut records = Records::open(&segment::path(folder, segment.number), segment.length)?;
    while let Some(record) = records.next()? {
        let place = Place { time: record.frame.time(), segment: segment.number, offset: record.offset };
        each(place, &record.frame);
    }
    Ok(())
}

/// Reads the matches again, for all of them together could be more than the answer may have. Says where those stand
/// that it found.
fn fetch(
    folder: &Path,
    places: &[Place],
    deadline: Instant,
    metrics: &Metrics,
) -> Result<(Found, Vec<Place>), SearchError> {
    let (mut found, mut at) = (Found::default(), Vec::new());
    let mut open: Option<(u64, File)> = None;
    let mut bytes = 0;
    for place in places {
        let path = segment::path(folder, place.segment);
        let read = match &mut open {
            Some((number, file)) if *number == place.segment => segment::read_at(file, place.offset),
            _ => {
                in_time(deadline)?;
                File::open(&path).map_err(ReadError::Io).and_then(|file| {
                    segment::read_at(&mut open.insert((place.segment, file)).1, place.offset)
                })
            }
        };
        if let Some((frame, length)) = tolerate(read, &path, metrics)? {
            bytes += length;
            if bytes > MAX_ANSWER_BYTES && !found.frames.is_empty() {
                found.more = true;
                break;
            }
            found.frames.push(frame);
            at.push(*place);
        }
    }
    Ok((found, at))
}

/// Damage and deletion take away from an answer; other errors prevent it.
pub(super) fn tolerate<T>(
    read: Result<T, ReadError>,
    path: &Path,
    metrics: &Metrics,
) -> Result<Option<T>, SearchError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(ReadError::Io(source)) => Err(SearchError::Io { path: path.to_owned(), source }),
        Err(error) => {
            metrics.damaged.inc();
            tracing::warn!(path = %path.display(), %error, "A segment of the archive cannot be read to its end.");
            Ok(None)
        }
    }
}
