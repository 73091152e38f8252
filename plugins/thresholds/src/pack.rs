//! Rule packs: assets with rules, and how they and the configuration's rules become groups.

use std::collections::{BTreeMap, BTreeSet};

use picket_sdk::{ConfigError, Span, assets, typed};
use serde::Deserialize;
use serde_json::Value;

use crate::Config;
use crate::rule::{RawRule, Rule, check_interval};
use crate::toml;

/// A rule pack as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pack {
    /// How often its rules are evaluated that do not say it themselves.
    interval: Option<Span>,
    /// The rules.
    #[serde(default)]
    rules: Vec<RawRule>,
}

/// The group of the rules in the configuration.
const CONFIG_GROUP: &str = "config";
/// The pack that is built in, so that the plugin is useful by itself.
pub(crate) const BUILT_IN: &str = "built-in default.toml";
const DEFAULT: &str = include_str!("../packs/default.toml");

/// All rules, by group: one for each pack and one for the configuration, divided by interval.
pub(crate) fn groups(config: &Config, names: &[String]) -> Result<BTreeMap<String, Vec<Rule>>, ConfigError> {
    check_interval(config.interval).map_err(|message| ConfigError::key("interval", message))?;
    let mut groups = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (index, raw) in config.rules.iter().enumerate() {
        let rule = Rule::check(raw.clone(), config.interval, &config.labels)
            .map_err(|(key, message)| ConfigError::key(format!("rules.{index}.{key}"), message))?;
        if !seen.insert(rule.name.clone()) {
            let message = format!("there is another rule `{}`", rule.name);
            return Err(ConfigError::key(format!("rules.{index}.name"), message));
        }
        add(&mut groups, CONFIG_GROUP, config.interval, rule);
    }
    let in_config = seen.clone();
    let mut disabled: BTreeSet<&str> = config.disable.iter().map(String::as_str).collect();
    for name in names {
        let asset = Asset::read(name)?;
        let pack: Pack = asset.typed()?;
        let interval = pack.interval.unwrap_or(config.interval);
        for (index, raw) in pack.rules.into_iter().enumerate() {
            let label = raw.name.clone();
            let rule = Rule::check(raw, interval, &config.labels).map_err(|(key, message)| {
                asset.refused(ConfigError::key(format!("rules.{index}.{key}"), message))
            })?;
            if disabled.contains(label.as_str()) || in_config.contains(&label) {
                seen.insert(label);
                continue;
            }
            if !seen.insert(label) {
                let message = format!("there is another rule `{}`", rule.name);
                return Err(asset.refused(ConfigError::key(format!("rules.{index}.name"), message)));
            }
            add(&mut groups, name, interval, rule);
        }
    }
    disabled.retain(|name| !seen.contains(*name));
    match disabled.first() {
        Some(name) => Err(ConfigError::key("disable", format!("no pack has a rule `{name}`"))),
        None => Ok(groups),
    }
}

fn add(groups: &mut BTreeMap<String, Vec<Rule>>, origin: &str, interval: Span, rule: Rule) {
    let group = match rule.interval == interval.0 {
        true => origin.to_owned(),
        false => format!("{origin} every {}", Span(rule.interval)),
    };
    groups.entry(group).or_default().push(rule);
}

/// An asset's text and what it says.
struct Asset<'a> {
    name: &'a str,
    text: String,
    value: Value,
}

impl<'a> Asset<'a> {
    fn read(name: &'a str) -> Result<Self, ConfigError> {
        let text = if name == BUILT_IN { DEFAULT.to_owned() } else { assets::text(name)? };
        let value = if is_json(name) { from_json(name, &text) } else { toml::read(name, &text) }?;
        Ok(Self { name, text, value })
    }

    fn typed(&self) -> Result<Pack, ConfigError> {
        typed(&self.value).map_err(|error| self.refused(error))
    }

    /// Adds to an error which asset it is in, and the line of its key.
    fn refused(&self, error: ConfigError) -> ConfigError {
        let line = if is_json(self.name) { 0 } else { toml::line(&self.text, &error.key) };
        ConfigError { asset: Some(self.name.to_owned()), line, ..error }
    }
}

fn is_json(name: &str) -> bool {
    name.ends_with(".json")
}

fn from_json(name: &str, text: &str) -> Result<Value, ConfigError> {
    text.parse()
        .map_err(|error: serde_json::Error| ConfigError::asset(name, error.line() as u32, error.to_string()))
}
