//! One evaluation of a group: its rules one after the other, each with its own time, bounds and error.

mod alerting;
mod recording;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use picket_sdk::{RuleOutput, RuleResult, Timestamp, clock};
use promql_engine::{EvalError, Labels, Query};

use crate::config::Config;
use crate::engine::{self, Deadline, Sample};
use crate::file::Kind;
use crate::groups::{Evaluated, Group};
use crate::labels::LabelCache;
use crate::overlay::Overlay;
use crate::store::{self, Store};

/// What is the same for all rules of all groups.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) config: Config,
    pub(crate) external_labels: Rc<BTreeMap<String, String>>,
    pub(crate) external_url: Rc<str>,
}

/// Evaluates a group at a time.
pub(crate) fn group(
    rules: &Rules,
    group: &mut Group,
    labels: &mut LabelCache,
    time: Timestamp,
) -> Vec<RuleResult> {
    let now = store::milliseconds(time);
    let at = now.saturating_sub(group.query_offset);
    let mut evaluation = Evaluation {
        rules,
        labels,
        overlay: Overlay::new(at),
        now,
        at,
        limit: group.limit,
        ends: clock::monotonic() + rules.config.group_timeout.0,
        longest: None,
        output: group.rules.iter().map(|rule| rule.id.len() as u64 + RESULT_BYTES).sum(),
    };
    let last = group.rules.len().saturating_sub(1);
    let result = |(index, rule): (usize, &mut Evaluated)| evaluation.rule(rule, index == last);
    group.rules.iter_mut().enumerate().map(result).collect()
}

/// What the result of a rule takes beside its id and its output.
const RESULT_BYTES: u64 = 16;

/// What goes along from rule to rule.
struct Evaluation<'a> {
    rules: &'a Rules,
    labels: &'a mut LabelCache,
    overlay: Overlay,
    /// The time of the evaluation in milliseconds.
    now: i64,
    /// The time that expressions are evaluated at.
    at: i64,
    limit: u32,
    /// When the group's time is over, by the monotonic clock.
    ends: Duration,
    /// The rule that took longest so far, and how long.
    longest: Option<(String, Duration)>,
    /// Bytes that the rules returned so far, as an estimate.
    output: u64,
}

impl Evaluation<'_> {
    fn rule(&mut self, evaluated: &mut Evaluated, is_last: bool) -> RuleResult {
        let begins = clock::monotonic();
        if begins >= self.ends {
            return RuleResult { rule: evaluated.id.clone(), outcome: Err(self.used_up()) };
        }
        let outcome = self.outcome(evaluated, is_last, begins);
        let took = clock::monotonic().saturating_sub(begins);
        if self.longest.as_ref().is_none_or(|(_, longest)| took > *longest) {
            self.longest = Some((evaluated.id.clone(), took));
        }
        RuleResult { rule: evaluated.id.clone(), outcome }
    }

    fn used_up(&self) -> String {
        let timeout = self.rules.config.group_timeout;
        match &self.longest {
            Some((rule, took)) => format!(
                "not evaluated: the group's {timeout} (`group_timeout`) are used up, {} ms of it by the rule \
                 `{rule}`",
                took.as_millis()
            ),
            None => format!("not evaluated: the group's {timeout} (`group_timeout`) are used up"),
        }
    }

    fn outcome(
        &mut self,
        evaluated: &mut Evaluated,
        is_last: bool,
        begins: Duration,
    ) -> Result<RuleOutput, String> {
        let timeout = self.rules.config.rule_timeout;
        let deadline = Deadline::at((begins + timeout.0).min(self.ends));
        let samples = self.vector(&evaluated.rule.query, &deadline)?;
        let output = match &evaluated.rule.kind {
            Kind::Recording => {
                recording::output(&evaluated.rule, samples, self.limit, self.at).map(|recorded| {
                    self.keep(evaluated, &recorded.series, is_last);
                    recorded.output
                })
            }
            Kind::Alert(alert) => alerting::output(self, &evaluated.rule, alert, samples, &deadline),
        }?;
        self.output += size(&output);
        let most = self.rules.config.max_output;
        match self.output > most.0 {
            true => {
                self.output -= size(&output);
                Err(format!("its result does not fit into the {most} that a group may return (`max_output`)"))
            }
            false => Ok(output),
        }
    }

    /// The samples of an expression, with an error that says which bound was met.
    fn vector(&mut self, query: &Query, deadline: &Deadline) -> Result<Vec<Sample>, String> {
        let mut store = Store { labels: self.labels, overlay: Some(&self.overlay) };
        let found = engine::vector(query, self.at, &mut store, &self.rules.config, deadline);
        found.map_err(|error| match error {
            EvalError::DeadlineExceeded => {
                let Config { rule_timeout, group_timeout, .. } = &self.rules.config;
                format!(
                    "takes longer than {rule_timeout} (`rule_timeout`), or its group than {group_timeout} \
                     (`group_timeout`)"
                )
            }
            EvalError::TooManySamples => {
                let most = self.rules.config.max_samples;
                format!("needs more than {most} samples at once (`max_samples`)")
            }
            error => error.to_string(),
        })
    }

    /// Shows later rules what this one recorded, and what it recorded before and does not any more.
    fn keep(&mut self, evaluated: &mut Evaluated, recorded: &[(Rc<Labels>, f64)], is_last: bool) {
        if is_last {
            return;
        }
        let name = &evaluated.rule.name;
        for (labels, value) in recorded {
            self.overlay.record(name, Rc::clone(labels), *value);
            evaluated.recorded.remove(&labels.hash());
        }
        for hash in evaluated.recorded.drain() {
            self.overlay.end(name, hash);
        }
        evaluated.recorded.extend(recorded.iter().map(|(labels, _)| labels.hash()));
    }
}

/// Bytes that the host counts for a rule's output, about.
fn size(output: &RuleOutput) -> u64 {
    let labels = |labels: &[picket_sdk::Label]| -> usize {
        labels.iter().map(|label| label.name.len() + label.value.len() + 16).sum()
    };
    let alerts: usize =
        output.alerts.iter().map(|alert| labels(&alert.labels) + labels(&alert.annotations) + 40).sum();
    let samples: usize =
        output.samples.iter().map(|sample| sample.name.len() + labels(&sample.labels) + 40).sum();
    (alerts + samples) as u64
}
