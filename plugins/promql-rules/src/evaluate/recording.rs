//! What a recording rule makes of an expression's samples.

use std::collections::HashMap;
use std::rc::Rc;

use picket_sdk::{RuleOutput, Sample as HostSample};
use promql_engine::{Label, Labels, METRIC_NAME};

use crate::engine::Sample;
use crate::file::Rule;
use crate::{name, store};

/// The samples for the host, and with their labels for later rules.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) output: RuleOutput,
    pub(super) series: Vec<(Rc<Labels>, f64)>,
}

/// Names and labels samples as the rule says.
pub(super) fn output(rule: &Rule, samples: Vec<Sample>, limit: u32, at: i64) -> Result<Recorded, String> {
    if limit > 0 && samples.len() > limit as usize {
        return Err(format!("exceeded limit of {limit} with {} series", samples.len()));
    }
    let own: Vec<Label> = std::iter::once(Label::new(METRIC_NAME, rule.name.as_str()))
        .chain(rule.labels.iter().map(|(name, value)| Label::new(Rc::clone(name), value.as_str())))
        .collect();
    let relabelled = |sample: Sample| {
        let labels = Labels::new(sample.labels.iter().chain(&own).cloned());
        (Rc::new(labels), sample.value)
    };
    let series: Vec<(Rc<Labels>, f64)> = samples.into_iter().map(relabelled).collect();
    unique(series.iter().map(|(labels, _)| labels), "rule")?;
    let bad = series.iter().flat_map(|(labels, _)| labels.iter()).find(|label| !name::is_label(label.name()));
    if let Some(label) = bad {
        return Err(format!("`{}` is no name for a label that can be stored", label.name()));
    }
    let sample = |(labels, value): &(Rc<Labels>, f64)| HostSample {
        name: rule.name.clone(),
        labels: host_labels(labels),
        value: *value,
        time: Some(store::nanoseconds(at)),
    };
    let output = RuleOutput { alerts: Vec::new(), samples: series.iter().map(sample).collect() };
    Ok(Recorded { output, series })
}

/// Labels without the metric's name, for the host.
pub(super) fn host_labels(labels: &Labels) -> Vec<picket_sdk::Label> {
    let named = labels.iter().filter(|label| label.name() != METRIC_NAME);
    named.map(|label| picket_sdk::Label::new(label.name(), label.value())).collect()
}

/// Refuses two sets of labels that are the same.
pub(super) fn unique<'a>(sets: impl Iterator<Item = &'a Rc<Labels>>, what: &str) -> Result<(), String> {
    let mut seen: HashMap<u64, Vec<&Rc<Labels>>> = HashMap::new();
    for labels in sets {
        let alike = seen.entry(labels.hash()).or_default();
        if alike.contains(&labels) {
            return Err(format!(
                "vector contains metrics with the same labelset after applying {what} labels: {labels}"
            ));
        }
        alike.push(labels);
    }
    Ok(())
}
