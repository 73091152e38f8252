//! The thread of a source that has one for itself: when the source panics, it begins anew after a pause, as it
//! does when its configuration changes. What scanners still hold of it is given to them once more.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::metrics::SourceMetrics;
use super::status::{Problem, StatusBoard};
use crate::pipeline::circuit::Patience;
use crate::pipeline::ends::Ends;
use crate::pipeline::route::Router;
use crate::telemetry;

/// A source waits no longer than a plugin that fails.
const PATIENCE: Patience =
    Patience { failures: 1, first_pause: Duration::from_secs(1), longest_pause: Duration::from_secs(300) };
/// How soon a stop is noticed when the router cannot wake the thread.
const TICK: Duration = Duration::from_secs(1);

/// What begins a source again.
pub(super) struct Anew {
    pub(super) name: String,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) router: Arc<Router>,
    pub(super) metrics: SourceMetrics,
    pub(super) status: StatusBoard,
}

impl Anew {
    /// Runs a source until it ends by itself. `run` makes all of it each time.
    pub(super) fn run(self, run: impl FnMut()) {
        self.run_patiently(PATIENCE, run);
    }

    fn run_patiently(self, patience: Patience, mut run: impl FnMut()) {
        let mut ends = Ends::new(patience, Instant::now());
        // Nothing of the source that panicked is used again.
        while let Err(panic) = catch_unwind(AssertUnwindSafe(&mut run)) {
            let pause = ends.ended(Instant::now());
            let reason = telemetry::panic_message(panic.as_ref());
            self.metrics.thread_ended();
            self.status.trouble(
                &self.name,
                Problem {
                    path: "its thread".into(),
                    error: format!("it ended by a bug of the agent: {reason}"),
                    remedy: "It begins anew by itself. Please report this with the agent's log.".to_owned(),
                },
            );
            tracing::error!(
                source = self.name,
                reason,
                pause_seconds = pause.as_secs_f64(),
                "The source ended by a bug of the agent; it begins anew after a pause. Please report this."
            );
            if !self.rest(Instant::now() + pause) {
                return;
            }
        }
    }

    /// Waits until a moment; false when the source has to stop.
    fn rest(&self, until: Instant) -> bool {
        loop {
            let (seen, now) = (self.router.version(), Instant::now());
            if self.stop.load(Ordering::Relaxed) {
                return false;
            }
            if now >= until {
                return true;
            }
            self.router.wait_for_change(seen, until.min(now + TICK));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::sources::metrics::Metrics;

    fn anew(metrics: &Metrics) -> Anew {
        let (stop, router) = (Arc::default(), Arc::new(Router::new()));
        let (metrics, status) = (metrics.of("s"), StatusBoard::default());
        Anew { name: "s".into(), stop, router, metrics, status }
    }

    #[test]
    fn a_source_that_panics_begins_anew_and_is_counted() {
        let registry = prometheus::Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let patience = Patience { first_pause: Duration::from_millis(1), ..PATIENCE };
        let mut times = 0;
        let anew = anew(&metrics);
        let status = anew.status.clone();
        anew.run_patiently(patience, || {
            times += 1;
            assert!(times == 3, "time {times}");
        });
        assert_eq!(times, 3);
        let problems = status.all().remove(0).problems;
        assert!(problems.last().unwrap().error.ends_with("time 2"), "{problems:?}");
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(text.contains("picket_source_threads_ended_total{source=\"s\"} 2"), "{text}");
    }

    #[test]
    fn a_source_that_waits_to_begin_anew_can_be_stopped() {
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        let anew = anew(&metrics);
        let (stop, router) = (anew.stop.clone(), anew.router.clone());
        let (panics, panicked) = crossbeam_channel::bounded(1);
        let hour = Duration::from_secs(3600);
        let patience = Patience { first_pause: hour, longest_pause: hour, ..PATIENCE };
        let thread = std::thread::spawn(move || {
            anew.run_patiently(patience, || {
                panics.send(()).unwrap();
                panic!("the first time");
            });
        });
        panicked.recv().unwrap();
        stop.store(true, Ordering::Relaxed);
        router.wake();
        thread.join().unwrap();
    }
}
