//! What a call produces: findings, counters, histograms and samples.
//!
//! The report is a return value that the SDK keeps for the plugin: nothing in it leaves before the
//! call has succeeded.

use crate::Timestamp;
use crate::finding::labels_of;
use crate::metrics::{Counter, CounterCell, Histogram, HistogramCell, Metrics};
use crate::types::{self, Finding, Label, Sample};

/// What a call found. The host commits it as a whole or not at all. By default it takes at most
/// 1000 findings, 1000 metric label sets in each generation and 1 MiB in all.
#[derive(Debug, Default)]
pub struct Report {
    findings: Vec<Finding>,
    samples: Vec<Sample>,
    metrics: Metrics,
}

impl Report {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self { metrics, ..Self::default() }
    }

    /// Adds a finding.
    pub fn finding(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// How many findings the call has so far, so that a plugin can stop in time.
    pub fn findings(&self) -> usize {
        self.findings.len()
    }

    /// Adds to a counter by its handle.
    #[inline]
    pub fn add(&mut self, counter: Counter, by: u64) {
        self.metrics.counter(counter).add(by as f64);
    }

    /// Observes a value in a histogram by its handle.
    #[inline]
    pub fn observe(&mut self, histogram: Histogram, value: f64) {
        self.metrics.histogram(histogram).observe(value);
    }

    /// A counter by name and labels, made when it is new. It costs a hash of the names: on the hot
    /// path take a handle from [`Setup::counter`](crate::Setup::counter). Label values must be
    /// bounded; the host refuses a report that makes too many.
    pub fn counter(&mut self, name: &str, labels: &[(&str, &str)]) -> CounterMut<'_> {
        let handle = self.metrics.counter_handle(name, labels);
        CounterMut(self.metrics.counter(handle))
    }

    /// A histogram by name and labels, made with these bounds when it is new.
    pub fn histogram(&mut self, name: &str, labels: &[(&str, &str)], bounds: &[f64]) -> HistogramMut<'_> {
        let handle = self.metrics.histogram_handle(name, labels, bounds);
        HistogramMut(self.metrics.histogram(handle))
    }

    /// The handle of a counter, made when it is new: for metrics that only the input brings up.
    /// Keep it; the lookup costs a hash of the names.
    pub fn counter_handle(&mut self, name: &str, labels: &[(&str, &str)]) -> Counter {
        self.metrics.counter_handle(name, labels)
    }

    /// The handle of a histogram, made with these bounds when it is new.
    pub fn histogram_handle(&mut self, name: &str, labels: &[(&str, &str)], bounds: &[f64]) -> Histogram {
        self.metrics.histogram_handle(name, labels, bounds)
    }

    /// Adds a sample for the series store and upstream, with the time of the call.
    pub fn sample(&mut self, name: impl Into<String>, labels: &[(&str, &str)], value: f64) {
        self.samples.push(Sample { name: name.into(), labels: labels_of(labels), value, time: None });
    }

    /// Adds a sample with a time of its own.
    pub fn sample_at(
        &mut self,
        name: impl Into<String>,
        labels: &[(&str, &str)],
        value: f64,
        time: Timestamp,
    ) {
        self.samples.push(Sample { name: name.into(), labels: labels_of(labels), value, time: Some(time) });
    }

    /// Adds a sample whose labels were made before.
    pub fn sample_with(&mut self, name: impl Into<String>, labels: Vec<Label>, value: f64) {
        self.samples.push(Sample { name: name.into(), labels, value, time: None });
    }

    /// The report of the call that ends now; the next call begins with an empty one.
    pub(crate) fn take(&mut self) -> types::Report {
        let (counters, histograms) = self.metrics.take();
        types::Report {
            findings: std::mem::take(&mut self.findings),
            counters,
            histograms,
            samples: std::mem::take(&mut self.samples),
        }
    }
}

/// A counter within a report.
#[derive(Debug)]
pub struct CounterMut<'a>(&'a mut CounterCell);

impl CounterMut<'_> {
    /// Adds to it.
    pub fn add(&mut self, by: u64) {
        self.0.add(by as f64);
    }

    /// Adds a fraction to it, such as seconds. A negative or infinite one makes the host refuse the
    /// report.
    pub fn add_f64(&mut self, by: f64) {
        self.0.add(by);
    }
}

/// A histogram within a report.
#[derive(Debug)]
pub struct HistogramMut<'a>(&'a mut HistogramCell);

impl HistogramMut<'_> {
    /// Observes a value.
    pub fn observe(&mut self, value: f64) {
        self.0.observe(value);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_report_holds_only_what_changed_in_its_call() {
        let mut metrics = Metrics::default();
        let requests = metrics.counter_handle("requests_total", &[("status", "2xx")]);
        let seconds = metrics.histogram_handle("request_duration_seconds", &[], &[0.1, 1.0]);
        let mut report = Report::new(metrics);
        assert_eq!(
            report.take(),
            types::Report { findings: vec![], counters: vec![], histograms: vec![], samples: vec![] }
        );

        report.add(requests, 2);
        report.counter("requests_total", &[("status", "2xx")]).add(1);
        report.counter("requests_total", &[("status", "5xx")]).add(1);
        for value in [0.1, 0.100_1, 5.0] {
            report.observe(seconds, value);
        }
        let first = report.take();
        assert_eq!(first.counters.iter().map(|counter| counter.delta).collect::<Vec<_>>(), [3.0, 1.0]);
        assert_eq!(first.histograms[0].counts, [1, 1, 1]);

        report.counter("requests_total", &[("status", "5xx")]).add(4);
        let second = report.take();
        assert_eq!(second.counters.len(), 1);
        assert_eq!(second.counters[0].delta, 4.0);
        assert!(second.histograms.is_empty());
    }
}
