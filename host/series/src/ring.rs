//! The samples of one series in the order of their times. Knows no bound of the whole store.

use std::collections::VecDeque;
use std::ops::Range;

/// Bytes of one sample: its time and its value.
pub(crate) const SAMPLE_BYTES: u64 = 16;

/// By how much the ring grows at once at least: a series that has just begun stays small.
const MIN_GROWTH: usize = 16;

/// Samples with strictly rising times.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    samples: VecDeque<(u64, f64)>,
}

impl Ring {
    pub(crate) fn len(&self) -> usize {
        self.samples.len()
    }

    pub(crate) fn last(&self) -> Option<(u64, f64)> {
        self.samples.back().copied()
    }

    /// Adds a sample that is later than the last one. Grows by a quarter, not by doubling, so that
    /// the memory of many series stays near what is accounted for.
    pub(crate) fn push(&mut self, time: u64, value: f64) {
        debug_assert!(self.last().is_none_or(|(last, _)| last < time));
        if self.samples.len() == self.samples.capacity() {
            self.samples.reserve_exact(MIN_GROWTH.max(self.samples.len() / 4));
        }
        self.samples.push_back((time, value));
    }

    pub(crate) fn pop_oldest(&mut self) {
        self.samples.pop_front();
    }

    /// Drops what is not later than `horizon`; says how many.
    pub(crate) fn drop_until(&mut self, horizon: u64) -> usize {
        let count = self.samples.partition_point(|(time, _)| *time <= horizon);
        self.samples.drain(..count);
        if self.samples.capacity() > 2 * self.samples.len() + 4 * MIN_GROWTH {
            self.samples.shrink_to(self.samples.len() + MIN_GROWTH);
        }
        count
    }

    /// Drops what is later than `limit`; says how many.
    pub(crate) fn drop_beyond(&mut self, limit: u64) -> usize {
        let keep = self.samples.partition_point(|(time, _)| *time <= limit);
        let count = self.samples.len() - keep;
        self.samples.truncate(keep);
        count
    }

    /// Where the samples are that are later than `after` and not later than `to`.
    pub(crate) fn range(&self, after: u64, to: u64) -> Range<usize> {
        let start = self.samples.partition_point(|(time, _)| *time <= after);
        let end = self.samples.partition_point(|(time, _)| *time <= to);
        start..end.max(start)
    }

    /// The sample at a place of a range.
    pub(crate) fn at(&self, place: usize) -> Option<(u64, f64)> {
        self.samples.get(place).copied()
    }

    pub(crate) fn iter(&self, range: Range<usize>) -> impl Iterator<Item = (u64, f64)> + '_ {
        self.samples.range(range).copied()
    }
}
