//! What the agent refuses in a report, so that a test finds it before the agent does.

use std::collections::BTreeMap;

use crate::types::{Label, Report};
use crate::{ActiveAlert, RuleResult};

/// The default bound of findings in one report.
const FINDINGS: usize = 1000;
/// The bound of a finding's message in bytes.
const MESSAGE_BYTES: usize = 1024;
/// The bound of a finding's attributes.
const ATTRIBUTES: usize = 64;
/// The bound of a histogram's bounds.
const BOUNDS: usize = 64;
/// The default bound of one rule's alerts.
const ALERTS: usize = 1000;

type Check = Result<(), String>;

pub(super) fn report(report: &Report, records: Option<usize>) -> Check {
    ensure(report.findings.len() <= FINDINGS, || format!("{} findings", report.findings.len()))?;
    for finding in &report.findings {
        let rule = &finding.rule;
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        ensure((1..=128).contains(&rule.len()) && rule.bytes().all(allowed), || {
            format!("the rule's name `{rule}`")
        })?;
        ensure(finding.message.len() <= MESSAGE_BYTES, || format!("the message of `{rule}` is too long"))?;
        ensure(finding.attributes.len() <= ATTRIBUTES, || format!("`{rule}` has too many attributes"))?;
        for attribute in &finding.attributes {
            ensure((1..=128).contains(&attribute.name.len()), || {
                format!("the attribute `{}`", attribute.name)
            })?;
        }
        if let (Some(index), Some(records)) = (finding.record, records) {
            ensure((index as usize) < records, || format!("`{rule}` names record {index} of {records}"))?;
        }
    }
    for counter in &report.counters {
        let name = &counter.name;
        ensure(own_metric(name) && name.ends_with("_total"), || format!("the counter's name `{name}`"))?;
        not_reserved(name)?;
        ensure(counter.delta.is_finite() && counter.delta >= 0.0, || {
            format!("`{name}` grew by {}", counter.delta)
        })?;
        labels(&counter.labels)?;
    }
    let mut bounds = BTreeMap::new();
    for histogram in &report.histograms {
        let name = &histogram.name;
        ensure(own_metric(name), || format!("the histogram's name `{name}`"))?;
        not_reserved(name)?;
        let rising = histogram.bounds.windows(2).all(|pair| pair[0] < pair[1]);
        let finite = histogram.bounds.iter().all(|bound| bound.is_finite());
        ensure(rising && finite && histogram.bounds.len() <= BOUNDS, || format!("the bounds of `{name}`"))?;
        let same = bounds.entry(name).or_insert(&histogram.bounds) == &&histogram.bounds;
        ensure(same, || format!("`{name}` has different bounds"))?;
        labels(&histogram.labels)?;
    }
    for sample in &report.samples {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_:".contains(&b);
        let good = sample.name.bytes().all(allowed) && !sample.name.starts_with(|c: char| c.is_ascii_digit());
        ensure(good && !sample.name.is_empty(), || format!("the sample's name `{}`", sample.name))?;
        labels(&sample.labels)?;
    }
    Ok(())
}

pub(super) fn results(results: &[RuleResult]) -> Check {
    let mut names: Vec<&str> = results.iter().map(|result| result.rule.as_str()).collect();
    names.sort_unstable();
    ensure(names.windows(2).all(|pair| pair[0] != pair[1]), || "two rules of one name".to_owned())?;
    for result in results {
        let Ok(output) = &result.outcome else { continue };
        ensure(output.alerts.len() <= ALERTS, || {
            format!("`{}` holds {} alerts", result.rule, output.alerts.len())
        })?;
        for alert in &output.alerts {
            let named = alert.labels.iter().any(|label| label.name == "alertname");
            ensure(named, || format!("an alert of `{}` has no `alertname`", result.rule))?;
            labels(&alert.labels)?;
        }
        let mut identities: Vec<_> = output.alerts.iter().map(identity).collect();
        identities.sort_unstable();
        let unique = identities.windows(2).all(|pair| pair[0] != pair[1]);
        ensure(unique, || format!("two alerts of `{}` have the same labels", result.rule))?;
    }
    Ok(())
}

fn identity(alert: &ActiveAlert) -> Vec<(&str, &str)> {
    let mut labels: Vec<_> =
        alert.labels.iter().map(|label| (label.name.as_str(), label.value.as_str())).collect();
    labels.sort_unstable();
    labels
}

fn own_metric(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    name.bytes().all(allowed) && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
}

/// The agent shows metrics of its own behind the same prefix.
fn not_reserved(name: &str) -> Check {
    let mut reserved = include_str!("../../../wit/reserved-metrics.txt").lines();
    ensure(!reserved.any(|own| own == name), || {
        format!("the metric's name `{name}`: `picket_plugin_{name}` is the agent's own")
    })
}

fn labels(labels: &[Label]) -> Check {
    for Label { name, .. } in labels {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let good =
            !name.is_empty() && name.bytes().all(allowed) && !name.starts_with(|c: char| c.is_ascii_digit());
        ensure(good && !name.starts_with("__"), || format!("the label's name `{name}`"))?;
    }
    Ok(())
}

fn ensure(good: bool, refused: impl FnOnce() -> String) -> Check {
    if good { Ok(()) } else { Err(refused()) }
}
