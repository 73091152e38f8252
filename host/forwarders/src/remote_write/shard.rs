//! How a batch is cut into requests: rounds of sample time, and in each round one line of requests for each shard.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::encode::{Point, Table};
use super::message::Label;

/// The sample time of one round. Prometheus takes what is less than an hour older than its newest sample; half of
/// that leaves room for other senders.
pub(super) const ROUND_MS: i64 = 30 * 60 * 1000;
/// The size of a request before compression. Receivers have bounds from 4 MiB upwards.
const MAX_BODY_BYTES: usize = 3 << 20;
/// A sample's own bytes: two for the field, nine for the value, eleven for the time at most.
const POINT_BYTES: usize = 22;
/// Tags and lengths of a label, and of a series.
const FRAMING_BYTES: usize = 8;

/// A request that is still to be accepted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    /// Sorted by series, and by time within a series; at least one.
    pub(super) points: Vec<Point>,
    /// An attempt ended without a reply: it may be there.
    pub(super) unsure: bool,
    /// How often it was answered with what sounds final but asks for a repeat.
    pub(super) failures: u32,
}

/// What each shard has to send, the first request first.
pub(super) type Round = Vec<VecDeque<Request>>;

impl Request {
    fn new(points: Vec<Point>) -> Self {
        Self { points, unsure: false, failures: 0 }
    }

    /// In two: between two series if there are several, else between two samples. None when it is a single one.
    pub(super) fn halves(&self) -> Option<(Self, Self)> {
        let middle = self.points.len() / 2;
        let between = |at: &usize| self.points[*at - 1].series != self.points[*at].series;
        let near = (1..self.points.len()).filter(between).min_by_key(|at| at.abs_diff(middle));
        let at = near.unwrap_or(middle);
        if at == 0 {
            return None;
        }
        let half = |points: &[Point]| Self { points: points.to_vec(), ..*self };
        Some((half(&self.points[..at]), half(&self.points[at..])))
    }
}

/// All rounds of a batch, each with a line for each shard. One ends at the start of the agent: what is older may have
/// been handed over before a crash, and is never in one request with what cannot.
pub(super) fn rounds(table: &Table, shards: usize, samples: usize, started: i64) -> VecDeque<Round> {
    let shard_of: Vec<usize> = table.series.iter().map(|labels| shard(labels, shards)).collect();
    let mut rounds = VecDeque::new();
    let mut rest = table.points.as_slice();
    while let Some(first) = rest.first() {
        let until = first.time.saturating_add(ROUND_MS);
        let until = if first.time < started { until.min(started) } else { until };
        let (round, later) = rest.split_at(rest.partition_point(|point| point.time < until));
        let mut lines = vec![Vec::new(); shards];
        for point in round {
            lines[shard_of[point.series]].push(*point);
        }
        rounds.push_back(lines.into_iter().map(|points| requests(points, table, samples)).collect());
        rest = later;
    }
    rounds
}

/// The same for the same labels, so that a series keeps its shard.
fn shard(labels: &[Label], shards: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    labels.hash(&mut hasher);
    (hasher.finish() % shards as u64) as usize
}

/// Cuts a line into requests of so many samples, and of so many bytes.
fn requests(mut points: Vec<Point>, table: &Table, samples: usize) -> VecDeque<Request> {
    points.sort_by_key(|point| (point.series, point.time));
    let mut requests: VecDeque<Request> = VecDeque::new();
    let mut size = 0;
    for point in points {
        let labels = &table.series[point.series];
        let series = labels.iter().map(|label| label.name.len() + label.value.len() + FRAMING_BYTES);
        let series = series.sum::<usize>() + FRAMING_BYTES;
        let added = match requests.back().and_then(|request| request.points.last()) {
            Some(last) if last.series == point.series => POINT_BYTES,
            _ => POINT_BYTES + series,
        };
        match requests.back_mut() {
            Some(request) if request.points.len() < samples && size + added <= MAX_BODY_BYTES => {
                request.points.push(point);
                size += added;
            }
            _ => {
                requests.push_back(Request::new(vec![point]));
                size = POINT_BYTES + series;
            }
        }
    }
    requests
}
