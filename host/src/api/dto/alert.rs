//! Alerts that are pending or firing now.

use serde::{Deserialize, Serialize};

use super::{Pairs, Time};
use crate::model::{AlertState, Digest};

/// The answer of `/api/v1/alerts`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alerts {
    /// By plugin, group, rule and labels.
    pub alerts: Vec<AlertView>,
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertView {
    /// Who evaluates it.
    pub plugin: String,
    /// The generation that last found that it holds.
    pub generation: Digest,
    /// The rule group.
    pub group: String,
    /// The rule.
    pub rule: String,
    /// Pending or firing.
    pub state: AlertState,
    /// Its identity together with the rule.
    pub labels: Pairs,
    /// Text for people.
    pub annotations: Pairs,
    /// The value of the last evaluation at which it held; absent when it is no number (NaN and the
    /// infinities have no JSON).
    pub value: Option<f64>,
    /// Since when it has held.
    pub active_since: Time,
    /// The silence it is under now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silenced_by: Option<String>,
}
