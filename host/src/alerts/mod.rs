//! The life of alerts: pending, firing, resolved. Plugins say what holds; this module says since
//! when, and what that makes of it.
//!
//! [`Alerts`] takes the evaluations of one plugin's rule groups and answers with a [`Change`]: the
//! frames that tell of transitions and the state writes that remember them. Both go into one
//! commit, and only when that has succeeded is the change accepted. So a failed commit changes
//! nothing, and a crash repeats nothing: what was not committed did not happen.
//!
//! Time is counted by the steady clock while the agent runs, so that a step of the wall clock
//! moves no alert. Over a restart nobody has evaluated, so nobody knows whether the alert held:
//! **down-time does not count** towards `for` or `keep_firing_for`, apart from one interval of the
//! group, which is what lies between two evaluations anyway.
//!
//! Since when an alert has been active is shown as a time, which goes with the wall clock: a step of the clock
//! moves it by as much.
//!
//! A silenced alert lives on as any other; its events carry the mark of its [`Silence`], and it is told once more
//! when a silence begins or ends while it fires. What a mark means is for whoever carries events.
//!
//! It does not evaluate rules, does not commit and sends nothing.

mod active;
mod draft;
mod evaluation;
mod keeper;
mod left_out;
mod life;
mod metrics;
mod record;
mod rules;
mod series;
pub mod silence;
mod told;

pub use active::{ActiveAlert, ActiveAlerts};
pub use evaluation::{Evaluation, HeldAlert, MAX_LABELS, MAX_VALUE_BYTES, RuleResult};
pub use keeper::{Accept, Alerts, Change, Config, RuleError};
pub use left_out::LeftOut;
pub use life::{Life, Next};
pub use metrics::Metrics;
pub use record::RestoreError;
pub use rules::{GroupMetrics, Health, PluginRules, Rule, RuleGroup, RuleKind, Rules, Took};
pub use series::{ALERTS, ALERTS_FOR_STATE};
pub use silence::{NewSilence, Silence, SilenceError, Silences};
pub use told::Told;

#[cfg(test)]
mod tests;
