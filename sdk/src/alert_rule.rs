//! Alert rules: which alerts hold at a time. The host owns their life: pending, firing, resolved.

use std::time::Duration;

pub use crate::bindings::alert_rule_kind::exports::picket::plugin::alert_rule::{
    ActiveAlert, RuleOutput, RuleResult,
};
use crate::plugin::nanos;
use crate::types::Label;
use crate::{Plugin, Result, Timestamp};

/// Says which alerts hold.
pub trait AlertRule: Plugin {
    /// Evaluates one of the groups that [`Setup::group`](crate::Setup::group) named: one result for
    /// each of its rules. An error is as if every rule of the group had failed, and discards the
    /// instance; the error of one rule belongs into its [`RuleResult`], where it leaves the others
    /// alone.
    fn evaluate(&mut self, group: &str, time: Timestamp) -> Result<Vec<RuleResult>>;
}

impl ActiveAlert {
    /// An alert that holds, with its name and the value that made it hold. It fires at once and
    /// stops when it no longer holds.
    pub fn new(name: impl Into<String>, value: f64) -> Self {
        let labels = vec![Label::new("alertname", name)];
        Self { labels, annotations: Vec::new(), value, for_: 0, keep_firing_for: 0 }
    }

    /// Adds a label. The rule and the labels are the alert's identity.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push(Label::new(name, value));
        self
    }

    /// Adds text for people, such as `summary` and `description`.
    #[must_use]
    pub fn annotation(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.push(Label::new(name, value));
        self
    }

    /// How long it has to hold before it fires.
    #[must_use]
    pub fn hold_for(mut self, duration: Duration) -> Self {
        self.for_ = nanos(duration);
        self
    }

    /// How long it goes on firing after it last held.
    #[must_use]
    pub fn keep_firing_for(mut self, duration: Duration) -> Self {
        self.keep_firing_for = nanos(duration);
        self
    }
}

impl RuleResult {
    /// What a rule produced: the alerts that hold now, or its own error.
    pub fn new(rule: impl Into<String>, alerts: Result<Vec<ActiveAlert>>) -> Self {
        let outcome = alerts.map(|alerts| RuleOutput { alerts, samples: Vec::new() });
        Self { rule: rule.into(), outcome: outcome.map_err(String::from) }
    }
}
