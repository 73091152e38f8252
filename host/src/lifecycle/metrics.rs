//! What the lifecycle counts.

use prometheus::{IntCounterVec, Opts, Registry};

use super::Rejection;

/// Counters of generations by what became of them.
#[derive(Debug, Clone)]
pub struct Metrics {
    activated: IntCounterVec,
    rejected: IntCounterVec,
}

impl Metrics {
    /// Registers them.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let activated = Opts::new("picket_generations_activated_total", "Generations that came to serve.");
        let rejected = Opts::new(
            "picket_generations_rejected_total",
            "Generations that were rejected, by the step that failed.",
        );
        let metrics = Self {
            activated: IntCounterVec::new(activated, &["plugin"])?,
            rejected: IntCounterVec::new(rejected, &["plugin", "step"])?,
        };
        registry.register(Box::new(metrics.activated.clone()))?;
        registry.register(Box::new(metrics.rejected.clone()))?;
        Ok(metrics)
    }

    pub(super) fn activated(&self, plugin: &str) {
        self.activated.with_label_values(&[plugin]).inc();
    }

    pub(super) fn rejected(&self, plugin: &str, rejection: &Rejection) {
        self.rejected.with_label_values(&[plugin, rejection.step()]).inc();
    }
}
