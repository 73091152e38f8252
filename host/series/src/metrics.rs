//! What the store counts about itself.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::disk::recover::Recovered;
use crate::error::Refused;
use crate::inner::Expelled;
use crate::store::{Appended, Size};

/// The store's metrics. Reasons and bounds are fixed words, so that the label sets are bounded.
#[derive(Debug, Clone)]
pub struct Metrics {
    series: IntGauge,
    samples: IntGauge,
    bytes: IntGauge,
    appended: IntCounter,
    duplicates: IntCounter,
    refused: IntCounterVec,
    expelled: IntCounterVec,
    damaged: IntCounterVec,
    pub(crate) segments: IntGauge,
    pub(crate) disk_bytes: IntGauge,
    pub(crate) expelled_segments: IntCounter,
    not_written: IntCounterVec,
}

impl Metrics {
    /// Makes and registers them. Fails when a metric of such a name is registered already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self::made()?;
        registry.register(Box::new(metrics.series.clone()))?;
        registry.register(Box::new(metrics.samples.clone()))?;
        registry.register(Box::new(metrics.bytes.clone()))?;
        registry.register(Box::new(metrics.appended.clone()))?;
        registry.register(Box::new(metrics.duplicates.clone()))?;
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.expelled.clone()))?;
        registry.register(Box::new(metrics.damaged.clone()))?;
        registry.register(Box::new(metrics.segments.clone()))?;
        registry.register(Box::new(metrics.disk_bytes.clone()))?;
        registry.register(Box::new(metrics.expelled_segments.clone()))?;
        registry.register(Box::new(metrics.not_written.clone()))?;
        Ok(metrics)
    }

    /// In no registry.
    pub(crate) fn unregistered() -> Self {
        Self::made().expect("the names are constant and good, as the tests show")
    }

    fn made() -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| IntGauge::new(name, help);
        let counter = |name: &str, help: &str| IntCounter::new(name, help);
        let by = |name: &str, help: &str, label: &str| IntCounterVec::new(Opts::new(name, help), &[label]);
        Ok(Self {
            series: gauge("picket_series_active", "Series in the store.")?,
            samples: gauge("picket_series_stored_samples", "Samples in the store's memory.")?,
            bytes: gauge("picket_series_stored_bytes", "Bytes of samples and labels in the store's memory.")?,
            appended: counter("picket_series_appended_samples_total", "Samples that the store took.")?,
            duplicates: counter(
                "picket_series_duplicate_samples_total",
                "Samples that the store had already, with the same time and value.",
            )?,
            refused: by(
                "picket_series_refused_samples_total",
                "Samples that the store did not take.",
                "reason",
            )?,
            expelled: by(
                "picket_series_expelled_samples_total",
                "Samples that left memory and were on no disk, before their age, because of a bound or the clock.",
                "bound",
            )?,
            damaged: by(
                "picket_series_damaged_total",
                "What could not be read of the store's folder: `file` (at the start), `chunk` (for a selection).",
                "what",
            )?,
            segments: gauge("picket_series_segments", "Segments in the store's folder.")?,
            disk_bytes: gauge("picket_series_disk_bytes", "Bytes of all files in the store's folder.")?,
            expelled_segments: counter(
                "picket_series_expelled_segments_total",
                "Segments that were deleted before their age because of the bound of the disk.",
            )?,
            not_written: by(
                "picket_series_log_errors_total",
                "How often the store did not write to its folder, and went on in memory: `disk` (an error), `reserve` \
                 (the room on the disk is left to the journal), `behind` (more came than was written).",
                "reason",
            )?,
        })
    }

    pub(crate) fn count(&self, outcome: &Result<Appended, Refused>) {
        match outcome {
            Ok(Appended::Stored { .. }) => self.appended.inc(),
            Ok(Appended::Duplicate { .. }) => self.duplicates.inc(),
            Err(refused) => self.refused.with_label_values(&[refused.reason()]).inc(),
        }
    }

    pub(crate) fn damaged_chunk(&self) {
        self.damaged.with_label_values(&["chunk"]).inc();
    }

    pub(crate) fn not_written(&self, reason: &str) {
        self.not_written.with_label_values(&[reason]).inc();
    }

    pub(crate) fn recovered(&self, recovered: &Recovered) {
        self.damaged.with_label_values(&["file"]).inc_by(recovered.damaged);
        self.segments.set(recovered.segments as i64);
    }

    pub(crate) fn show(&self, size: Size, expelled: Expelled) {
        let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.series.set(gauge(size.series as u64));
        self.samples.set(gauge(size.samples));
        self.bytes.set(gauge(size.bytes));
        for (bound, count) in [("bytes", expelled.by_bytes), ("clock", expelled.by_clock)] {
            if count > 0 {
                self.expelled.with_label_values(&[bound]).inc_by(count);
            }
        }
    }
}
