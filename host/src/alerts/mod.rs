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
//! It does not evaluate rules, does not commit, silences nothing and sends nothing.

mod active;
mod draft;
mod evaluation;
mod keeper;
mod life;
mod metrics;
mod record;

pub use active::{ActiveAlert, ActiveAlerts};
pub use evaluation::{Evaluation, HeldAlert, MAX_LABELS, MAX_VALUE_BYTES, RuleResult};
pub use keeper::{Accept, Alerts, Change, Config, RuleError};
pub use life::{Life, Next};
pub use metrics::Metrics;
pub use record::RestoreError;

#[cfg(test)]
mod tests;
