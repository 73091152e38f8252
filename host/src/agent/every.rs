//! A thread that does something at intervals until it is stopped. Misses are not made up for. A panic ends
//! what was being done, and the next interval tries again.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

/// See the module's description. Dropping it lets the thread end without waiting for it.
pub(super) struct Every {
    intervals: Sender<Duration>,
    thread: JoinHandle<()>,
}

impl Every {
    /// Does `work` at once and then at every interval, in a thread of its own.
    pub(super) fn start(
        name: &str,
        interval: Duration,
        work: impl FnMut() + Send + 'static,
    ) -> io::Result<Self> {
        // The control loop sends one interval for each reload and need not wait for the work.
        let (intervals, changes) = bounded(1);
        let thread =
            std::thread::Builder::new().name(name.to_owned()).spawn(move || run(interval, &changes, work))?;
        Ok(Self { intervals, thread })
    }

    /// Another interval counts from now on.
    pub(super) fn set_interval(&self, interval: Duration) {
        // The thread ends only when it is stopped.
        let _ = self.intervals.send(interval);
    }

    /// Waits for the work in hand and ends the thread.
    pub(super) fn stop(self) {
        drop(self.intervals);
        // As above.
        let _ = self.thread.join();
    }
}

fn run(mut interval: Duration, changes: &Receiver<Duration>, mut work: impl FnMut()) {
    loop {
        let started = Instant::now();
        // What is done at intervals begins from what it finds, whatever the last time left.
        if catch_unwind(AssertUnwindSafe(&mut work)).is_err() {
            let thread = std::thread::current();
            tracing::error!(
                what = thread.name().unwrap_or_default(),
                "What is done at intervals panicked; it is tried again after the interval. Please report this."
            );
        }
        loop {
            match changes.recv_deadline(started + interval) {
                Ok(changed) => interval = changed,
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn work_is_done_at_once_again_at_the_interval_and_no_more_after_the_end() {
        let (did, done) = crossbeam_channel::unbounded();
        let hour = Duration::from_secs(3600);
        let every = Every::start("test", hour, move || did.send(()).unwrap()).unwrap();
        done.recv().unwrap();
        every.set_interval(Duration::from_millis(1));
        done.recv().unwrap();
        done.recv().unwrap();
        every.set_interval(hour);
        every.stop();
        // The sender is gone with the work.
        while done.recv().is_ok() {}
    }

    #[test]
    fn work_that_panics_is_done_again_at_the_interval() {
        let (did, done) = crossbeam_channel::unbounded();
        let mut times = 0;
        let every = Every::start("test", Duration::from_millis(1), move || {
            times += 1;
            did.send(times).unwrap();
            assert!(times != 1, "the first time");
        });
        assert_eq!(done.iter().take(3).collect::<Vec<_>>(), [1, 2, 3]);
        every.unwrap().stop();
    }
}
