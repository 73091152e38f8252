//! What the store counts about itself.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// The store's metrics. Reasons and bounds are fixed words, so that the label sets are bounded.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(crate) series: IntGauge,
    pub(crate) samples: IntGauge,
    pub(crate) bytes: IntGauge,
    pub(crate) appended: IntCounter,
    pub(crate) duplicates: IntCounter,
    pub(crate) refused: IntCounterVec,
    pub(crate) expelled: IntCounterVec,
}

impl Metrics {
    /// Makes and registers them. Fails when a metric of such a name is registered already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            series: IntGauge::new("picket_series_active", "Series in the store.")?,
            samples: IntGauge::new("picket_series_stored_samples", "Samples in the store.")?,
            bytes: IntGauge::new("picket_series_stored_bytes", "Bytes of samples and labels in the store.")?,
            appended: IntCounter::new(
                "picket_series_appended_samples_total",
                "Samples that the store took.",
            )?,
            duplicates: IntCounter::new(
                "picket_series_duplicate_samples_total",
                "Samples that the store had already, with the same time and value.",
            )?,
            refused: IntCounterVec::new(
                Opts::new("picket_series_refused_samples_total", "Samples that the store did not take."),
                &["reason"],
            )?,
            expelled: IntCounterVec::new(
                Opts::new(
                    "picket_series_expelled_samples_total",
                    "Samples that left before their age because of a bound.",
                ),
                &["bound"],
            )?,
        };
        registry.register(Box::new(metrics.series.clone()))?;
        registry.register(Box::new(metrics.samples.clone()))?;
        registry.register(Box::new(metrics.bytes.clone()))?;
        registry.register(Box::new(metrics.appended.clone()))?;
        registry.register(Box::new(metrics.duplicates.clone()))?;
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.expelled.clone()))?;
        Ok(metrics)
    }
}
