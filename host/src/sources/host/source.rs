//! Takes samples of the host at intervals.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::collect::collect;
use super::config::Checked;
use super::counters::Counters;
use crate::model::Sample;
use crate::pipeline::route::Router;
use crate::sources::metrics::SourceMetrics;
use crate::sources::status::{Problem, SourceStatus, StatusBoard};

/// How soon a stop is noticed when the router cannot wake the thread.
const TICK: Duration = Duration::from_secs(1);

/// Who commits samples and feeds the series store.
pub trait SampleSink: Send + Sync {
    /// Samples of one time.
    fn samples(&self, source: &str, samples: Vec<Sample>);
}

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
        self.metrics.samples(collected.samples.len());
        self.sink.samples(&self.name, collected.samples);
        self.status.set(SourceStatus {
            name: self.name.clone(),
            kind: "host".to_owned(),
            problems,
            ..SourceStatus::default()
        });
    }
}
