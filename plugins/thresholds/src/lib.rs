//! Alert rules with a warning and a critical level over any series.
//!
//! Rules stand in the plugin's configuration and in assets (rule packs); both have the same form.
//! What a rule can compute is a small typed model, on purpose: value, rate, ratio, percentage used,
//! quantile, age, and sums by label. Who needs a language uses Prometheus rules with a plugin for them.
//!
//! The host owns an alert's life; this plugin only says what holds. The one thing it remembers is which
//! alerts with a `clear` level hold, and that goes along with a snapshot.
#![forbid(unsafe_code)]

mod evaluate;
mod expr;
mod fetch;
mod pack;
mod quantile;
mod rows;
mod rule;
mod selector;
mod template;
#[cfg(test)]
mod tests;
mod toml;

use std::collections::{BTreeMap, BTreeSet};

use picket_sdk::series::LabelCache;
use picket_sdk::{
    AlertRule, ConfigError, Error, Plugin, Result, RuleResult, Setup, Snapshot, Span, Timestamp, assets,
};
use serde::Deserialize;

pub use expr::Expr;
pub use rule::{Level, RawRule};

use evaluate::Holding;
use rule::Rule;

/// The section `[plugins.thresholds.config]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How often rules are evaluated that do not say it themselves, one second to one day.
    pub interval: Span,
    /// The assets that hold rules. Absent: all whose names end in `.toml` or `.json`.
    pub packs: Option<Vec<String>>,
    /// Whether the built-in default pack is used. Absent: when there is no other pack.
    pub default_pack: Option<bool>,
    /// Names of rules in packs that are not wanted here.
    pub disable: Vec<String>,
    /// Labels for every alert.
    pub labels: BTreeMap<String, String>,
    /// Rules besides those of the packs. One with the name of a pack's rule takes its place.
    pub rules: Vec<RawRule>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: Span::seconds(30),
            packs: None,
            default_pack: None,
            disable: Vec::new(),
            labels: BTreeMap::new(),
            rules: Vec::new(),
        }
    }
}

/// The plugin.
#[derive(Debug)]
pub struct Thresholds {
    groups: BTreeMap<String, Vec<Rule>>,
    labels: LabelCache,
    holding: Holding,
}

impl Plugin for Thresholds {
    type Config = Config;

    fn new(config: Config, setup: &mut Setup) -> Result<Self, ConfigError> {
        let groups = pack::groups(&config, &packs(&config))?;
        for (name, rules) in &groups {
            if let Some(rule) = rules.first() {
                setup.group(name, rule.interval);
            }
        }
        Ok(Self { groups, labels: LabelCache::default(), holding: Holding::default() })
    }

    fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::of(&self.holding)
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<()> {
        self.holding = snapshot.get()?;
        // What rules of before held is nothing to rules that are gone.
        let names: BTreeSet<&str> = self.groups.values().flatten().map(|rule| rule.name.as_str()).collect();
        self.holding.keep(|rule| names.contains(rule));
        Ok(())
    }
}

impl AlertRule for Thresholds {
    fn evaluate(&mut self, group: &str, time: Timestamp) -> Result<Vec<RuleResult>> {
        let rules =
            self.groups.get(group).ok_or_else(|| Error::new(format!("there is no group `{group}`")))?;
        let fetched = fetch::fetch(rules, &mut self.labels, time);
        Ok(rules.iter().map(|rule| evaluate::rule(rule, &fetched, &mut self.holding)).collect())
    }
}

/// The packs that the configuration names, or all there are; the built-in one first.
fn packs(config: &Config) -> Vec<String> {
    let is_pack = |name: &String| name.ends_with(".toml") || name.ends_with(".json");
    let listed = || assets::list().into_iter().map(|asset| asset.name).filter(is_pack).collect();
    let mut packs: Vec<String> = config.packs.clone().unwrap_or_else(listed);
    if config.default_pack.unwrap_or(packs.is_empty()) {
        packs.insert(0, pack::BUILT_IN.to_owned());
    }
    packs
}

picket_sdk::register!(Thresholds: AlertRule);
