//! What drains count about their forwarders. The label is the configured name.

use std::time::Duration;

use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

/// Metrics of everything that drains the journal: forwarders and the archive. Clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    sent: IntCounterVec,
    retries: IntCounterVec,
    refused: IntCounterVec,
    dropped: IntCounterVec,
    queued_bytes: IntGaugeVec,
    queued_frames: IntGaugeVec,
    oldest: GaugeVec,
    circuit_open: IntGaugeVec,
    round_trips: HistogramVec,
    damaged_cursors: IntCounterVec,
}

/// From an answer of the same machine to the longest time-out that suits a receiver.
const ROUND_TRIPS: [f64; 9] = [0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0];

impl Metrics {
    /// Makes and registers them. Fails when a metric of such a name is registered already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let named = &["forwarder"];
        let counter = |name: &str, help: &str| IntCounterVec::new(Opts::new(name, help), named);
        let gauge = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), named);
        let metrics = Self {
            sent: counter("picket_forwarder_sent_frames_total", "Frames that the receiver accepted.")?,
            retries: counter("picket_forwarder_retries_total", "Batches that have to be sent again.")?,
            refused: counter(
                "picket_forwarder_refused_frames_total",
                "Frames that the receiver refused for good; they are set aside.",
            )?,
            dropped: IntCounterVec::new(
                Opts::new(
                    "picket_forwarder_dropped_frames_total",
                    "Frames that were never sent: expelled at the bound of a lane, or damaged on disk.",
                ),
                &["forwarder", "reason"],
            )?,
            queued_bytes: gauge("picket_forwarder_queued_bytes", "Bytes of the lanes that wait.")?,
            queued_frames: gauge("picket_forwarder_queued_frames", "Frames of the lanes that wait.")?,
            oldest: GaugeVec::new(
                Opts::new("picket_forwarder_oldest_seconds", "Age of the oldest frames that wait."),
                named,
            )?,
            circuit_open: gauge(
                "picket_forwarder_circuit_open",
                "1 while the receiver has failed so often that it is tried only now and then.",
            )?,
            round_trips: HistogramVec::new(
                HistogramOpts::new(
                    "picket_forwarder_round_trip_seconds",
                    "From a request to the receiver's answer.",
                )
                .buckets(ROUND_TRIPS.to_vec()),
                named,
            )?,
            damaged_cursors: counter(
                "picket_forwarder_damaged_cursors_total",
                "Starts that began with the oldest result because the cursor was damaged.",
            )?,
        };
        for counter in
            [&metrics.sent, &metrics.retries, &metrics.refused, &metrics.dropped, &metrics.damaged_cursors]
        {
            registry.register(Box::new(counter.clone()))?;
        }
        for gauge in [&metrics.queued_bytes, &metrics.queued_frames, &metrics.circuit_open] {
            registry.register(Box::new(gauge.clone()))?;
        }
        registry.register(Box::new(metrics.oldest.clone()))?;
        registry.register(Box::new(metrics.round_trips.clone()))?;
        Ok(metrics)
    }

    /// Shows a forwarder from its start on, before anything has happened.
    pub(super) fn begins(&self, forwarder: &str) {
        self.sent(forwarder, 0);
        self.refused(forwarder, 0);
        self.retries.with_label_values(&[forwarder]);
        for reason in Reason::ALL {
            self.dropped(forwarder, reason, 0);
        }
        self.circuit(forwarder, false);
    }

    pub(super) fn sent(&self, forwarder: &str, frames: usize) {
        self.sent.with_label_values(&[forwarder]).inc_by(frames as u64);
    }

    pub(super) fn cursor_damaged(&self, forwarder: &str) {
        self.damaged_cursors.with_label_values(&[forwarder]).inc();
    }

    pub(super) fn retried(&self, forwarder: &str) {
        self.retries.with_label_values(&[forwarder]).inc();
    }

    pub(super) fn refused(&self, forwarder: &str, frames: usize) {
        self.refused.with_label_values(&[forwarder]).inc_by(frames as u64);
    }

    pub(super) fn dropped(&self, forwarder: &str, reason: Reason, frames: u64) {
        self.dropped.with_label_values(&[forwarder, reason.word()]).inc_by(frames);
    }

    pub(super) fn circuit(&self, forwarder: &str, open: bool) {
        self.circuit_open.with_label_values(&[forwarder]).set(open.into());
    }

    pub(super) fn waiting(&self, forwarder: &str, bytes: u64, frames: u64, oldest: Duration) {
        let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.queued_bytes.with_label_values(&[forwarder]).set(gauge(bytes));
        self.queued_frames.with_label_values(&[forwarder]).set(gauge(frames));
        self.oldest.with_label_values(&[forwarder]).set(oldest.as_secs_f64());
    }

    pub(super) fn answered(&self, forwarder: &str, after: Duration) {
        self.round_trips.with_label_values(&[forwarder]).observe(after.as_secs_f64());
    }

    /// Takes away what is no longer true of a forwarder that is gone; its counters stay.
    pub(super) fn gone(&self, forwarder: &str) {
        // They are missing when it never began.
        for gauge in [&self.queued_bytes, &self.queued_frames, &self.circuit_open] {
            let _ = gauge.remove_label_values(&[forwarder]);
        }
        let _ = self.oldest.remove_label_values(&[forwarder]);
    }
}

/// Why frames were never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The lane had reached its bound of size or age.
    Expelled,
    /// They cannot be read any more.
    Damaged,
}

impl Reason {
    const ALL: [Self; 2] = [Self::Expelled, Self::Damaged];

    fn word(self) -> &'static str {
        match self {
            Self::Expelled => "expelled",
            Self::Damaged => "damaged",
        }
    }
}
