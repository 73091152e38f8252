//! How often a pattern comes, and when that is out of the ordinary.
//!
//! Lines are counted by intervals. Over the counts `x` of the intervals that have ended, an exponentially
//! weighted mean and variance are kept with the incremental form of T. Finch, "Incremental calculation
//! of weighted mean and variance" (University of Cambridge, 2009), section 9:
//!
//! ```text
//! d    = x - mean
//! mean = mean + a*d
//! var  = (1 - a) * (var + a*d*d)
//! ```
//!
//! An interval is a jump when its count exceeds
//!
//! ```text
//! max(mean + k * sqrt(max(var, mean, 1)), ratio * mean, min_count)
//! ```
//!
//! The variance of counts that come independently of each other is their mean (Poisson), so a quiet
//! history is not taken for a promise: `max(var, mean, 1)`. The bound is known when the interval begins,
//! so a jump is told at the line that makes it. The jump itself goes into the history like any other
//! count: a new level is accepted after about `1/a` intervals.

use serde::{Deserialize, Serialize};

/// The parameters of the statistic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameters {
    /// The length of an interval in nanoseconds.
    pub interval: u64,
    /// `a`: the weight of the newest interval, above 0 and below 1.
    pub alpha: f64,
    /// `k`: by how many standard deviations.
    pub deviations: f64,
    /// By what factor.
    pub ratio: f64,
    /// By what number of lines at least.
    pub min_count: u32,
    /// How many intervals there must have been before.
    pub warm_up: u32,
}

/// The history of one pattern.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Rate {
    /// Number of the current interval since 1970; 0 before the first line.
    interval: u64,
    /// Lines in it.
    count: u32,
    mean: f64,
    variance: f64,
    /// Intervals that have ended.
    ended: u32,
    /// The count that is no jump yet.
    bound: f64,
    /// No jump is told before this interval.
    silent_until: u64,
}

/// A count that is out of the ordinary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jump {
    /// Lines in the interval so far.
    pub count: u32,
    /// What was to be expected.
    pub mean: f64,
    /// The standard deviation that goes with it.
    pub deviation: f64,
    /// The largest count that would have been ordinary.
    pub bound: f64,
}

/// Beyond this many empty intervals nothing of the history is left that matters.
const FORGOTTEN: u64 = 512;

impl Rate {
    /// Counts a line at `time` (nanoseconds). A line that comes late is counted in the current interval.
    /// After a jump the rate is silent for `quiet` intervals.
    #[inline]
    pub fn count(&mut self, time: u64, parameters: &Parameters, quiet: u64) -> Option<Jump> {
        let interval = time / parameters.interval.max(1);
        if interval > self.interval {
            self.advance(interval, parameters);
        }
        self.count = self.count.saturating_add(1);
        if f64::from(self.count) <= self.bound
            || self.ended < parameters.warm_up
            || self.interval < self.silent_until
        {
            return None;
        }
        self.silent_until = self.interval + quiet.max(1);
        let deviation = self.deviation();
        Some(Jump { count: self.count, mean: self.mean, deviation, bound: self.bound })
    }

    fn deviation(&self) -> f64 {
        self.variance.max(self.mean).max(1.0).sqrt()
    }

    #[cold]
    fn advance(&mut self, interval: u64, parameters: &Parameters) {
        if self.interval > 0 {
            self.end(parameters.alpha, f64::from(self.count));
            let empty = interval - self.interval - 1;
            for _ in 0..empty.min(FORGOTTEN) {
                self.end(parameters.alpha, 0.0);
            }
        }
        self.interval = interval;
        self.count = 0;
        let bound = self.mean + parameters.deviations * self.deviation();
        self.bound = bound.max(parameters.ratio * self.mean).max(f64::from(parameters.min_count));
    }

    fn end(&mut self, alpha: f64, count: f64) {
        if self.ended == 0 {
            (self.mean, self.variance) = (count, 0.0);
        } else {
            let difference = count - self.mean;
            self.mean += alpha * difference;
            self.variance = (1.0 - alpha) * (self.variance + alpha * difference * difference);
        }
        self.ended = self.ended.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    const PARAMETERS: Parameters =
        Parameters { interval: 60, alpha: 0.1, deviations: 6.0, ratio: 3.0, min_count: 20, warm_up: 5 };

    /// Feeds counts by interval; the intervals in which a jump was told.
    fn check(counts: &[u32], expected: &[usize]) {
        let mut rate = Rate::default();
        let mut jumps = Vec::new();
        for (interval, count) in counts.iter().enumerate() {
            for _ in 0..*count {
                if rate.count((interval as u64 + 1) * 60, &PARAMETERS, 1).is_some() {
                    jumps.push(interval);
                }
            }
        }
        assert_eq!(jumps, expected, "{counts:?}");
    }

    #[test]
    fn a_jump_is_told_once_in_its_interval() {
        check(&[10, 10, 10, 10, 10, 10, 200], &[6]);
        check(&[1, 0, 0, 0, 0, 0, 0, 100], &[7]);
    }

    #[test]
    fn what_is_ordinary_is_not_told() {
        check(&[10, 12, 9, 11, 10, 8, 14, 11, 13], &[]);
        check(&[10, 200], &[]);
        check(&[1, 1, 1, 1, 1, 1, 20], &[]);
        check(&[100, 20, 180, 50, 150, 30, 170, 250], &[]);
    }

    #[test]
    fn a_new_level_is_accepted_in_time() {
        let mut counts = vec![10; 10];
        counts.extend([100; 40]);
        let mut rate = Rate::default();
        let jumps = counts.iter().enumerate().filter(|(interval, count)| {
            (0..**count).any(|_| rate.count((*interval as u64 + 1) * 60, &PARAMETERS, 1).is_some())
        });
        let intervals: Vec<usize> = jumps.map(|(interval, _)| interval).collect();
        assert_eq!(intervals.first(), Some(&10));
        assert!(intervals.iter().all(|interval| *interval < 15), "{intervals:?}");
    }

    #[test]
    fn the_mean_and_variance_are_those_of_the_paper() {
        let mut rate = Rate::default();
        for (interval, count) in [4_u32, 8, 6].into_iter().enumerate() {
            for _ in 0..count {
                rate.count((interval as u64 + 1) * 60, &PARAMETERS, 1);
            }
        }
        rate.count(4 * 60, &PARAMETERS, 1);
        // 4; then d = 4: mean 4.4, var 0.9 * 0.1 * 16 = 1.44; then d = 1.6: mean 4.56, var 0.9 * (1.44 + 0.256).
        assert!((rate.mean - 4.56).abs() < 1e-12, "{}", rate.mean);
        assert!((rate.variance - 1.5264).abs() < 1e-12, "{}", rate.variance);
    }

    proptest! {
        #[test]
        fn any_times_keep_the_statistic_finite(times in proptest::collection::vec(any::<u64>(), 1..200)) {
            let mut rate = Rate::default();
            for time in times {
                rate.count(time, &PARAMETERS, 10);
                prop_assert!(rate.mean.is_finite() && rate.variance.is_finite() && rate.variance >= 0.0);
            }
        }
    }
}
