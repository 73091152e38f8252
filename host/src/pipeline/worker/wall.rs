//! The time of evaluations: what the wall clock says, but as far apart as the steady clock has it.
//!
//! Clocks are read one after the other and not at the very moment at which something is due. Without this,
//! evaluations of a group would be some microseconds more or less than an interval apart, and an alert that has held
//! for exactly as long as its rule wants would fire at one time and not at another.

use std::time::{Duration, Instant};

/// What the wall clock may run away from the steady one before it counts: far more than reading both takes, and less
/// than anybody sees.
const LEEWAY: Duration = Duration::from_millis(100);

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Wall {
    /// A moment by both clocks, by which others are told.
    anchor: Option<(u64, Instant)>,
}

impl Wall {
    /// Unix time in nanoseconds at a moment, not later than `now`, which is one moment by both clocks.
    pub(super) fn at(&mut self, moment: Instant, now: (u64, Instant)) -> u64 {
        let expected = self.anchor.map(|anchor| told(anchor, now.1));
        let anchor = match (self.anchor, expected) {
            (Some(anchor), Some(expected)) if expected.abs_diff(now.0) < nanos(LEEWAY) => anchor,
            _ => *self.anchor.insert(now),
        };
        told(anchor, moment)
    }
}

fn told((time, instant): (u64, Instant), moment: Instant) -> u64 {
    match moment.checked_duration_since(instant) {
        Some(later) => time.saturating_add(nanos(later)),
        None => time.saturating_sub(nanos(instant - moment)),
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn times_are_as_far_apart_as_moments_until_the_clock_is_set() {
        let start = Instant::now();
        let after = |nanos| start + Duration::from_nanos(nanos);
        let mut wall = Wall::default();
        // What was due a moment before it is looked at.
        assert_eq!(wall.at(start, (1000 * SECOND + 50, after(50))), 1000 * SECOND);
        assert_eq!(
            wall.at(after(15 * SECOND), (1015 * SECOND + 7_000, after(15 * SECOND + 20))),
            1015 * SECOND
        );
        for step in [3600 * SECOND as i64, -3600 * SECOND as i64] {
            let now = (1030 * SECOND).saturating_add_signed(step);
            assert_eq!(wall.at(after(30 * SECOND), (now + 5, after(30 * SECOND + 5))), now);
            assert_eq!(
                wall.at(after(45 * SECOND), (now + 15 * SECOND, after(45 * SECOND))),
                now + 15 * SECOND
            );
        }
    }

    #[test]
    fn a_clock_that_runs_slowly_away_is_followed() {
        let start = Instant::now();
        let mut wall = Wall::default();
        for minute in 0..100 {
            let (steady, ahead) = (minute * 60 * SECOND, minute * SECOND / 50);
            let moment = start + Duration::from_nanos(steady);
            let told = wall.at(moment, (steady + ahead, moment));
            assert!((steady + ahead).abs_diff(told) < nanos(LEEWAY), "{minute}");
        }
    }
}
