//! Checks what analyzers and scanners return, and turns it into the agent's types.
//!
//! A value that is too long is cut and counted, since its start is worth having. Everything else
//! that breaks a rule fails the call: it is a fault of the plugin, and its author should see it.

use super::names;
use super::{Counter, Finding, Histogram, Label, Report, Sample, ScanReport, Severity, Verdict};
use crate::accounts::{Counters, LabelSets, Metric, MetricKind, Refused};
use crate::bindings::{scanner, types};
use crate::{CallError, Limits, keys, text};

/// Bytes of a label's or attribute's value.
const VALUE_BYTES: usize = 4096;
/// Bytes of a finding's message and a verdict's reason.
const MESSAGE_BYTES: usize = 1024;
/// Attributes of a finding.
const ATTRIBUTES: usize = 64;
/// Labels of a metric or alert.
const LABELS: usize = 64;
/// Bounds of a histogram.
const BOUNDS: usize = 64;
/// What an item counts for the output's size besides its text and numbers.
const ITEM_BYTES: usize = 16;

/// Checks the results of one call.
pub(crate) struct Checker<'a> {
    pub(crate) limits: &'a Limits,
    pub(crate) sets: &'a LabelSets,
    pub(crate) counters: &'a Counters,
    /// Records in the batch; none for kinds without one.
    pub(crate) records: usize,
    /// Bytes counted so far.
    pub(crate) bytes: usize,
}

/// What is wrong with a value.
pub(crate) fn bad(what: impl Into<String>) -> CallError {
    CallError::Report { what: text::message(&what.into(), MESSAGE_BYTES) }
}

impl<'a> Checker<'a> {
    pub(crate) fn new(
        limits: &'a Limits,
        sets: &'a LabelSets,
        counters: &'a Counters,
        records: usize,
    ) -> Self {
        Self { limits, sets, counters, records, bytes: 0 }
    }

    pub(crate) fn report(&mut self, raw: types::Report) -> Result<Report, CallError> {
        let (found, limit) = (raw.findings.len() as u64, u64::from(self.limits.findings));
        if found > limit {
            return Err(CallError::Findings { found, limit });
        }
        let report = Report {
            findings: self.each(raw.findings, Self::finding)?,
            counters: self.each(raw.counters, Self::counter)?,
            histograms: self.each(raw.histograms, Self::histogram)?,
            samples: self.each(raw.samples, Self::sample)?,
        };
        let counters = report.counters.iter().map(|it| (&it.name, &it.labels, MetricKind::Counter));
        let histograms =
            report.histograms.iter().map(|it| (&it.name, &it.labels, MetricKind::Histogram(&it.bounds)));
        let samples = report.samples.iter().map(|it| (&it.name, &it.labels, MetricKind::Sample));
        let metrics: Vec<_> = counters
            .chain(histograms)
            .chain(samples)
            .map(|(name, labels, kind)| Metric { name, labels, kind })
            .collect();
        self.take(&metrics)?;
        Ok(report)
    }

    /// Takes a report's metrics into account for the generation. Must come last: a report that is
    /// refused for another reason has used up nothing.
    pub(crate) fn take(&self, metrics: &[Metric<'_>]) -> Result<(), CallError> {
        if metrics.is_empty() {
            return Ok(());
        }
        let limit = self.limits.metric_label_sets;
        self.sets.take(metrics, limit as usize).map_err(|refused| match refused {
            Refused::Full => CallError::LabelSets { limit: u64::from(limit) },
            Refused::Changed(name) => {
                bad(format!("metric `{name}` was of another kind or had other bounds before"))
            }
        })
    }

    pub(crate) fn each<T, U>(
        &mut self,
        items: Vec<T>,
        check: fn(&mut Self, T) -> Result<U, CallError>,
    ) -> Result<Vec<U>, CallError> {
        items.into_iter().map(|item| check(self, item)).collect()
    }

    /// Counts bytes of the output.
    pub(crate) fn count(&mut self, bytes: usize) -> Result<(), CallError> {
        self.bytes = self.bytes.saturating_add(bytes + ITEM_BYTES);
        let limit = self.limits.output_bytes;
        if self.bytes as u64 > limit { Err(CallError::Output { limit, key: keys::OUTPUT }) } else { Ok(()) }
    }

    pub(crate) fn cut(&self, text: &mut String, max: usize) {
        if text::cut_in_place(text, max) {
            Counters::add(&self.counters.values_cut, 1);
        }
    }

    fn finding(&mut self, raw: types::Finding) -> Result<Finding, CallError> {
        self.count(raw.rule.len() + raw.message.len())?;
        if !names::is_rule(&raw.rule) {
            return Err(bad(format!("a finding's rule is `{}`, not 1 to 128 of [a-z0-9._-]", raw.rule)));
        }
        if raw.attributes.len() > ATTRIBUTES {
            return Err(bad(format!(
                "{} attributes in one finding, at most {ATTRIBUTES}",
                raw.attributes.len()
            )));
        }
        if let Some(record) = raw.record.filter(|record| *record as usize >= self.records) {
            return Err(bad(format!("a finding names record {record}, the call had {}", self.records)));
        }
        let mut message = raw.message;
        self.cut(&mut message, MESSAGE_BYTES);
        Ok(Finding {
            rule: raw.rule,
            severity: severity(raw.severity),
            message,
            attributes: self.each(raw.attributes, Self::attribute)?,
            record: raw.record,
            time: raw.time,
        })
    }

    /// A name of free text and its value.
    pub(crate) fn attribute(&mut self, raw: types::LabelResult) -> Result<Label, CallError> {
        self.count(raw.name.len() + raw.value.len())?;
        if !names::NAME_BYTES.contains(&raw.name.len()) {
            return Err(bad("an attribute's name has not 1 to 128 bytes"));
        }
        let mut value = raw.value;
        self.cut(&mut value, VALUE_BYTES);
        Ok(Label { name: raw.name, value })
    }

    fn counter(&mut self, raw: types::Counter) -> Result<Counter, CallError> {
        self.count(raw.name.len() + size_of::<f64>())?;
        if !names::is_own_metric(&raw.name) || !raw.name.ends_with("_total") {
            return Err(bad(format!("a counter is named `{}`, not [a-z_][a-z0-9_]* with _total", raw.name)));
        }
        not_reserved(&raw.name)?;
        if !(raw.delta.is_finite() && raw.delta >= 0.0) {
            return Err(bad(format!("counter `{}` grew by {}", raw.name, raw.delta)));
        }
        Ok(Counter { labels: self.own_labels(&raw.name, raw.labels)?, name: raw.name, delta: raw.delta })
    }

    fn histogram(&mut self, raw: types::Histogram) -> Result<Histogram, CallError> {
        let numbers = raw.bounds.len() + raw.counts.len() + 1;
        self.count(raw.name.len() + numbers * size_of::<f64>())?;
        let name = raw.name;
        if !names::is_own_metric(&name) {
            return Err(bad(format!("a histogram is named `{name}`, not [a-z_][a-z0-9_]*")));
        }
        not_reserved(&name)?;
        if raw.bounds.len() > BOUNDS || raw.counts.len() != raw.bounds.len() + 1 {
            let (bounds, counts) = (raw.bounds.len(), raw.counts.len());
            return Err(bad(format!("histogram `{name}` has {bounds} bounds and {counts} counts")));
        }
        let rising = raw.bounds.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising || !raw.bounds.iter().chain([&raw.sum]).all(|number| number.is_finite()) {
            return Err(bad(format!(
                "histogram `{name}` has bounds that do not rise, or numbers without end"
            )));
        }
        let labels = self.own_labels(&name, raw.labels)?;
        Ok(Histogram { name, labels, bounds: raw.bounds, counts: raw.counts, sum: raw.sum })
    }

    pub(crate) fn sample(&mut self, raw: types::Sample) -> Result<Sample, CallError> {
        self.count(raw.name.len() + size_of::<f64>() + size_of::<u64>())?;
        if !names::is_metric(&raw.name) {
            return Err(bad(format!("a sample is named `{}`, not [a-zA-Z_:][a-zA-Z0-9_:]*", raw.name)));
        }
        if names::is_of_alerts(&raw.name) {
            return Err(bad(format!(
                "a sample is named `{}`, which is a series that the agent makes of alerts: give it another name",
                raw.name
            )));
        }
        let labels = self.labels(&raw.name, raw.labels)?;
        Ok(Sample { name: raw.name, labels, value: raw.value, time: raw.time })
    }

    /// Labels of a metric that the host exposes itself: it adds some of its own.
    fn own_labels(&mut self, of: &str, raw: Vec<types::LabelResult>) -> Result<Vec<Label>, CallError> {
        let labels = self.labels(of, raw)?;
        match labels.iter().find(|label| matches!(label.name.as_str(), "plugin" | "le")) {
            Some(label) => {
                Err(bad(format!("`{of}` has the label `{}`, which is the host's own", label.name)))
            }
            None => Ok(labels),
        }
    }

    /// Labels of a metric or alert, sorted by name.
    pub(crate) fn labels(&mut self, of: &str, raw: Vec<types::LabelResult>) -> Result<Vec<Label>, CallError> {
        if raw.len() > LABELS {
            return Err(bad(format!("`{of}` has {} labels, at most {LABELS}", raw.len())));
        }
        let mut labels = self.each(raw, Self::label)?;
        labels.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        match labels.windows(2).find(|pair| pair[0].name == pair[1].name) {
            Some(pair) => Err(bad(format!("`{of}` has the label `{}` twice", pair[0].name))),
            None => Ok(labels),
        }
    }

    fn label(&mut self, raw: types::LabelResult) -> Result<Label, CallError> {
        self.count(raw.name.len() + raw.value.len())?;
        if !names::is_label(&raw.name) {
            return Err(bad(format!("a label is named `{}`, not [a-zA-Z_][a-zA-Z0-9_]*", raw.name)));
        }
        let mut value = raw.value;
        self.cut(&mut value, VALUE_BYTES);
        Ok(Label { name: raw.name, value })
    }
}

/// Refuses a metric that would stand in one family with the agent's own.
fn not_reserved(name: &str) -> Result<(), CallError> {
    if names::is_reserved(name) {
        return Err(bad(format!(
            "a metric is named `{name}`, but `picket_plugin_{name}` is the agent's own: give it another name"
        )));
    }
    Ok(())
}

/// Checks what a scanner returned.
pub(crate) fn check_scan(
    checker: &mut Checker<'_>,
    raw: scanner::ScanReport,
) -> Result<ScanReport, CallError> {
    checker.count(raw.reason.len())?;
    let mut reason = raw.reason;
    checker.cut(&mut reason, MESSAGE_BYTES);
    let verdict = match raw.verdict {
        scanner::Verdict::Clean => Verdict::Clean,
        scanner::Verdict::Suspicious => Verdict::Suspicious,
        scanner::Verdict::Malicious => Verdict::Malicious,
        scanner::Verdict::Skipped => Verdict::Skipped,
    };
    Ok(ScanReport { verdict, reason, report: checker.report(raw.report)? })
}

fn severity(raw: types::Severity) -> Severity {
    match raw {
        types::Severity::Info => Severity::Info,
        types::Severity::Low => Severity::Low,
        types::Severity::Medium => Severity::Medium,
        types::Severity::High => Severity::High,
        types::Severity::Critical => Severity::Critical,
    }
}
