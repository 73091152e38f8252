//! What a batch adds to the metrics: counted in plain arrays while the lines pass, and handed to the
//! report once at the end.

use std::collections::HashMap;

use picket_sdk::{Counter, Histogram, Report};

use crate::config::StatusLabel;
use crate::request::{METHODS, Request};

/// Statuses run from 0 to 999.
const STATUSES: usize = 1000;

/// Sources that have a label value of their own. More than one agent reads; the rest is `other`.
const SOURCES: usize = 64;

/// The counts of the batch at hand, and the metrics of all sources so far.
#[derive(Debug)]
pub(crate) struct Tally {
    by_code: bool,
    bounds: Vec<f64>,
    counts: Vec<u64>,
    /// The counts that are not zero.
    touched: Vec<usize>,
    bytes: u64,
    unparsed: u64,
    sources: HashMap<String, Metrics>,
}

/// The metrics of one source. Those that need a status, or a latency, begin with the first.
#[derive(Debug)]
struct Metrics {
    source: String,
    requests: HashMap<usize, Counter>,
    bytes: Counter,
    unparsed: Counter,
}

/// What one response counts for at the most, 16 TiB: a line may claim any size, and one that lies must not
/// drown the others.
const MAX_RESPONSE_BYTES: u64 = 1 << 44;

impl Tally {
    pub(crate) fn new(label: StatusLabel, bounds: Vec<f64>) -> Self {
        Self {
            by_code: label == StatusLabel::Code,
            bounds,
            counts: vec![0; STATUSES * METHODS.len()],
            touched: Vec::new(),
            bytes: 0,
            unparsed: 0,
            sources: HashMap::new(),
        }
    }

    /// Counts a request.
    #[inline]
    pub(crate) fn add(&mut self, request: &Request<'_>) {
        let status = usize::from(if self.by_code { request.status } else { request.status / 100 });
        let index = status * METHODS.len() + request.method;
        self.counts[index] += 1;
        if self.counts[index] == 1 {
            self.touched.push(index);
        }
        self.bytes = self.bytes.saturating_add(request.bytes.min(MAX_RESPONSE_BYTES));
    }

    /// Counts a line that is none.
    #[inline]
    pub(crate) fn add_unparsed(&mut self) {
        self.unparsed += 1;
    }

    /// The latency histograms of a source, for the lines that have a latency.
    pub(crate) fn latencies(&mut self, source: &str, report: &mut Report) -> Latencies {
        let labels = [("source", source_label(&self.sources, source))];
        Latencies {
            request: report.histogram_handle("request_duration_seconds", &labels, &self.bounds),
            upstream: report.histogram_handle("upstream_duration_seconds", &labels, &self.bounds),
        }
    }

    /// Adds the batch to the report.
    pub(crate) fn flush(&mut self, source: &str, report: &mut Report) {
        let label = source_label(&self.sources, source).to_owned();
        let metrics = self.sources.entry(label).or_insert_with_key(|label| Metrics::new(label, report));
        for index in self.touched.drain(..) {
            let count = std::mem::take(&mut self.counts[index]);
            let counter = *metrics
                .requests
                .entry(index)
                .or_insert_with(|| requests(&metrics.source, index, self.by_code, report));
            report.add(counter, count);
        }
        report.add(metrics.bytes, std::mem::take(&mut self.bytes));
        report.add(metrics.unparsed, std::mem::take(&mut self.unparsed));
    }
}

/// Handles for the latencies of one source.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latencies {
    request: Histogram,
    upstream: Histogram,
}

impl Latencies {
    #[inline]
    pub(crate) fn observe(&self, request: &Request<'_>, report: &mut Report) {
        if let Some(seconds) = request.seconds {
            report.observe(self.request, seconds);
        }
        if let Some(seconds) = request.upstream {
            report.observe(self.upstream, seconds);
        }
    }
}

impl Metrics {
    fn new(source: &str, report: &mut Report) -> Self {
        let labels = [("source", source)];
        Self {
            source: source.to_owned(),
            requests: HashMap::new(),
            bytes: report.counter_handle("response_bytes_total", &labels),
            unparsed: report.counter_handle("unparsed_lines_total", &labels),
        }
    }
}

fn source_label<'a>(sources: &HashMap<String, Metrics>, source: &'a str) -> &'a str {
    if sources.len() < SOURCES || sources.contains_key(source) { source } else { "other" }
}

fn requests(source: &str, index: usize, by_code: bool, report: &mut Report) -> Counter {
    let (status, method) = (index / METHODS.len(), METHODS[index % METHODS.len()]);
    let status = match (by_code, status) {
        (true, code) => format!("{code:03}"),
        (false, class @ 1..=5) => format!("{class}xx"),
        (false, _) => "other".to_owned(),
    };
    let labels = [("source", source), ("status", status.as_str()), ("method", method)];
    report.counter_handle("requests_total", &labels)
}
