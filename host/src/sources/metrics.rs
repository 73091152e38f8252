//! What sources count: what they read, what they had to leave out and why, and how far plugins lag.

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::telemetry::registered;

/// Why records or bytes did not reach a plugin; the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drop {
    /// The plugin was too far behind.
    Lag,
    /// A record was longer than its bound.
    Cut,
    /// A file was truncated before it was read to its end.
    Truncated,
    /// A file was deleted, or moved to where it was not found, before it was read to its end.
    Deleted,
}

impl Drop {
    fn label(self) -> &'static str {
        match self {
            Self::Lag => "lag",
            Self::Cut => "cut",
            Self::Truncated => "truncated",
            Self::Deleted => "deleted",
        }
    }
}

/// The metrics of all sources; each has the label `source`.
#[derive(Debug, Clone)]
pub struct Metrics {
    scrapes: super::prometheus::metrics::Metrics,
    records: IntCounterVec,
    bytes: IntCounterVec,
    dropped_records: IntCounterVec,
    dropped_bytes: IntCounterVec,
    malformed: IntCounterVec,
    rotations: IntCounterVec,
    errors: IntCounterVec,
    streams: IntGaugeVec,
    open_files: IntGaugeVec,
    lag: IntGaugeVec,
    scanned: IntCounterVec,
    skipped: IntCounterVec,
    put_aside: IntCounterVec,
    samples: IntCounterVec,
    threads_ended: IntCounterVec,
    dropped_samples: IntCounterVec,
}

impl Metrics {
    /// Registers all of them.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            registered(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            registered(registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
        };
        Ok(Self {
            scrapes: super::prometheus::metrics::Metrics::new(registry)?,
            records: counter("picket_source_records_total", "Records read.", &["source"])?,
            bytes: counter("picket_source_read_bytes_total", "Bytes read, with framing.", &["source"])?,
            dropped_records: counter(
                "picket_source_dropped_records_total",
                "Records that a plugin did not get.",
                &["source", "plugin", "reason"],
            )?,
            dropped_bytes: counter(
                "picket_source_dropped_bytes_total",
                "Bytes that no plugin got.",
                &["source", "reason"],
            )?,
            malformed: counter(
                "picket_source_malformed_lines_total",
                "Lines that were not in their file's framing.",
                &["source"],
            )?,
            rotations: counter(
                "picket_source_rotations_total",
                "Files that were renamed away, deleted or truncated.",
                &["source", "kind"],
            )?,
            errors: counter(
                "picket_source_errors_total",
                "Operations that the system refused.",
                &["source", "operation"],
            )?,
            streams: gauge("picket_source_streams", "Files that are followed.", &["source"])?,
            open_files: gauge("picket_source_open_files", "Files that are open.", &["source"])?,
            lag: gauge(
                "picket_source_lag_bytes",
                "Bytes between where a plugin is and the end of its files.",
                &["source", "plugin"],
            )?,
            scanned: counter("picket_source_scans_total", "Files given to scanners.", &["source", "plugin"])?,
            skipped: counter(
                "picket_source_skipped_files_total",
                "Files not given to scanners.",
                &["source", "reason"],
            )?,
            put_aside: counter(
                "picket_source_put_aside_total",
                "Files that had to wait because a plugin's queue was full.",
                &["source", "plugin"],
            )?,
            samples: counter(
                "picket_source_samples_total",
                "Samples taken, and stale markers.",
                &["source"],
            )?,
            threads_ended: counter(
                "picket_source_threads_ended_total",
                "How often the source ended by a bug of the agent and began anew.",
                &["source"],
            )?,
            dropped_samples: counter(
                "picket_source_dropped_samples_total",
                "Samples taken that did not go upstream, because they could not be committed.",
                &["source", "reason"],
            )?,
        })
    }

    /// Those of one source.
    pub fn of(&self, source: &str) -> SourceMetrics {
        SourceMetrics { all: self.clone(), source: source.to_owned() }
    }
}

/// The metrics of one source.
#[derive(Debug, Clone)]
pub struct SourceMetrics {
    all: Metrics,
    source: String,
}

impl SourceMetrics {
    /// Records were read, and the bytes they and their framing took.
    pub fn read(&self, records: usize, bytes: u64) {
        self.all.records.with_label_values(&[&self.source]).inc_by(records as u64);
        self.all.bytes.with_label_values(&[&self.source]).inc_by(bytes);
    }

    /// A plugin does not get some records.
    pub fn drop_records(&self, plugin: &str, reason: Drop, records: usize) {
        let labels = [&self.source, plugin, reason.label()];
        self.all.dropped_records.with_label_values(&labels).inc_by(records as u64);
    }

    /// No plugin gets some bytes.
    pub fn drop_bytes(&self, reason: Drop, bytes: u64) {
        if bytes > 0 {
            self.all.dropped_bytes.with_label_values(&[&*self.source, reason.label()]).inc_by(bytes);
        }
    }

    /// Lines were not in their file's framing.
    pub fn malformed(&self, lines: u64) {
        if lines > 0 {
            self.all.malformed.with_label_values(&[&self.source]).inc_by(lines);
        }
    }

    /// A file was `renamed`, `deleted` or `truncated`.
    pub fn rotation(&self, kind: &str) {
        self.all.rotations.with_label_values(&[&self.source, kind]).inc();
    }

    /// The system refused to `open`, `read`, `list` …
    pub fn error(&self, operation: &str) {
        self.all.errors.with_label_values(&[&self.source, operation]).inc();
    }

    /// How many files are followed, and how many of them are open.
    pub fn files(&self, streams: usize, open: usize) {
        self.all.streams.with_label_values(&[&self.source]).set(streams as i64);
        self.all.open_files.with_label_values(&[&self.source]).set(open as i64);
    }

    /// How far a plugin is behind.
    pub fn lag(&self, plugin: &str, bytes: u64) {
        self.all.lag.with_label_values(&[&*self.source, plugin]).set(bytes as i64);
    }

    /// A plugin is no longer fed: its lag is nobody's any more.
    pub fn forget_plugin(&self, plugin: &str) {
        // Fails when there was none.
        let _ = self.all.lag.remove_label_values(&[&*self.source, plugin]);
    }

    /// Those about its scrapes.
    pub fn scrapes(&self) -> super::prometheus::metrics::SourceMetrics {
        self.all.scrapes.of(&self.source)
    }

    /// The source is gone.
    pub fn forget(&self) {
        self.scrapes().forget();
        // Each fails when there was none.
        let _ = self.all.streams.remove_label_values(&[&self.source]);
        let _ = self.all.open_files.remove_label_values(&[&self.source]);
    }

    /// A file went to a scanner.
    pub fn scanned(&self, plugin: &str) {
        self.all.scanned.with_label_values(&[&*self.source, plugin]).inc();
    }

    /// A file waits for room in a plugin's queue.
    pub fn put_aside(&self, plugin: &str) {
        self.all.put_aside.with_label_values(&[&*self.source, plugin]).inc();
    }

    /// A file was not given to scanners.
    pub fn skipped(&self, reason: &str) {
        self.all.skipped.with_label_values(&[&*self.source, reason]).inc();
    }

    /// The source ended by a panic.
    pub fn thread_ended(&self) {
        self.all.threads_ended.with_label_values(&[&self.source]).inc();
    }

    /// Samples were taken.
    pub fn samples(&self, samples: usize) {
        self.all.samples.with_label_values(&[&self.source]).inc_by(samples as u64);
    }

    /// Samples could not be committed.
    pub fn drop_samples(&self, samples: usize) {
        let labels = [&*self.source, "not-committed"];
        self.all.dropped_samples.with_label_values(&labels).inc_by(samples as u64);
    }
}
