//! Checks what alert rules return.
//!
//! What is wrong with one rule's output becomes that rule's error, so that one bad rule of a file
//! does not take the others with it; only what concerns the group as a whole fails the call.

use std::collections::HashSet;

use super::check::{Checker, bad};
use super::{ActiveAlert, Label, RuleOutput, RuleResult};
use crate::bindings::{alert_rule, types};
use crate::error::MESSAGE_BYTES;
use crate::setup::RULE_ID_BYTES;
use crate::{CallError, keys, text};

/// Checks the results of one group.
pub(crate) fn check_rules(
    checker: &mut Checker<'_>,
    raw: Vec<alert_rule::RuleResult>,
) -> Result<Vec<RuleResult>, CallError> {
    let mut names = HashSet::new();
    let mut results = Vec::with_capacity(raw.len());
    for result in raw {
        checker.count(result.rule.len())?;
        if !RULE_ID_BYTES.contains(&result.rule.len()) {
            return Err(bad("a rule's id has not 1 to 1024 bytes"));
        }
        if !names.insert(result.rule.clone()) {
            return Err(bad(format!("the rule `{}` stands twice in the group", result.rule)));
        }
        let outcome = match result.outcome {
            Ok(output) => match check_rule(checker, output) {
                Err(CallError::Report { what }) => Err(what),
                Err(whole) => return Err(whole),
                Ok(output) => Ok(output),
            },
            Err(words) => Err(text::message(&words, MESSAGE_BYTES)),
        };
        results.push(RuleResult { rule: result.rule, outcome });
    }
    // What rules record is bounded by `output` and by the series store. Label sets of a generation's whole life are
    // no bound for it: pods come and go.
    Ok(results)
}

fn check_rule(checker: &mut Checker<'_>, raw: alert_rule::RuleOutput) -> Result<RuleOutput, CallError> {
    let limit = checker.limits.alerts as usize;
    if raw.alerts.len() > limit {
        let found = raw.alerts.len();
        return Err(bad(format!("{found} alerts hold, {limit} are allowed (`{}`)", keys::ALERTS)));
    }
    let alerts = checker.each(raw.alerts, check_alert)?;
    let mut identities = HashSet::new();
    if !alerts.iter().all(|alert| identities.insert(&alert.labels)) {
        return Err(bad("two alerts have the same labels"));
    }
    Ok(RuleOutput { samples: checker.each(raw.samples, Checker::sample)?, alerts })
}

fn check_alert(checker: &mut Checker<'_>, raw: alert_rule::ActiveAlert) -> Result<ActiveAlert, CallError> {
    let labels = checker.labels("alert", raw.labels)?;
    if !labels.iter().any(|label| label.name == "alertname" && !label.value.is_empty()) {
        return Err(bad("an alert has no label `alertname`"));
    }
    Ok(ActiveAlert {
        labels,
        annotations: check_annotations(checker, raw.annotations)?,
        value: raw.value,
        for_nanos: raw.for_,
        keep_firing_for_nanos: raw.keep_firing_for,
    })
}

fn check_annotations(
    checker: &mut Checker<'_>,
    raw: Vec<types::LabelResult>,
) -> Result<Vec<Label>, CallError> {
    let mut annotations = checker.each(raw, Checker::attribute)?;
    annotations.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    match annotations.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(bad(format!("an alert has the annotation `{}` twice", pair[0].name))),
        None => Ok(annotations),
    }
}
