//! What calls produce, once it was checked: everything here keeps the rules that `wit/types.wit`
//! and its neighbours state, so the rest of the agent need not look again.

mod alerts;
mod check;
mod names;

pub(crate) use alerts::check_rules;
pub(crate) use check::{Checker, check_scan};
pub use names::reserved_metrics;

/// A name and its value. In metrics and alerts sorted by name, each name once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// The name.
    pub name: String,
    /// At most 4096 bytes.
    pub value: String,
}

/// How bad a finding is, lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing, nothing to do.
    Info,
    /// Worth a look some time.
    Low,
    /// Worth a look today.
    Medium,
    /// Somebody should look now.
    High,
    /// Somebody has to act now.
    Critical,
}

/// Something a person or a system upstream should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// 1 to 128 bytes of `[a-z0-9._-]`.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// At most 1024 bytes.
    pub message: String,
    /// At most 64; free text names of 1 to 128 bytes, in the plugin's order.
    pub attributes: Vec<Label>,
    /// An index below the batch's number of records; none for kinds that have no batch.
    pub record: Option<u32>,
    /// Unix time in nanoseconds.
    pub time: Option<u64>,
}

/// A counter and by how much it grew in this call.
#[derive(Debug, Clone, PartialEq)]
pub struct Counter {
    /// Matches `[a-z_][a-z0-9_]*` and ends in `_total`.
    pub name: String,
    /// Sorted by name.
    pub labels: Vec<Label>,
    /// Finite and not negative.
    pub delta: f64,
}

/// A histogram and what was observed in this call.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Matches `[a-z_][a-z0-9_]*`.
    pub name: String,
    /// Sorted by name.
    pub labels: Vec<Label>,
    /// Upper bounds, strictly rising and finite, at most 64; the same in every report of the
    /// generation.
    pub bounds: Vec<f64>,
    /// Observations by bucket, not cumulative: one more than `bounds`.
    pub counts: Vec<u64>,
    /// Finite sum of the observations.
    pub sum: f64,
}

/// A value at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Matches `[a-zA-Z_:][a-zA-Z0-9_:]*`.
    pub name: String,
    /// Sorted by name.
    pub labels: Vec<Label>,
    /// Any value; Prometheus knows infinities and NaN.
    pub value: f64,
    /// Unix time in nanoseconds; absent: the time of the call.
    pub time: Option<u64>,
}

/// What a call produced.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// At most [`Limits::findings`](crate::Limits::findings).
    pub findings: Vec<Finding>,
    /// Counters that grew.
    pub counters: Vec<Counter>,
    /// Histograms that were observed.
    pub histograms: Vec<Histogram>,
    /// Samples for the series store.
    pub samples: Vec<Sample>,
}

/// What a scanner thinks of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Looked at, nothing wrong.
    Clean,
    /// Not looked at.
    Skipped,
    /// A person should look.
    Suspicious,
    /// It does harm.
    Malicious,
}

/// What a scan produced.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanReport {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, at most 1024 bytes.
    pub reason: String,
    /// Findings and metrics.
    pub report: Report,
}

/// An alert that holds at the time of the evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct ActiveAlert {
    /// Sorted by name; holds `alertname`; different from those of the rule's other alerts.
    pub labels: Vec<Label>,
    /// Text for people, sorted by name.
    pub annotations: Vec<Label>,
    /// The value that made it hold.
    pub value: f64,
    /// Nanoseconds that it has to hold before it fires.
    pub for_nanos: u64,
    /// Nanoseconds that it goes on firing after it last held.
    pub keep_firing_for_nanos: u64,
}

/// What one rule produced.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RuleOutput {
    /// At most [`Limits::alerts`](crate::Limits::alerts).
    pub alerts: Vec<ActiveAlert>,
    /// Recorded samples.
    pub samples: Vec<Sample>,
}

/// A rule of a group and what it produced, or its own error.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleResult {
    /// 1 to 128 bytes, unique within the group.
    pub rule: String,
    /// The error is this rule's alone: the plugin's own, or what is wrong with its output.
    pub outcome: Result<RuleOutput, String>,
}
