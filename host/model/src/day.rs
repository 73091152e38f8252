//! Days, for what need not be known more exactly.

use serde::{Deserialize, Serialize};

/// A day's length, in nanoseconds. Unix time knows no leap seconds.
const NANOS: u64 = 24 * 3600 * 1_000_000_000;

/// A day by its number: the first of January 1970 (UTC) is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(pub u32);

impl Day {
    /// The day of a Unix time in nanoseconds.
    pub fn of(nanos: u64) -> Self {
        // The last time that 64 bits hold is in the year 2554.
        Self((nanos / NANOS) as u32)
    }

    /// How many days have passed since another one; none since one to come.
    pub fn since(self, other: Self) -> u32 {
        self.0.saturating_sub(other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_changes_at_midnight_and_none_has_passed_since_one_to_come() {
        assert_eq!(Day::of(0), Day(0));
        assert_eq!(Day::of(NANOS - 1), Day(0));
        assert_eq!(Day::of(NANOS), Day(1));
        assert_eq!(Day::of(u64::MAX), Day(213_503));
        assert_eq!(Day(9).since(Day(2)), 7);
        assert_eq!(Day(2).since(Day(9)), 0);
    }
}
