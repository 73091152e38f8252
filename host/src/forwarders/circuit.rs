//! When a receiver that keeps failing is left alone, save for a try now and then. It waits for nothing itself.
//!
//! Closed until [`FAILURES`] in a row, or until the receiver turns out to be unusable as it is configured; open
//! from then on. What is tried while it is open is one batch, the half-open state; when that is accepted, the
//! circuit closes.

use std::time::Duration;

/// By then the waits have grown to some seconds: a receiver that only starts again is back.
const FAILURES: u32 = 5;

pub(super) struct Circuit {
    failures: u32,
    open: bool,
    pause: Duration,
}

impl Circuit {
    /// With the pause between two tries while it is open.
    pub(super) fn new(pause: Duration) -> Self {
        Self { failures: 0, open: false, pause }
    }

    /// A batch was not accepted. Says how long to wait when the back-off would wait for `wait`: while the circuit is
    /// open at least half of the pause, so that jitter still spreads the tries of a fleet.
    pub(super) fn failed(&mut self, hopeless: bool, wait: Duration) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.open |= hopeless || self.failures >= FAILURES;
        match self.open {
            true => wait.max(self.pause / 2 + wait / 2),
            false => wait,
        }
    }

    /// A batch was accepted.
    pub(super) fn works(&mut self) {
        (self.failures, self.open) = (0, false);
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_with_the_first_success() {
        let mut circuit = Circuit::new(Duration::from_secs(30));
        for _ in 1..FAILURES {
            assert_eq!(circuit.failed(false, Duration::from_secs(1)), Duration::from_secs(1));
            assert!(!circuit.is_open());
        }
        assert!(circuit.failed(false, Duration::ZERO) >= Duration::from_secs(15));
        assert!(circuit.is_open());
        circuit.works();
        assert!(!circuit.is_open());
    }

    #[test]
    fn an_unusable_receiver_opens_it_at_once() {
        let mut circuit = Circuit::new(Duration::from_secs(30));
        assert!(circuit.failed(true, Duration::ZERO) >= Duration::from_secs(15));
        assert!(circuit.is_open());
    }
}
