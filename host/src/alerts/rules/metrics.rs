//! What the evaluation of rule groups counts. Its labels are configured plugin names, and names of groups up to a
//! bound.

use prometheus::{GaugeVec, IntCounterVec, Opts, Registry};

use super::Took;
use crate::telemetry::registered;

/// Groups of one plugin with metrics of their own, in the order of its setup: these metrics are kept as series too,
/// and four times a hundred are what the host itself has. All others are counted together, under an empty name.
pub(super) const MAX_METERED: usize = 100;

/// Metrics of all plugins' rule groups.
#[derive(Debug, Clone)]
pub struct GroupMetrics {
    evaluations: IntCounterVec,
    failures: IntCounterVec,
    duration: GaugeVec,
    last: GaugeVec,
}

impl GroupMetrics {
    /// Makes and registers them. Fails when a metric of such a name is registered already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let labels = ["plugin", "group"];
        let counter = |name: &str, help: &str| {
            registered(registry, IntCounterVec::new(Opts::new(name, help), &labels)?)
        };
        let gauge =
            |name: &str, help: &str| registered(registry, GaugeVec::new(Opts::new(name, help), &labels)?);
        Ok(Self {
            evaluations: counter("picket_rule_group_evaluations_total", "Evaluations of a group of rules.")?,
            failures: counter(
                "picket_rule_group_failures_total",
                "Rules of a group that could not be evaluated, each time anew.",
            )?,
            duration: gauge(
                "picket_rule_group_last_duration_seconds",
                "How long the last evaluation of a group of rules took.",
            )?,
            last: gauge(
                "picket_rule_group_last_evaluation_timestamp_seconds",
                "When a group of rules was evaluated last, in Unix time.",
            )?,
        })
    }

    /// A plugin's group was evaluated, the one at a place of its setup.
    pub(super) fn evaluated(&self, plugin: &str, place: usize, group: &str, took: Took, failures: u64) {
        let is_metered = place < MAX_METERED;
        let labels = [plugin, if is_metered { group } else { "" }];
        self.evaluations.with_label_values(&labels).inc();
        self.failures.with_label_values(&labels).inc_by(failures);
        if is_metered {
            self.duration.with_label_values(&labels).set(took.length.as_secs_f64());
            self.last.with_label_values(&labels).set(took.time as f64 / 1e9);
        }
    }

    /// These groups of a plugin are gone.
    pub(super) fn forget<'a>(&self, plugin: &str, groups: impl Iterator<Item = &'a str>) {
        for group in groups {
            let labels = [plugin, group];
            // Those that were never evaluated, or stand beyond the bound, have none.
            let _ = self.evaluations.remove_label_values(&labels);
            let _ = self.failures.remove_label_values(&labels);
            let _ = self.duration.remove_label_values(&labels);
            let _ = self.last.remove_label_values(&labels);
        }
    }
}
