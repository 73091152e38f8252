//! The bounds in time of one call: its deadline, and the CPU time that it took.
//!
//! The deadline is a moment by the wall clock. A running guest looks at it at every tick of the
//! engine; a host function that can wait looks at it before and after, and gets what is left, since
//! nothing can interrupt the host's own code.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::error::Violation;

/// The moment that deadlines and the guests' monotonic clock count from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A call after which the next is measured from its start: reading the clock twice then costs it one
/// per cent.
const LONG_CALL: Duration = Duration::from_micros(200);

/// Time since a fixed moment in this process's life, in nanoseconds.
pub(crate) fn monotonic() -> u64 {
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// When the current call must be over. Clones share it: the store and the capabilities of one
/// instance have one each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deadline(Arc<AtomicU64>);

impl Deadline {
    /// Sets it from now on, and gives now.
    pub(crate) fn set(&self, limit: Duration) -> u64 {
        let now = monotonic();
        let limit = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        self.0.store(now.saturating_add(limit), Ordering::Relaxed);
        now
    }

    /// The moment itself, for host functions that wait.
    pub(crate) fn at(&self) -> Instant {
        *START + Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    pub(crate) fn passed(&self) -> bool {
        monotonic() >= self.0.load(Ordering::Relaxed)
    }

    /// Traps when the deadline has passed. Host functions that can wait call it before and after.
    pub(crate) fn check(&self) -> wasmtime::Result<()> {
        if self.passed() { Err(wasmtime::Error::new(Violation::Deadline)) } else { Ok(()) }
    }
}

/// Measures the CPU time of calls.
///
/// The clock of a thread's CPU time costs a system call, up to a microsecond and a half, which is ten
/// times an empty call; the clock on the wall costs nothing. So the dear one is read only when it can
/// make a difference: from the start of a call that follows a long one, else from the first tick
/// that the call sees. What lies before counts as it is on the wall.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch {
    begun: u64,
    /// The moment, and the thread's CPU time at it.
    read: Option<(u64, Duration)>,
    long: bool,
}

impl Stopwatch {
    pub(crate) fn start(&mut self, now: u64) {
        self.begun = now;
        self.read = self.long.then(|| (now, thread_cpu()));
    }

    /// A tick passed during the call.
    pub(crate) fn tick(&mut self) {
        self.read.get_or_insert_with(|| (monotonic(), thread_cpu()));
    }

    /// The CPU time since the start.
    pub(crate) fn stop(&mut self) -> Duration {
        let now = monotonic();
        let wall = Duration::from_nanos(now.saturating_sub(self.begun));
        self.long = wall >= LONG_CALL;
        match self.read.take() {
            Some((at, cpu)) => {
                let before = Duration::from_nanos(at.saturating_sub(self.begun));
                before + thread_cpu().saturating_sub(cpu)
            }
            None => wall,
        }
    }
}

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanoseconds)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_deadline_passes() {
        let deadline = Deadline::default();
        deadline.set(Duration::from_secs(3600));
        assert!(!deadline.clone().passed());
        assert!(deadline.check().is_ok());
        assert!(deadline.at() > Instant::now());
        deadline.set(Duration::ZERO);
        let error = deadline.check().unwrap_err();
        assert_eq!(error.downcast_ref::<Violation>(), Some(&Violation::Deadline));
        deadline.set(Duration::MAX);
        assert!(!deadline.passed());
    }

    #[test]
    fn work_costs_cpu_time_and_waiting_does_not() {
        let mut watch = Stopwatch { long: true, ..Stopwatch::default() };
        watch.start(monotonic());
        std::thread::sleep(Duration::from_millis(50));
        assert!(watch.stop() < Duration::from_millis(50));
        watch.start(monotonic());
        let begun = thread_cpu();
        while thread_cpu() - begun < Duration::from_millis(2) {}
        assert!(watch.stop() >= Duration::from_millis(2));
    }

    #[test]
    fn a_call_that_turns_out_long_is_measured_from_a_tick_on() {
        let mut watch = Stopwatch::default();
        watch.start(monotonic());
        watch.tick();
        let before = Duration::from_nanos(watch.read.unwrap().0 - watch.begun);
        std::thread::sleep(Duration::from_millis(50));
        assert!(watch.stop() < before + Duration::from_millis(50));
        assert!(watch.long);
    }
}
