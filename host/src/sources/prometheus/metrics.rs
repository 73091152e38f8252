//! What is counted of scrapes.

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::telemetry::registered;

/// The metrics of all `prometheus` sources; each has the label `source`.
#[derive(Debug, Clone)]
pub struct Metrics {
    results: IntCounterVec,
    left_out: IntCounterVec,
    file_errors: IntCounterVec,
    targets: IntGaugeVec,
    up: IntGaugeVec,
}

impl Metrics {
    /// Registers all of them.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            registered(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let gauge = |name: &str, help: &str| {
            registered(registry, IntGaugeVec::new(Opts::new(name, help), &["source"])?)
        };
        Ok(Self {
            results: counter(
                "picket_scrape_results_total",
                "Scrapes by what came of them: `ok`, or why they failed.",
                &["source", "result"],
            )?,
            left_out: counter(
                "picket_scrape_left_out_samples_total",
                "Samples whose series stood on a page twice, or whose times were before 1970.",
                &["source"],
            )?,
            file_errors: counter(
                "picket_scrape_targets_file_errors_total",
                "How often a targets file that had changed could not be used.",
                &["source"],
            )?,
            targets: gauge("picket_scrape_targets", "Targets that are scraped.")?,
            up: gauge("picket_scrape_targets_up", "Targets whose last scrape succeeded.")?,
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
    /// A scrape ended: `ok`, or one of the reasons of [`picket_scrape::ScrapeError::reason`].
    pub fn scraped(&self, result: &str, left_out: usize) {
        self.all.results.with_label_values(&[&*self.source, result]).inc();
        if left_out > 0 {
            self.all.left_out.with_label_values(&[&self.source]).inc_by(left_out as u64);
        }
    }

    /// The targets file cannot be used.
    pub fn file_error(&self) {
        self.all.file_errors.with_label_values(&[&self.source]).inc();
    }

    /// How many targets there are, and how many of them are up.
    pub fn targets(&self, all: usize, up: usize) {
        self.all.targets.with_label_values(&[&self.source]).set(all as i64);
        self.all.up.with_label_values(&[&self.source]).set(up as i64);
    }

    /// The source is gone.
    pub fn forget(&self) {
        // Each fails when there was none.
        let _ = self.all.targets.remove_label_values(&[&self.source]);
        let _ = self.all.up.remove_label_values(&[&self.source]);
    }
}
