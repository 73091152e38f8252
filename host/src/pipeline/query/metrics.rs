//! Counts of questions and what became of them.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry};

/// How expressions are answered.
#[derive(Debug, Clone)]
pub struct Metrics {
    queries: IntCounterVec,
    duration: Histogram,
    memory: IntGauge,
}

impl Metrics {
    /// Registers them.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let queries = IntCounterVec::new(
            Opts::new(
                "picket_queries_total",
                "Expressions by outcome (`success`, `bad-expression`, `failed`, `late`, `broken`, `busy`, \
                 `no-engine`, `unavailable`, `gone`).",
            ),
            &["outcome"],
        )?;
        let duration = Histogram::with_opts(
            HistogramOpts::new(
                "picket_query_duration_seconds",
                "Time to evaluate an expression, without the wait for those before it.",
            )
            .buckets(vec![0.001, 0.01, 0.1, 1.0, 10.0]),
        )?;
        let memory = IntGauge::new(
            "picket_query_memory_bytes",
            "Memory of the instance that answers expressions; 0 while there is none.",
        )?;
        registry.register(Box::new(queries.clone()))?;
        registry.register(Box::new(duration.clone()))?;
        registry.register(Box::new(memory.clone()))?;
        Ok(Self { queries, duration, memory })
    }

    pub(super) fn count(&self, outcome: &str) {
        self.queries.with_label_values(&[outcome]).inc();
    }

    pub(super) fn took(&self, time: Duration) {
        self.duration.observe(time.as_secs_f64());
    }

    pub(super) fn memory(&self, bytes: u64) {
        self.memory.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    #[cfg(test)]
    pub(super) fn counted(&self, outcome: &str) -> u64 {
        self.queries.with_label_values(&[outcome]).get()
    }
}
