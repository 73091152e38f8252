//! A plugin's rule groups as the view of all rules shows them.

use std::time::Duration;

use crate::alerts::{Health, Rule, RuleGroup, RuleKind};
use crate::pipeline::generation::Generation;
use crate::pipeline::results::labels;
use picket_sandbox as guest;

/// The groups of a generation, none of them evaluated yet.
pub(super) fn of(generation: &Generation) -> Vec<RuleGroup> {
    generation.setup.groups.iter().map(|own| group(&generation.origin.plugin, own)).collect()
}

fn group(plugin: &str, own: &guest::Group) -> RuleGroup {
    RuleGroup {
        plugin: plugin.to_owned(),
        name: own.name.clone(),
        file: own.file.clone(),
        interval: nanos(own.interval),
        limit: own.limit,
        last_evaluation: None,
        evaluation_seconds: 0.0,
        rules: own.rules.iter().map(rule).collect(),
    }
}

fn rule(own: &guest::Rule) -> Rule {
    Rule {
        id: own.id.clone(),
        name: own.name.clone(),
        kind: match own.kind {
            guest::RuleKind::Alert => RuleKind::Alert,
            guest::RuleKind::Recording => RuleKind::Recording,
        },
        expression: own.expression.clone(),
        hold_for: nanos(own.hold_for),
        keep_firing_for: nanos(own.keep_firing_for),
        labels: labels(own.labels.clone()),
        annotations: labels(own.annotations.clone()),
        health: Health::Unknown,
        last_error: None,
        last_evaluation: None,
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
