//! What a guest's evaluation of a rule group says, in the host's terms: for the worker of a plugin and for rules
//! that are tried without an agent. Commits nothing and stores nothing.

use std::collections::HashSet;

use super::live::LiveSeries;
use super::results::{labels, sample};
use crate::alerts::{HeldAlert, RuleResult};
use crate::model::Sample;
use picket_sandbox as guest;

/// An evaluation of a group.
#[derive(Debug, Default)]
pub(crate) struct Evaluated {
    /// For the life of alerts.
    pub(crate) rules: Vec<RuleResult>,
    /// What rules recorded.
    pub(crate) samples: Vec<Sample>,
    /// How long before the evaluation they are, in nanoseconds: a group may look back, and then the ends of its series
    /// lie back too. None without samples.
    pub(crate) lag: Option<u64>,
    /// The keys of the series that each rule recorded, by which those that it records no more are found. A rule
    /// that failed has none: it keeps its series as it keeps its alerts.
    pub(crate) made: Vec<(String, Option<HashSet<u64>>)>,
}

impl Evaluated {
    /// Takes the results of a call at a time, in Unix nanoseconds.
    pub(crate) fn of(results: Vec<guest::RuleResult>, time: u64, live: &LiveSeries) -> Self {
        let mut evaluated = Self::default();
        for result in results {
            let mut keys = HashSet::new();
            let outcome = result.outcome.map(|output| {
                for own in output.samples {
                    let sample = sample(own, time);
                    let lag = time.saturating_sub(sample.time);
                    evaluated.lag = Some(evaluated.lag.map_or(lag, |least| least.min(lag)));
                    keys.insert(live.key(&sample));
                    evaluated.samples.push(sample);
                }
                output.alerts.into_iter().map(held).collect()
            });
            evaluated.made.push((result.rule.clone(), outcome.is_ok().then_some(keys)));
            evaluated.rules.push(RuleResult { rule: result.rule, outcome });
        }
        evaluated
    }
}

/// A guest's alert in the host's terms.
fn held(alert: guest::ActiveAlert) -> HeldAlert {
    HeldAlert {
        labels: labels(alert.labels),
        annotations: labels(alert.annotations),
        value: alert.value,
        hold_for: alert.for_nanos,
        keep_firing_for: alert.keep_firing_for_nanos,
    }
}
