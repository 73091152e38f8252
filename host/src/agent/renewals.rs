//! Uses of what is remembered of files that are to be written down, gathered: each commit waits for a sync,
//! and a walk may come across a million entries that are due.
//!
//! It commits nothing itself. What is gathered and not given back yet stays due in the state, so nothing is
//! lost with it: the next use gathers it again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::state::Write;

/// Renewals in one commit: a sync for so many of them is a small share of the walk, and with the longest
/// paths they are about a mebibyte.
pub(super) const AT_ONCE: usize = 256;

/// Fewer are given back too when none were for this long, in nanoseconds: few files must not wait until they
/// are many.
pub(super) const PAUSE_NANOS: u64 = 1_000_000_000;

/// See the module's description.
#[derive(Default)]
pub(super) struct Renewals {
    gathered: Mutex<Gathered>,
}

#[derive(Default)]
struct Gathered {
    writes: Vec<Write>,
    /// When some were given back last; Unix time in nanoseconds.
    given: u64,
}

impl Renewals {
    /// Takes one in at a time, Unix time in nanoseconds. Returns what is to be committed now, often nothing.
    pub(super) fn add(&self, write: Write, now: u64) -> Vec<Write> {
        let mut gathered = self.lock();
        gathered.writes.push(write);
        // A clock that was set back is no reason to wait.
        if gathered.writes.len() < AT_ONCE && now.abs_diff(gathered.given) < PAUSE_NANOS {
            return Vec::new();
        }
        gathered.given = now;
        std::mem::take(&mut gathered.writes)
    }

    /// All that is gathered, to go along with another commit: before its own writes, which are newer.
    pub(super) fn take(&self) -> Vec<Write> {
        std::mem::take(&mut self.lock().writes)
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        // Nothing that can panic leaves it half changed.
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(number: usize) -> Write {
        Write::FileDigest { key: number.to_le_bytes().to_vec(), value: None, used: Default::default() }
    }

    #[test]
    fn many_are_given_back_together_and_few_after_a_pause() {
        let renewals = Renewals::default();
        let start = 10 * PAUSE_NANOS;
        // The first does not wait: it may be the only one.
        assert_eq!(renewals.add(write(0), start), [write(0)]);
        for number in 1..AT_ONCE {
            assert_eq!(renewals.add(write(number), start + 1), []);
        }
        assert_eq!(renewals.add(write(AT_ONCE), start + 1).len(), AT_ONCE);
        assert_eq!(renewals.add(write(1), start + 2), []);
        assert_eq!(renewals.add(write(2), start + 1 + PAUSE_NANOS), [write(1), write(2)]);
        assert_eq!(renewals.add(write(3), start), [write(3)], "the clock was set back");
        assert_eq!(renewals.add(write(4), start), []);
        assert_eq!(renewals.take(), [write(4)]);
    }
}
