//! What forwarders count about themselves. The label is the configured name.

use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry};

/// Metrics of everything that drains the journal: forwarders and the archive.
#[derive(Debug, Clone)]
pub struct Metrics {
    sent: IntCounterVec,
    retries: IntCounterVec,
    failed: IntCounterVec,
    queued: IntGaugeVec,
    oldest: GaugeVec,
}

impl Metrics {
    /// Makes and registers them. Fails when a metric of such a name is registered already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| IntCounterVec::new(Opts::new(name, help), &["forwarder"]);
        let metrics = Self {
            sent: counter("picket_forwarder_sent_frames_total", "Frames that the receiver accepted.")?,
            retries: counter("picket_forwarder_retries_total", "Batches that have to be sent again.")?,
            failed: IntCounterVec::new(
                Opts::new("picket_forwarder_failed_total", "What will never be sent, by reason."),
                &["forwarder", "reason"],
            )?,
            queued: IntGaugeVec::new(
                Opts::new(
                    "picket_forwarder_queued_bytes",
                    "Bytes of the journal between the forwarder's cursor and the durable end.",
                ),
                &["forwarder"],
            )?,
            oldest: GaugeVec::new(
                Opts::new(
                    "picket_forwarder_oldest_seconds",
                    "For how long the oldest commit that is not sent has waited, since this process saw it.",
                ),
                &["forwarder"],
            )?,
        };
        registry.register(Box::new(metrics.sent.clone()))?;
        registry.register(Box::new(metrics.retries.clone()))?;
        registry.register(Box::new(metrics.failed.clone()))?;
        registry.register(Box::new(metrics.queued.clone()))?;
        registry.register(Box::new(metrics.oldest.clone()))?;
        Ok(metrics)
    }

    pub(super) fn sent(&self, forwarder: &str, frames: usize) {
        self.sent.with_label_values(&[forwarder]).inc_by(frames as u64);
    }

    pub(super) fn retried(&self, forwarder: &str) {
        self.retries.with_label_values(&[forwarder]).inc();
    }

    /// `count` is in frames for `refused`, in commits for `unreadable`, and in gaps for `expelled`.
    pub(super) fn failed(&self, forwarder: &str, reason: Reason, count: usize) {
        self.failed.with_label_values(&[forwarder, reason.word()]).inc_by(count as u64);
    }

    pub(super) fn waiting(&self, forwarder: &str, bytes: u64, oldest: std::time::Duration) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.queued.with_label_values(&[forwarder]).set(bytes);
        self.oldest.with_label_values(&[forwarder]).set(oldest.as_secs_f64());
    }

    /// Takes away what is no longer true of a forwarder that is gone; its counters stay.
    pub(super) fn gone(&self, forwarder: &str) {
        // They are missing when it never began.
        let _ = self.queued.remove_label_values(&[forwarder]);
        let _ = self.oldest.remove_label_values(&[forwarder]);
    }
}

/// Why something will never be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// Frames that the receiver refused for good.
    Refused,
    /// Commits whose frames cannot be decoded.
    Unreadable,
    /// Times that the journal had deleted what was still to be read.
    Expelled,
}

impl Reason {
    fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreadable => "unreadable",
            Self::Expelled => "expelled",
        }
    }
}
