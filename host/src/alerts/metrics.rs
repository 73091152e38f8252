//! What the life of alerts counts about itself. Its labels are configured plugin names and states.

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

/// Metrics of all plugins' alerts.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(super) active: IntGaugeVec,
    pub(super) transitions: IntCounterVec,
    pub(super) rule_errors: IntCounterVec,
    pub(super) refused: IntCounterVec,
    pub(super) without_series: IntCounterVec,
}

impl Metrics {
    /// Makes and registers them. Fails when a metric of such a name is registered already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            active: IntGaugeVec::new(
                Opts::new("picket_alerts_active", "Alerts that are pending or firing."),
                &["plugin", "state"],
            )?,
            transitions: IntCounterVec::new(
                Opts::new("picket_alert_transitions_total", "Alerts that went into a state."),
                &["plugin", "state"],
            )?,
            rule_errors: IntCounterVec::new(
                Opts::new(
                    "picket_alert_rule_errors_total",
                    "Evaluations of a rule that failed; its alerts kept their state.",
                ),
                &["plugin"],
            )?,
            refused: IntCounterVec::new(
                Opts::new(
                    "picket_alerts_refused_total",
                    "Alerts that held and were not followed, because the plugin has as many as it may.",
                ),
                &["plugin"],
            )?,
            without_series: IntCounterVec::new(
                Opts::new(
                    "picket_alerts_without_series_total",
                    "Evaluations at which an alert got no samples `ALERTS`, because the plugin has too many.",
                ),
                &["plugin"],
            )?,
        };
        registry.register(Box::new(metrics.active.clone()))?;
        registry.register(Box::new(metrics.transitions.clone()))?;
        registry.register(Box::new(metrics.rule_errors.clone()))?;
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.without_series.clone()))?;
        Ok(metrics)
    }
}
