//! What the metrics are whose samples go upstream: name, kind and one sentence.
//!
//! Of the host's metrics, the agent's own and those that plugins report; of samples that plugins return nobody says
//! what they are.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::Registry;
use prometheus::proto::{MetricFamily, MetricType as Kind};

use crate::forwarders::{Description, MetricType};
use crate::sources::host;

/// Families that are described: the agent has a tenth of it, and plugins get the rest.
const MAX_FAMILIES: usize = 5_000;
/// All metrics of the agent are gathered for a list, so forwarders that ask one after the other get the same one.
const FRESH: Duration = Duration::from_secs(10);

/// See the module's description.
pub(super) struct Descriptions {
    registry: Registry,
    last: Mutex<Option<(Instant, Vec<Description>)>>,
}

impl Descriptions {
    /// Of the metrics in a registry, and of the host's.
    pub(super) fn new(registry: &Registry) -> Self {
        Self { registry: registry.clone(), last: Mutex::new(None) }
    }

    /// All that are known, some seconds late at most, in the same order each time.
    pub(super) fn get(&self) -> Vec<Description> {
        let now = Instant::now();
        // A panic under the lock leaves the former list.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made, known)) = &*last
            && now.duration_since(*made) < FRESH
        {
            return known.clone();
        }
        let known = all(&self.registry.gather());
        *last = Some((now, known.clone()));
        known
    }
}

fn all(families: &[MetricFamily]) -> Vec<Description> {
    let host = host::families().into_iter().map(|family| Description {
        name: family.name,
        kind: if family.grows { MetricType::Counter } else { MetricType::Gauge },
        help: family.help,
    });
    host.chain(families.iter().filter_map(own)).take(MAX_FAMILIES).collect()
}

/// None for kinds that are not taken as samples either.
fn own(family: &MetricFamily) -> Option<Description> {
    let kind = match family.get_field_type() {
        Kind::COUNTER => MetricType::Counter,
        Kind::GAUGE => MetricType::Gauge,
        Kind::HISTOGRAM => MetricType::Histogram,
        _ => return None,
    };
    Some(Description { name: family.name().to_owned(), kind, help: family.help().to_owned() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge};

    use super::*;
    use crate::pipeline::plugin_metrics::{Delta, PluginMetrics};

    #[test]
    fn the_agents_the_plugins_and_the_hosts_metrics_are_described() {
        let registry = Registry::new();
        registry.register(Box::new(IntCounter::new("a_total", "Counts.").unwrap())).unwrap();
        registry.register(Box::new(IntGauge::new("b", "Is.").unwrap())).unwrap();
        let histogram = Histogram::with_opts(HistogramOpts::new("c_seconds", "Took.")).unwrap();
        registry.register(Box::new(histogram)).unwrap();
        let plugins = PluginMetrics::new(&registry).unwrap();
        plugins.add("p", vec![Delta::Counter(("seen_total".to_owned(), vec![]), 1.0)]);
        let descriptions = Descriptions::new(&registry);
        let known = descriptions.get();
        let found = |name: &str| {
            let found = known.iter().find(|description| description.name == name).unwrap();
            (found.kind, found.help.as_str())
        };
        assert_eq!(found("a_total"), (MetricType::Counter, "Counts."));
        assert_eq!(found("b"), (MetricType::Gauge, "Is."));
        assert_eq!(found("c_seconds"), (MetricType::Histogram, "Took."));
        assert_eq!(found("picket_plugin_seen_total"), (MetricType::Counter, "Reported by a plugin."));
        assert_eq!(found("node_load1"), (MetricType::Gauge, "1m load average."));
        assert_eq!(found("node_forks_total").0, MetricType::Counter);
        assert_eq!(descriptions.get(), known);
    }

    #[test]
    fn there_are_no_more_than_the_bound() {
        let mut family = MetricFamily::default();
        family.set_field_type(Kind::GAUGE);
        assert_eq!(all(&vec![family; MAX_FAMILIES]).len(), MAX_FAMILIES);
    }
}
