//! What an alerting rule makes of an expression's samples: alerts with their texts.

use std::collections::BTreeMap;
use std::rc::Rc;

use picket_sdk::{ActiveAlert, RuleOutput};
use promql_engine::{Label, Labels, METRIC_NAME};

use super::Evaluation;
use super::recording::{host_labels, unique};
use crate::engine::{Deadline, Sample};
use crate::file::{Alert, Rule};
use crate::name;
use crate::template::{self, Ask, Data};

/// Queries of one rule's templates in one evaluation.
const MAX_QUERIES: u32 = 1_000;

/// The alerts that hold.
pub(super) fn output(
    evaluation: &mut Evaluation<'_>,
    rule: &Rule,
    alert: &Alert,
    samples: Vec<Sample>,
    deadline: &Deadline,
) -> Result<RuleOutput, String> {
    let most = evaluation.rules.config.max_alerts;
    if samples.len() > most as usize {
        return Err(format!("raises {} alerts, at most {most} are taken (`max_alerts`)", samples.len()));
    }
    let mut asking = Asking { evaluation, deadline, queries: 0 };
    let mut sets = Vec::with_capacity(samples.len());
    let mut alerts = Vec::with_capacity(samples.len());
    for sample in samples {
        if deadline.is_over() {
            let timeout = asking.evaluation.rules.config.rule_timeout;
            return Err(format!("its templates take longer than {timeout} (`rule_timeout`)"));
        }
        let (labels, active) = one(&mut asking, rule, alert, &sample);
        if let Some(bad) = labels.iter().find(|label| !name::is_label(label.name())) {
            return Err(format!("`{}` is no name for an alert's label", bad.name()));
        }
        sets.push(labels);
        alerts.push(active);
    }
    unique(sets.iter(), "alert")?;
    let limit = asking.evaluation.limit;
    if limit > 0 && alerts.len() > limit as usize {
        return Err(format!("exceeded limit of {limit} with {} alerts", alerts.len()));
    }
    Ok(RuleOutput { alerts, samples: Vec::new() })
}

fn one(
    asking: &mut Asking<'_, '_>,
    rule: &Rule,
    alert: &Alert,
    sample: &Sample,
) -> (Rc<Labels>, ActiveAlert) {
    let rules = asking.evaluation.rules;
    let data = Data {
        labels: Rc::new(named(&sample.labels)),
        external_labels: Rc::clone(&rules.external_labels),
        external_url: Rc::clone(&rules.external_url),
        value: sample.value,
        now: asking.evaluation.now,
    };
    let of_sample = sample.labels.iter().filter(|label| label.name() != METRIC_NAME).cloned();
    let mut labels: Vec<Label> = of_sample.collect();
    for (name, template) in &rule.labels {
        labels.push(Label::new(Rc::clone(name), expand(template, &data, asking)));
    }
    labels.push(Label::new("alertname", rule.name.as_str()));
    let labels = Rc::new(Labels::new(labels));
    let annotation = |(name, template): &(Rc<str>, String)| {
        picket_sdk::Label::new(&**name, expand(template, &data, asking))
    };
    let active = ActiveAlert {
        labels: host_labels(&labels),
        annotations: alert.annotations.iter().map(annotation).collect(),
        value: sample.value,
        for_: alert.hold_for.saturating_mul(1_000_000),
        keep_firing_for: alert.keep_firing_for.saturating_mul(1_000_000),
    };
    (labels, active)
}

/// A template's text. An error is shown in its place: better an alert with a bad text than none.
fn expand(template: &str, data: &Data, asking: &mut Asking<'_, '_>) -> String {
    let expanded = template::expand(template, data, asking);
    expanded.unwrap_or_else(|error| format!("<error expanding template: {error}>"))
}

fn named(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|label| (label.name().to_owned(), label.value().to_owned())).collect()
}

/// Answers `query` in templates from the same series, in the rule's own time.
struct Asking<'e, 'a> {
    evaluation: &'e mut Evaluation<'a>,
    deadline: &'e Deadline,
    queries: u32,
}

impl Ask for Asking<'_, '_> {
    fn query(&mut self, expression: &str) -> Result<Vec<template::Sample>, String> {
        self.queries += 1;
        if self.queries > MAX_QUERIES {
            return Err(format!("more than {MAX_QUERIES} queries in the templates of one rule"));
        }
        let query = promql_engine::parse(expression).map_err(|error| error.message)?;
        let samples = self.evaluation.vector(&query, self.deadline)?;
        let sample =
            |sample: Sample| template::Sample { labels: Rc::new(named(&sample.labels)), value: sample.value };
        Ok(samples.into_iter().map(sample).collect())
    }
}
