//! What the archive counts about itself, beside what every forwarder counts.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// The archive's metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(super) bytes: IntGauge,
    pub(super) segments: IntGauge,
    pub(super) expired: IntCounterVec,
    pub(super) damaged: IntCounter,
    pub(super) refused: IntCounter,
}

impl Metrics {
    /// Makes and registers them. Fails when a metric of such a name is registered already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            bytes: IntGauge::new("picket_archive_bytes", "Bytes of all segments of the archive.")?,
            segments: IntGauge::new("picket_archive_segments", "Segments of the archive.")?,
            expired: IntCounterVec::new(
                Opts::new("picket_archive_expired_bytes_total", "Bytes that left the archive, by the bound."),
                &["bound"],
            )?,
            damaged: IntCounter::new(
                "picket_archive_damage_total",
                "Times that a segment of the archive was missing or could not be read to its end.",
            )?,
            refused: IntCounter::new(
                "picket_archive_searches_refused_total",
                "Searches that were refused because as many as may ran already.",
            )?,
        };
        registry.register(Box::new(metrics.bytes.clone()))?;
        registry.register(Box::new(metrics.segments.clone()))?;
        registry.register(Box::new(metrics.expired.clone()))?;
        registry.register(Box::new(metrics.damaged.clone()))?;
        registry.register(Box::new(metrics.refused.clone()))?;
        Ok(metrics)
    }
}
