//! What a plugin returned on the bench, gathered over all calls and shown.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use picket_sandbox::{ActiveAlert, Finding, Label, Report, RuleResult, ScanReport, Severity, Verdict};
use serde::Serialize;

use super::super::output::{Paint, bytes};
use crate::model::{Digest, Span};
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
    /// Whether an unpacker opened the file; absent when none was asked.
    pub(super) container: Option<bool>,
    pub(super) members: Vec<MemberShown>,
    pub(super) rules: Vec<RuleShown>,
    /// Keys written to `state`.
    pub(super) state_writes: u64,
    pub(super) cpu_seconds: f64,
    pub(super) memory_bytes: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct FindingShown {
    pub(super) severity: &'static str,
    pub(super) rule: String,
    pub(super) message: String,
    pub(super) attributes: BTreeMap<String, String>,
    /// The record that made it.
    pub(super) record: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct VerdictShown {
    pub(super) path: String,
    pub(super) verdict: &'static str,
    pub(super) reason: String,
}

/// A file inside a container.
#[derive(Debug, Serialize)]
pub(super) struct MemberShown {
    pub(super) path: String,
    /// How many were read, whatever the container says.
    pub(super) bytes: u64,
    pub(super) sha256: String,
    #[serde(skip)]
    content: Vec<u8>,
}

#[derive(Debug, Serialize)]
pub(super) struct RuleShown {
    pub(super) group: String,
    pub(super) rule: String,
    pub(super) alerts: Vec<AlertShown>,
    pub(super) error: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct AlertShown {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) value: f64,
    /// How long it has to hold before it fires.
    #[serde(rename = "for")]
    pub(super) hold_for: Span,
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

    /// Takes the result of a scan in.
    pub(super) fn scanned(&mut self, path: String, result: ScanReport) {
        let verdict = match result.verdict {
            Verdict::Clean => "clean",
            Verdict::Skipped => "skipped",
            Verdict::Suspicious => "suspicious",
            Verdict::Malicious => "malicious",
        };
        self.verdicts.push(VerdictShown { path, verdict, reason: result.reason });
        // A scan has no records that a finding could be of.
        self.report(result.report, |_| String::new());
    }

    /// Takes the results of a group in.
    pub(super) fn rules(&mut self, group: &str, results: Vec<RuleResult>) {
        for result in results {
            let (output, error) = match result.outcome {
                Ok(output) => (Some(output), None),
                Err(error) => (None, Some(error)),
            };
            let alerts = output.iter().flat_map(|output| &output.alerts);
            let alerts = alerts.map(AlertShown::new).collect();
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
        if self.container == Some(false) {
            writeln!(text, "no container that the plugin knows")?;
        }
        for member in &self.members {
            let path = paint.bold(&escape(&member.path));
            writeln!(text, "member {path}  {}  sha256 {}", bytes(member.bytes), member.sha256)?;
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
            for alert in alerts {
                let labels: Vec<String> =
                    alert.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
                let after = if alert.hold_for.0.is_zero() { "at once" } else { "after" };
                let hold_for =
                    if alert.hold_for.0.is_zero() { String::new() } else { format!(" {}", alert.hold_for) };
                writeln!(
                    text,
                    "    {{{}}} value {}, fires {after}{hold_for}",
                    escape(&labels.join(",")),
                    alert.value
                )?;
                for (name, value) in &alert.annotations {
                    writeln!(text, "        {}: {}", escape(name), paint.faint(&escape(value)))?;
                }
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
            bytes(self.memory_bytes),
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

impl MemberShown {
    pub(super) fn new(path: String, content: Vec<u8>) -> Self {
        let sha256 = Digest::of(&content).to_string();
        Self { path, bytes: content.len() as u64, sha256, content }
    }

    /// Its content, as far as it is text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.content).into_owned()
    }
}

impl AlertShown {
    fn new(alert: &ActiveAlert) -> Self {
        let map =
            |labels: &[Label]| labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect();
        Self {
            labels: map(&alert.labels),
            annotations: map(&alert.annotations),
            value: alert.value,
            hold_for: Span(Duration::from_nanos(alert.for_nanos)),
        }
    }
}

fn series(name: &str, labels: &[Label]) -> String {
    series_of(name, labels.iter().map(|label| (label.name.clone(), label.value.clone())))
}

/// A name with its labels, as in PromQL.
pub(super) fn series_of(name: &str, labels: impl IntoIterator<Item = (String, String)>) -> String {
    let labels: Vec<String> = labels.into_iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    match labels.is_empty() {
        true => name.to_owned(),
        false => format!("{name}{{{}}}", labels.join(",")),
    }
}
