//! Prometheus rule files, unchanged, on the node: an alert rule that evaluates them, and a query engine for
//! the API that Grafana and `promtool` speak.
//!
//! Rule files are the plugin's assets; [`Config`] adds built-in packs and bounds. The host owns an alert's
//! life, the series and their stale markers; this plugin says which alerts hold and what is recorded, and
//! keeps nothing that matters between two calls. PromQL itself is in the crate `promql-engine`.
#![forbid(unsafe_code)]

mod config;
mod duration;
mod engine;
mod evaluate;
mod file;
mod groups;
mod labels;
mod name;
mod overlay;
mod packs;
mod query;
mod store;
mod template;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod unit_tests;
mod yaml;

use std::collections::HashMap;
use std::rc::Rc;

use picket_sdk::{
    AlertRule, Answer, ConfigError, Error, Plugin, Query, QueryError, QueryTime, Result, RuleResult, Setup,
    Timestamp,
};

pub use config::Config;

use evaluate::Rules;
use groups::Group;
use labels::LabelCache;

/// The plugin.
#[derive(Debug)]
pub struct PromqlRules {
    rules: Rules,
    groups: HashMap<String, Group>,
    labels: LabelCache,
}

impl Plugin for PromqlRules {
    type Config = Config;

    fn new(config: Config, setup: &mut Setup) -> Result<Self, ConfigError> {
        config.check()?;
        let groups = groups::read(&config, setup)?;
        let rules = Rules {
            external_labels: Rc::new(config.external_labels.clone()),
            external_url: Rc::from(config.external_url.as_str()),
            config,
        };
        Ok(Self { rules, groups, labels: LabelCache::default() })
    }
}

impl AlertRule for PromqlRules {
    fn evaluate(&mut self, group: &str, time: Timestamp) -> Result<Vec<RuleResult>> {
        let known = self.groups.get_mut(group);
        let known = known.ok_or_else(|| Error::new(format!("there is no group `{group}`")))?;
        self.labels.bound();
        Ok(evaluate::group(&self.rules, known, &mut self.labels, time))
    }
}

impl Query for PromqlRules {
    fn query(&mut self, expression: &str, time: QueryTime) -> Result<Answer, QueryError> {
        self.labels.bound();
        query::answer(&self.rules.config, &mut self.labels, expression, time)
    }
}

picket_sdk::register!(PromqlRules: AlertRule + Query);
