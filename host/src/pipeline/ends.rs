//! How long to wait before a thread that panicked is started anew: longer each time it happens again.
//!
//! Starts nothing. Knows no clock of its own.

use std::time::{Duration, Instant};

use super::circuit::{Change, Circuit, Patience};

/// The ends of one thread in a row.
#[derive(Debug)]
pub struct Ends {
    circuit: Circuit,
    longest: Duration,
    /// Since when the present thread works, or will when its pause is over.
    since: Instant,
}

impl Ends {
    /// Of a thread that starts now. The pauses are those of a plugin that fails.
    pub fn new(patience: Patience, now: Instant) -> Self {
        let patience = Patience { failures: 1, ..patience };
        Self { circuit: Circuit::new(patience), longest: patience.longest_pause, since: now }
    }

    /// The thread has ended: the pause before the next one works. A thread that worked for longer than the
    /// longest pause has got over what ended those before it.
    pub fn ended(&mut self, now: Instant) -> Duration {
        if now.saturating_duration_since(self.since) > self.longest {
            self.circuit.reset();
        }
        // There are too few of them on a node for their coming back together to matter.
        let pause = match self.circuit.failure(now, 0.5) {
            Change::Opened(pause) => pause,
            Change::None | Change::Closed => self.longest,
        };
        self.since = now + pause;
        pause
    }

    /// How many threads have ended in a row.
    pub fn in_a_row(&self) -> u32 {
        self.circuit.failures()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_a_thread_has_worked_for_long() {
        let second = Duration::from_secs(1);
        let patience = Patience { failures: 5, first_pause: second, longest_pause: 8 * second };
        let mut now = Instant::now();
        let mut ends = Ends::new(patience, now);
        for (expected, worked) in [(1, 0), (2, 3), (4, 8), (8, 8), (8, 9), (1, 0), (2, 0)] {
            let pause = ends.ended(now);
            assert_eq!(pause, expected * second);
            now += pause + worked * second;
        }
        assert_eq!(ends.in_a_row(), 2);
    }
}
