//! Keeps a walk within its share of one processor: how long to rest after which work.
//!
//! Looking at a file that did not change takes microseconds, and there may be millions. So work is summed
//! up, whatever it was for, until a rest is worth the change of threads.

use std::time::Duration;

/// Work that is worth a rest.
const WORTH_A_REST: Duration = Duration::from_millis(1);

/// The processor time of a walk so far.
#[derive(Debug)]
pub(super) struct Pace {
    share: f64,
    /// Up to where work has been rested for.
    rested: Duration,
}

impl Pace {
    /// For a share of 0.01 to 1, from the thread's processor time `now` on.
    pub(super) fn new(share: f64, now: Duration) -> Self {
        Self { share, rested: now }
    }

    /// How long to rest, if it is time; `now` is the thread's processor time.
    pub(super) fn rest(&mut self, now: Duration) -> Option<Duration> {
        let worked = now.saturating_sub(self.rested);
        if self.share >= 1.0 || worked < WORTH_A_REST {
            return None;
        }
        self.rested = now;
        Some(worked.mul_f64(1.0 / self.share - 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_work_adds_up_to_a_rest() {
        let micros = Duration::from_micros;
        let mut pace = Pace::new(0.25, micros(500));
        let rests: Vec<_> = (1..=4).map(|file| pace.rest(micros(500 + file * 400))).collect();
        assert_eq!(rests, [None, None, Some(micros(3600)), None]);
        assert_eq!(pace.rest(micros(500 + 1200 + 10_000)), Some(micros(30_000)));
        let mut whole = Pace::new(1.0, micros(0));
        assert_eq!(whole.rest(micros(1_000_000)), None);
    }
}
