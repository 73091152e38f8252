//! The times at which an expression is evaluated.

use crate::ast::{At, Shift};

/// Equally spaced times, at least one of them unless the end lies before the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) start_ms: i64,
    pub(crate) step_ms: i64,
    pub(crate) count: usize,
}

/// The query's own span, which `start()`, `end()` and their kin refer to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// None for an instant query.
    pub(crate) step_ms: i64,
}

impl Grid {
    /// One time.
    pub(crate) fn at(time_ms: i64) -> Self {
        Self { start_ms: time_ms, step_ms: 1, count: 1 }
    }

    /// The times from `start_ms` to `end_ms`, both inclusive. None when there are more than `max`.
    pub(crate) fn between(start_ms: i64, end_ms: i64, step_ms: i64, max: usize) -> Option<Self> {
        if end_ms < start_ms {
            return Some(Self { start_ms, step_ms, count: 0 });
        }
        let count = (end_ms - start_ms) / step_ms + 1;
        usize::try_from(count).ok().filter(|&count| count <= max).map(|count| Self {
            start_ms,
            step_ms,
            count,
        })
    }

    /// The time of a step, which must be below `count` and so cannot overflow.
    pub(crate) fn time(self, step: usize) -> i64 {
        self.start_ms + self.step_ms * step as i64
    }

    pub(crate) fn times(self) -> impl Iterator<Item = i64> {
        (0..self.count).map(move |step| self.time(step))
    }

    pub(crate) fn last(self) -> i64 {
        self.time(self.count.saturating_sub(1))
    }
}

impl Span {
    /// The time that a selector evaluated at this time looks at, by its modifiers.
    pub(crate) fn shifted(self, time_ms: i64, shift: Shift) -> i64 {
        let time_ms = match shift.at {
            None => time_ms,
            Some(At::TimeMs(at)) => at,
            Some(At::Start) => self.start_ms,
            Some(At::End) => self.end_ms,
        };
        time_ms - shift.offset_ms
    }
}

/// The times of a subquery over the times `first` to `last` of its parent, modifiers already applied: multiples of
/// the step, so that they do not move with the time of the evaluation. Its own window is open on the left.
pub(crate) fn subquery(first: i64, last: i64, range_ms: i64, step_ms: i64, max: usize) -> Option<Grid> {
    let open = first - range_ms;
    let start = (open.div_euclid(step_ms) + 1) * step_ms;
    Grid::between(start, last, step_ms, max)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_subquery_is_aligned_and_open_on_the_left() {
        let grid = subquery(100_000, 100_000, 40_000, 10_000, 100).unwrap();
        assert_eq!((grid.start_ms, grid.last(), grid.count), (70_000, 100_000, 4));
        let grid = subquery(-5, -5, 20, 10, 100).unwrap();
        assert_eq!((grid.start_ms, grid.last()), (-20, -10));
    }

    #[test]
    fn a_grid_has_a_bound_and_may_be_empty() {
        assert_eq!(Grid::between(0, 100, 1, 100), None);
        assert_eq!(Grid::between(0, 99, 1, 100).unwrap().count, 100);
        assert_eq!(Grid::between(1, 0, 1, 100).unwrap().count, 0);
    }
}
