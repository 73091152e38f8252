//! Rests a plugin that fails again and again, and tries it anew later.
//!
//! Closed: work flows. Open: no work until a moment in the future. Half-open: one try; success closes
//! the circuit, failure opens it for longer. The pause doubles from one second to five minutes and
//! varies by a quarter, so that plugins that failed together do not come back together.
//! Knows no clock and no randomness of its own: both are given.

use std::time::{Duration, Instant};

/// When a circuit opens and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Failures in a row that open the circuit.
    pub failures: u32,
    /// The first pause.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

/// Whether a plugin gets work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Work flows.
    Closed,
    /// No work before this moment.
    Open(Instant),
    /// The next piece of work decides.
    HalfOpen,
}

/// The failures of one plugin in a row, and what follows from them.
#[derive(Debug)]
pub struct Circuit {
    patience: Patience,
    state: State,
    failures: u32,
    pauses: u32,
}

/// What a failure or a success changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// The circuit opened for this long.
    Opened(Duration),
    /// The circuit closed again.
    Closed,
}

impl Circuit {
    /// A closed one.
    pub fn new(patience: Patience) -> Self {
        Self { patience, state: State::Closed, failures: 0, pauses: 0 }
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// As if nothing had ever failed.
    pub fn reset(&mut self) {
        *self = Self::new(self.patience);
    }

    /// The state at a moment: an open circuit whose pause is over is half-open.
    pub fn state(&mut self, now: Instant) -> State {
        if let State::Open(until) = self.state
            && now >= until
        {
            self.state = State::HalfOpen;
        }
        self.state
    }

    /// Something worked.
    pub fn success(&mut self) -> Change {
        self.failures = 0;
        self.pauses = 0;
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Closed => Change::None,
            State::Open(_) | State::HalfOpen => Change::Closed,
        }
    }

    /// Something failed for good: a record that no fresh instance could process. `jitter` is a
    /// number from 0 to 1.
    pub fn failure(&mut self, now: Instant, jitter: f64) -> Change {
        self.failures += 1;
        if self.state == State::Closed && self.failures < self.patience.failures {
            return Change::None;
        }
        let pause = self.patience.first_pause.saturating_mul(1 << self.pauses.min(16));
        let pause = pause.min(self.patience.longest_pause);
        let pause = pause.mul_f64(0.75 + 0.5 * jitter.clamp(0.0, 1.0));
        self.pauses += 1;
        self.state = State::Open(now + pause);
        Change::Opened(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(1);
    const PATIENCE: Patience =
        Patience { failures: 5, first_pause: PAUSE, longest_pause: Duration::from_secs(300) };

    #[test]
    fn five_failures_open_and_one_success_closes() {
        let now = Instant::now();
        let mut circuit = Circuit::new(PATIENCE);
        for _ in 1..PATIENCE.failures {
            assert_eq!(circuit.failure(now, 0.5), Change::None);
        }
        assert_eq!(circuit.failure(now, 0.5), Change::Opened(PAUSE));
        assert_eq!(circuit.state(now), State::Open(now + PAUSE));
        assert_eq!(circuit.state(now + PAUSE), State::HalfOpen);
        assert_eq!(circuit.success(), Change::Closed);
        assert_eq!(circuit.success(), Change::None);
    }

    #[test]
    fn a_success_between_failures_starts_the_count_anew() {
        let now = Instant::now();
        let mut circuit = Circuit::new(PATIENCE);
        for _ in 0..3 * PATIENCE.failures {
            assert_eq!(circuit.failure(now, 0.0), Change::None);
            assert_eq!(circuit.success(), Change::None);
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut now = Instant::now();
        let mut circuit = Circuit::new(PATIENCE);
        let mut pauses = Vec::new();
        for _ in 0..30 {
            if let Change::Opened(pause) = circuit.failure(now, 0.5) {
                pauses.push(pause);
                now += pause;
                assert_eq!(circuit.state(now), State::HalfOpen);
            }
        }
        assert_eq!(pauses[..3], [PAUSE, PAUSE * 2, PAUSE * 4]);
        assert_eq!(pauses.last(), Some(&PATIENCE.longest_pause));
    }
}
