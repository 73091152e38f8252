//! Metrics of the agent as a whole; those of its parts stand beside the code they count.

use prometheus::core::Collector;
use prometheus::{Gauge, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::process::ProcessCollector;
use crate::model::now_nanos;

/// A registry with what every agent shows: its version and what its process uses.
pub fn registry() -> Result<Registry, prometheus::Error> {
    let registry = Registry::new();
    let build =
        IntGaugeVec::new(Opts::new("picket_build_info", "Always 1; the agent's version."), &["version"])?;
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    registry.register(Box::new(build))?;
    registry.register(Box::new(ProcessCollector::new()?))?;
    Ok(registry)
}

/// Registers a metric and gives it back. Fails when one of its name is registered already.
pub fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

/// Counts reloads of the configuration.
#[derive(Debug, Clone)]
pub struct ReloadMetrics {
    successful: IntGauge,
    success_time: Gauge,
    generation: IntGauge,
    reloads: IntCounterVec,
}

impl ReloadMetrics {
    /// Registers them.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let successful = IntGauge::new(
            "picket_config_last_reload_successful",
            "1 if everything that was last loaded is active, else 0.",
        )?;
        let success_time = Gauge::new(
            "picket_config_last_reload_success_timestamp_seconds",
            "When everything that was loaded became active for the last time, in seconds since 1970.",
        )?;
        let generation =
            IntGauge::new("picket_config_generation", "Rises with each configuration that became active.")?;
        let reloads = IntCounterVec::new(
            Opts::new("picket_config_reloads_total", "Reloads by outcome (`success`, `failure`)."),
            &["outcome"],
        )?;
        for outcome in ["success", "failure"] {
            reloads.with_label_values(&[outcome]);
        }
        registry.register(Box::new(successful.clone()))?;
        registry.register(Box::new(success_time.clone()))?;
        registry.register(Box::new(generation.clone()))?;
        registry.register(Box::new(reloads.clone()))?;
        Ok(Self { successful, success_time, generation, reloads })
    }

    /// Counts a load of the configuration, the first one included.
    pub fn reloaded(&self, successful: bool) {
        self.successful.set(successful.into());
        self.reloads.with_label_values(&[if successful { "success" } else { "failure" }]).inc();
        if successful {
            self.success_time.set(now_nanos() as f64 / 1e9);
            self.generation.inc();
        }
    }

    /// How many configurations became active so far.
    pub fn generation(&self) -> u64 {
        u64::try_from(self.generation.get()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use prometheus::Encoder as _;

    fn text(registry: &Registry) -> String {
        let mut text = Vec::new();
        prometheus::TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    fn value(text: &str, name: &str) -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }

    #[test]
    fn the_process_shows_what_it_uses() {
        let registry = registry().unwrap();
        let text = text(&registry);
        assert!(text.contains(concat!("picket_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1")));
        assert!(value(&text, "process_resident_memory_bytes") > 1e6);
        assert!(value(&text, "process_open_fds") >= 3.0);
        assert!(value(&text, "process_threads") >= 1.0);
        let age = now_nanos() as f64 / 1e9 - value(&text, "process_start_time_seconds");
        assert!((-2.0..86_400.0).contains(&age), "{age}");
    }

    #[test]
    fn a_failed_reload_keeps_the_generation() {
        let registry = Registry::new();
        let metrics = ReloadMetrics::new(&registry).unwrap();
        metrics.reloaded(true);
        metrics.reloaded(false);
        let text = text(&registry);
        assert_eq!(value(&text, "picket_config_last_reload_successful"), 0.0);
        assert_eq!(value(&text, "picket_config_generation"), 1.0);
        assert_eq!(value(&text, "picket_config_reloads_total{outcome=\"failure\"}"), 1.0);
        assert!(value(&text, "picket_config_last_reload_success_timestamp_seconds") > 1e9);
        assert_eq!(metrics.generation(), 1);
    }
}
