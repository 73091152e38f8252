//! Alerts that hold and are not followed, because their plugin has as many as it may. Each one is counted in
//! `picket_alerts_refused_total`.

/// The alerts of one rule that an evaluation left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The group.
    pub group: String,
    /// The rule.
    pub rule: String,
    /// How many of its alerts held and were not followed.
    pub alerts: u64,
}
