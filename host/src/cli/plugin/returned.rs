//! What a plugin returned on the bench, gathered over all calls and shown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use picket_sandbox::{Finding, Label, Report, RuleResult, Severity};
use serde::Serialize;

use super::super::output::Paint;
use crate::telemetry::escape;

/// Everything that was returned.
#[derive(Debug, Default, Serialize)]
pub(super) struct Returned {
    /// Records or files that the plugin was given.
    pub(super) given: u64,
    /// Records that hold none of its literals.
    pub(super) passed_over: u64,
    pub(super) findings: Vec<FindingShown>,
    /// By name and labels: how much they grew.
    pub(super) counters: BTreeMap<String, f64>,
    /// By name and labels: observations and their sum.
    pub(super) histograms: BTreeMap<String, (u64, f64)>,
    /// Name with labels, and value.
    pub(super) samples: Vec<(String, f64)>,
    pub(super) verdicts: Vec<VerdictShown>,
    pub(super) rules: Vec<RuleShown>,
    /// Keys written to `state`.
    pub(super) state_writes: u64,
    pub(super) cpu_seconds: f64,
    pub(super) memory_bytes: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct FindingShown {
    severity: &'static str,
    rule: String,
    message: String,
    attributes: BTreeMap<String, String>,
    /// The record that made it.
    record: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct VerdictShown {
    path: String,
    verdict: &'static str,
    reason: String,
}

#[derive(Debug, Serialize)]
pub(super) struct RuleShown {
    group: String,
    rule: String,
    /// Each alert's labels and value.
    alerts: Vec<(String, f64)>,
    error: Option<String>,
}

impl Returned {
    /// Takes a report in; `record` gives the text of a record of its batch.
    pub(super) fn report(&mut self, report: Report, record: impl Fn(u32) -> String) {
        for finding in report.findings {
            let text = finding.record.map(&record);
            self.findings.push(FindingShown::new(finding, text));
        }
        for counter in report.counters {
            *self.counters.entry(series(&counter.name, &counter.labels)).or_default() += counter.delta;
        }
        for histogram in report.histograms {
            let entry = self.histograms.entry(series(&histogram.name, &histogram.labels)).or_default();
            entry.0 += histogram.counts.iter().sum::<u64>();
            entry.1 += histogram.sum;
        }
        let samples = report.samples.iter();
        self.samples.extend(samples.map(|sample| (series(&sample.name, &sample.labels), sample.value)));
    }

    /// Takes the results of a group in.
    pub(super) fn rules(&mut self, group: &str, results: Vec<RuleResult>) {
        for result in results {
            let (output, error) = match result.outcome {
                Ok(output) => (Some(output), None),
                Err(error) => (None, Some(error)),
            };
            let alerts = output.iter().flat_map(|output| &output.alerts);
            let alerts = alerts.map(|alert| (series("", &alert.labels), alert.value)).collect();
            let samples = output.iter().flat_map(|output| &output.samples);
            self.samples.extend(samples.map(|sample| (series(&sample.name, &sample.labels), sample.value)));
            self.rules.push(RuleShown { group: group.to_owned(), rule: result.rule, alerts, error });
        }
    }

    /// For people.
    pub(super) fn show(&self, paint: Paint) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text, paint);
        text
    }

    fn write(&self, text: &mut String, paint: Paint) -> std::fmt::Result {
        for VerdictShown { path, verdict, reason } in &self.verdicts {
            writeln!(text, "{} {}  {}", paint.bold(verdict), escape(path), escape(reason))?;
        }
        for finding in &self.findings {
            let rule = paint.bold(&escape(&finding.rule));
            writeln!(text, "finding {} {rule}: {}", finding.severity, escape(&finding.message))?;
            for (name, value) in &finding.attributes {
                writeln!(text, "    {}={}", escape(name), escape(value))?;
            }
            if let Some(record) = &finding.record {
                writeln!(text, "    {}", paint.faint(&escape(record)))?;
            }
        }
        for RuleShown { group, rule, alerts, error } in &self.rules {
            let name = paint.bold(&format!("{}/{}", escape(group), escape(rule)));
            match error {
                Some(error) => writeln!(text, "rule {name}: {}", paint.bad(&escape(error)))?,
                None => writeln!(text, "rule {name}: {} alerts", alerts.len())?,
            }
            for (labels, value) in alerts {
                writeln!(text, "    {} value {value}", escape(labels))?;
            }
        }
        for (series, grown) in &self.counters {
            writeln!(text, "counter {} +{grown}", escape(series))?;
        }
        for (series, (count, sum)) in &self.histograms {
            writeln!(text, "histogram {} {count} observations, sum {sum}", escape(series))?;
        }
        for (series, value) in &self.samples {
            writeln!(text, "sample {} {value}", escape(series))?;
        }
        writeln!(
            text,
            "{} given, {} passed over, {} writes to state, {:.3} s CPU, {} memory",
            self.given,
            self.passed_over,
            self.state_writes,
            self.cpu_seconds,
            super::super::output::bytes(self.memory_bytes),
        )
    }
}

impl FindingShown {
    fn new(finding: Finding, record: Option<String>) -> Self {
        let severity = match finding.severity {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        };
        let attributes = finding.attributes.into_iter().map(|label| (label.name, label.value)).collect();
        Self { severity, rule: finding.rule, message: finding.message, attributes, record }
    }
}

/// A name with its labels, as in PromQL.
fn series(name: &str, labels: &[Label]) -> String {
    let labels: Vec<String> =
        labels.iter().map(|label| format!("{}={:?}", label.name, label.value)).collect();
    match labels.is_empty() {
        true => name.to_owned(),
        false => format!("{name}{{{}}}", labels.join(",")),
    }
}
