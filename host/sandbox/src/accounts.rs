//! What one generation of a plugin has used over all its instances: metric label sets and counts.
//!
//! An instance is thrown away on any error and replaced; what is counted here outlives it, so a
//! plugin cannot reset its bounds by failing.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::report::Label;

/// How often something happened that is no error, by all instances of a generation. Read them with
/// [`Counts::read`] for metrics.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) log_lines: AtomicU64,
    pub(crate) log_dropped: AtomicU64,
    pub(crate) values_cut: AtomicU64,
    pub(crate) state_writes_refused: AtomicU64,
    pub(crate) state_quota_refused: AtomicU64,
    pub(crate) series_refused: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, number: u64) {
        if number > 0 {
            counter.fetch_add(number, Ordering::Relaxed);
        }
    }
}

/// What all instances of a generation did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Log lines handed to the [`LogSink`](crate::LogSink).
    pub log_lines: u64,
    /// Log lines above the rate.
    pub log_dropped: u64,
    /// Label values and messages that were longer than their bound.
    pub values_cut: u64,
    /// Writes to `state` above what one call may write.
    pub state_writes_refused: u64,
    /// Writes to `state` above the quota.
    pub state_quota_refused: u64,
    /// Selections of `series` with more samples than allowed.
    pub series_refused: u64,
}

impl Counts {
    pub(crate) fn read(counters: &Counters) -> Self {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Self {
            log_lines: read(&counters.log_lines),
            log_dropped: read(&counters.log_dropped),
            values_cut: read(&counters.values_cut),
            state_writes_refused: read(&counters.state_writes_refused),
            state_quota_refused: read(&counters.state_quota_refused),
            series_refused: read(&counters.series_refused),
        }
    }
}

/// The metric names and label sets that a generation has reported.
#[derive(Debug, Default)]
pub struct LabelSets {
    seen: Mutex<Seen>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Seen {
    /// Hashes of metric name and labels. Eight bytes a set instead of the text; two sets with one
    /// hash count as one, which errs by less than one in a billion.
    sets: HashSet<u64>,
    /// What a name was used for first.
    shapes: HashMap<String, Shape>,
}

/// What a metric is; for histograms with the bounds, which must stay the same.
#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Counter,
    Histogram(Vec<f64>),
}

/// One metric of a report that is about to be taken into account.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Metric<'a> {
    pub(crate) name: &'a str,
    /// Sorted by name.
    pub(crate) labels: &'a [Label],
    pub(crate) kind: MetricKind<'a>,
}

/// What a metric is in a report.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MetricKind<'a> {
    Counter,
    /// With its bounds.
    Histogram(&'a [f64]),
    Sample,
}

impl MetricKind<'_> {
    /// Samples go to the series store, where a name has no kind.
    fn agrees(self, shape: &Shape) -> bool {
        match (self, shape) {
            (Self::Sample, _) | (Self::Counter, Shape::Counter) => true,
            (Self::Histogram(bounds), Shape::Histogram(known)) => bounds == known,
            _ => false,
        }
    }

    fn shape(self) -> Option<Shape> {
        match self {
            Self::Counter => Some(Shape::Counter),
            Self::Histogram(bounds) => Some(Shape::Histogram(bounds.to_vec())),
            Self::Sample => None,
        }
    }
}

/// Why a report's metrics cannot be taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// More label sets than allowed.
    Full,
    /// The metric of this name was of another kind or had other bounds before.
    Changed(String),
}

impl LabelSets {
    /// How many different ones there are.
    pub fn len(&self) -> usize {
        self.lock().sets.len()
    }

    /// Whether nothing was reported yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the metrics of one report into account, all of them or none.
    pub(crate) fn take(&self, metrics: &[Metric<'_>], limit: usize) -> Result<(), Refused> {
        let mut seen = self.lock();
        let mut sets = HashSet::new();
        let mut shapes = HashMap::new();
        for metric in metrics {
            let known = seen.shapes.get(metric.name).or_else(|| shapes.get(metric.name));
            match known {
                Some(known) if !metric.kind.agrees(known) => {
                    return Err(Refused::Changed(metric.name.to_owned()));
                }
                Some(_) => {}
                None => {
                    shapes.extend(metric.kind.shape().map(|shape| (metric.name.to_owned(), shape)));
                }
            }
            let set = self.hasher.hash_one((metric.name, metric.labels));
            if !seen.sets.contains(&set) {
                sets.insert(set);
            }
        }
        if !sets.is_empty() && seen.sets.len() + sets.len() > limit {
            return Err(Refused::Full);
        }
        seen.sets.extend(sets);
        seen.shapes.extend(shapes);
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        // Nothing is left half done by a panic: the sets only grow.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(value: &str) -> Vec<Label> {
        vec![Label { name: "path".into(), value: value.into() }]
    }

    fn take(sets: &LabelSets, name: &str, values: &[&str], kind: MetricKind<'_>) -> Result<(), Refused> {
        let labels: Vec<_> = values.iter().map(|value| label(value)).collect();
        let metrics: Vec<_> = labels.iter().map(|labels| Metric { name, labels, kind }).collect();
        sets.take(&metrics, 3)
    }

    #[test]
    fn known_sets_cost_nothing_and_new_ones_are_bounded() {
        let sets = LabelSets::default();
        assert_eq!(take(&sets, "a_total", &["1", "2", "2"], MetricKind::Counter), Ok(()));
        assert_eq!(take(&sets, "a_total", &["2", "3", "4"], MetricKind::Counter), Err(Refused::Full));
        assert_eq!(sets.len(), 2);
        assert_eq!(take(&sets, "a_total", &["3"], MetricKind::Counter), Ok(()));
        assert_eq!(take(&sets, "a_total", &["1", "2", "3"], MetricKind::Counter), Ok(()));
        assert_eq!(take(&sets, "b_total", &["1"], MetricKind::Counter), Err(Refused::Full));
    }

    #[test]
    fn a_metric_keeps_its_kind_and_its_bounds() {
        let sets = LabelSets::default();
        let seconds = MetricKind::Histogram(&[0.1, 1.0]);
        assert_eq!(take(&sets, "x", &["1"], seconds), Ok(()));
        assert_eq!(take(&sets, "x", &["1"], MetricKind::Counter), Err(Refused::Changed("x".into())));
        let other = MetricKind::Histogram(&[0.2, 1.0]);
        assert_eq!(take(&sets, "x", &["1"], other), Err(Refused::Changed("x".into())));
        assert_eq!(take(&sets, "x", &["2"], seconds), Ok(()));
    }
}
