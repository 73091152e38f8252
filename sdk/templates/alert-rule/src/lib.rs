//! Warns of file systems that will be full within some hours if they go on as in the last hour.
#![forbid(unsafe_code)]

use std::time::Duration;

use picket_sdk::series::{self, LabelCache};
use picket_sdk::{
    ActiveAlert, AlertRule, ConfigError, Plugin, Result, RuleResult, Setup, Timestamp,
};
use serde::Deserialize;

/// The section `[plugins.{{name}}.config]`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How far to look ahead.
    pub free_hours: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { free_hours: 4.0 }
    }
}

/// The plugin.
#[derive(Debug)]
pub struct FillsUp {
    config: Config,
    labels: LabelCache,
}

const HOUR: u64 = 3_600_000_000_000;

impl Plugin for FillsUp {
    type Config = Config;

    fn new(config: Config, setup: &mut Setup) -> Result<Self, ConfigError> {
        if config.free_hours.is_nan() || config.free_hours <= 0.0 {
            return Err(ConfigError::key("free_hours", "must be a positive number"));
        }
        setup.group("disks", Duration::from_secs(60));
        Ok(Self {
            config,
            labels: LabelCache::default(),
        })
    }
}

impl AlertRule for FillsUp {
    fn evaluate(&mut self, _group: &str, time: Timestamp) -> Result<Vec<RuleResult>> {
        let free = series::metric("node_filesystem_avail_bytes");
        let selection = series::select(&[series::request(free, time.saturating_sub(HOUR), time)])?;
        self.labels.fill(&selection)?;
        let mut alerts = Vec::new();
        for row in selection.rows(0) {
            let Some(hours) = hours_left(row) else {
                continue;
            };
            if hours < self.config.free_hours {
                let mountpoint = self.labels.value(row.id, "mountpoint");
                let alert = ActiveAlert::new("FileSystemFillsUp", hours)
                    .label("severity", "warning")
                    .label("mountpoint", mountpoint)
                    .annotation(
                        "summary",
                        format!("{mountpoint} will be full in {hours:.1} hours."),
                    )
                    .hold_for(Duration::from_secs(600));
                alerts.push(alert);
            }
        }
        Ok(vec![RuleResult::new("fills-up", Ok(alerts))])
    }
}

/// Until nothing is left, going by the first and the last sample; none while it does not shrink.
fn hours_left(row: series::Row<'_>) -> Option<f64> {
    let (first, last) = (row.values.first()?, row.values.last()?);
    let hours = (row.times.last()? - row.times.first()?) as f64 / HOUR as f64;
    let lost_per_hour = (first - last) / hours;
    (lost_per_hour > 0.0 && lost_per_hour.is_finite()).then(|| last / lost_per_hour)
}

picket_sdk::register!(FillsUp: AlertRule);

#[cfg(test)]
mod tests {
    use super::*;
    use picket_sdk::testing::Host;

    #[test]
    fn a_shrinking_file_system_is_an_alert() {
        let host = Host::new();
        let (now, name) = (host.now(), "node_filesystem_avail_bytes");
        for (mountpoint, before, after) in [
            ("/full", 60.0, 20.0),
            ("/slow", 60.0, 59.0),
            ("/grows", 20.0, 60.0),
        ] {
            host.sample(name, &[("mountpoint", mountpoint)], now - HOUR / 2, before);
            host.sample(name, &[("mountpoint", mountpoint)], now, after);
        }
        let mut plugin = host
            .start::<FillsUp>("{}")
            .expect("the defaults are a configuration");
        let results = plugin.evaluate("disks").expect("it evaluates");
        let alerts = &results[0]
            .outcome
            .as_ref()
            .expect("the rule has no error")
            .alerts;
        assert_eq!(alerts.len(), 1);
        assert_eq!(alerts[0].value, 0.25);
        assert!(
            alerts[0]
                .labels
                .iter()
                .any(|label| label.name == "mountpoint" && label.value == "/full")
        );
    }
}
