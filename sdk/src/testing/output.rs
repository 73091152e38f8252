//! What a call of a plugin under test produced.

use std::ops::Deref;

use crate::types::{Finding, Label, Report};

/// A report, with questions that tests ask. It derefs to the report itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Output(pub(super) Report);

impl Deref for Output {
    type Target = Report;

    fn deref(&self) -> &Report {
        &self.0
    }
}

impl Output {
    /// By how much the counters of this name grew that have all these labels (and maybe others).
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let chosen =
            self.0.counters.iter().filter(|counter| counter.name == name && has(&counter.labels, labels));
        chosen.map(|counter| counter.delta).sum()
    }

    /// How many values the histograms of this name observed that have all these labels.
    pub fn observations(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let chosen = self
            .0
            .histograms
            .iter()
            .filter(|histogram| histogram.name == name && has(&histogram.labels, labels));
        chosen.flat_map(|histogram| &histogram.counts).sum()
    }

    /// The rules of the findings, in their order.
    pub fn rules(&self) -> Vec<&str> {
        self.0.findings.iter().map(|finding| finding.rule.as_str()).collect()
    }
}

impl Finding {
    /// The value of an attribute; the empty one when there is none of that name.
    pub fn get(&self, attribute: &str) -> &str {
        self.attributes.iter().find(|label| label.name == attribute).map_or("", |label| label.value.as_str())
    }
}

fn has(labels: &[Label], wanted: &[(&str, &str)]) -> bool {
    wanted.iter().all(|(name, value)| labels.iter().any(|label| label.name == *name && label.value == *value))
}
