//! Takes samples of the host at intervals.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::collect::collect;
use super::config::Checked;
use super::counters::Counters;
use crate::pipeline::route::Router;
use crate::sources::metrics::SourceMetrics;
use crate::sources::sink::SampleSink;
use crate::sources::status::{Problem, SourceStatus, StatusBoard};

/// How soon a stop is noticed when the router cannot wake the thread.
const TICK: Duration = Duration::from_secs(1);

/// What a `host` source needs.
#[derive(Clone)]
pub struct Parts {
    /// Its name.
    pub name: String,
    /// Its settings.
    pub config: Checked,
    /// To sleep on, so that a stop wakes it.
    pub router: Arc<Router>,
    /// Where samples go.
    pub sink: Arc<dyn SampleSink>,
    /// Where to count.
    pub metrics: SourceMetrics,
    /// Where to tell how it is doing.
    pub status: StatusBoard,
    /// Set when it has to stop.
    pub stop: Arc<AtomicBool>,
}

impl Parts {
    /// Works until it is told to stop.
    pub fn run(self) {
        let mut next = Instant::now();
        let (mut logged, mut counters) = (BTreeSet::new(), Counters::default());
        while !self.stop.load(Ordering::Relaxed) {
            let seen = self.router.version();
            if Instant::now() >= next {
                self.take(&mut logged, &mut counters);
                // Samples missed while the machine slept are not made up for.
                next = (next + self.config.interval).max(Instant::now());
            }
            self.router.wait_for_change(seen, next.min(Instant::now() + TICK));
        }
    }

    fn take(&self, logged: &mut BTreeSet<PathBuf>, counters: &mut Counters) {
        let collected = collect(&self.config, counters);
        let mut problems = Vec::new();
        for (path, error) in &collected.problems {
            self.metrics.error("read");
            let problem = Problem::new(path, error);
            if logged.insert(path.clone()) {
                tracing::warn!(
                    source = self.name,
                    path = %path.display(),
                    error = problem.error,
                    remedy = problem.remedy,
                    "A part of the host's metrics cannot be read."
                );
            }
            problems.push(problem);
        }
        let taken = collected.samples.len();
        self.metrics.samples(taken);
        if self.sink.samples(&self.name, collected.samples).is_err() {
            self.metrics.drop_samples(taken);
        }
        self.status.set(SourceStatus {
            name: self.name.clone(),
            kind: "host".to_owned(),
            problems,
            ..SourceStatus::default()
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use prometheus::{Registry, TextEncoder};

    use super::*;
    use crate::model::Sample;
    use crate::sources::host::Config;
    use crate::sources::metrics::Metrics;
    use crate::sources::sink::NotCommitted;

    /// A journal that takes nothing.
    struct Broken;

    impl SampleSink for Broken {
        fn samples(&self, _: &str, samples: Vec<Sample>) -> Result<(), NotCommitted> {
            assert!(samples.iter().any(|sample| sample.name == "node_load1"));
            Err(NotCommitted)
        }
        fn scraped(&self, _: &str, _: Vec<Sample>) -> Result<(), NotCommitted> {
            Err(NotCommitted)
        }
        fn described(&self, _: &[picket_scrape::Described]) {}
        fn ended(&self, _: &str) {}
    }

    #[test]
    fn samples_that_cannot_be_committed_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("loadavg"), "0.10 1.25 2.50 1/100 4242\n").unwrap();
        let (proc, root) = (folder.path().to_owned(), folder.path().to_owned());
        let registry = Registry::new();
        let parts = Parts {
            name: "h".to_owned(),
            config: Config { proc, root, ..Config::default() }.check().unwrap(),
            router: Arc::default(),
            sink: Arc::new(Broken),
            metrics: Metrics::new(&registry).unwrap().of("h"),
            status: StatusBoard::default(),
            stop: Arc::default(),
        };
        parts.take(&mut BTreeSet::new(), &mut Counters::default());
        let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        let value = |line: &str| text.lines().find_map(|found| found.strip_prefix(line)).unwrap();
        let taken = value("picket_source_samples_total{source=\"h\"} ");
        let dropped = "picket_source_dropped_samples_total{reason=\"not-committed\",source=\"h\"} ";
        assert_eq!(value(dropped), taken);
    }
}
