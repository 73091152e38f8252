//! Rules: as they are written, and checked, ready to be evaluated.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use picket_sdk::Span;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use crate::expr::Expr;
use crate::template::Template;

/// A rule as it is written.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRule {
    /// The alert's name, unique among all rules.
    pub name: String,
    /// Why the rule is there: a duty, a runbook, a ticket. Becomes the annotation `reason`.
    #[serde(default)]
    pub reason: String,
    /// What is compared with the levels.
    pub expr: Expr,
    /// Whether values above or below a level are bad.
    #[serde(default)]
    pub bad: Side,
    /// The level of `severity="warning"`.
    pub warning: Option<Level>,
    /// The level of `severity="critical"`.
    pub critical: Option<Level>,
    /// How long a value has to be bad before the alert fires; a level can have its own.
    #[serde(default, rename = "for")]
    pub hold_for: Span,
    /// How long the alert goes on firing after the value was last bad.
    #[serde(default)]
    pub keep_firing_for: Span,
    /// How often the rule is evaluated.
    pub interval: Option<Span>,
    /// How values are shown.
    #[serde(default)]
    pub unit: Unit,
    /// Further labels.
    #[serde(default)]
    pub labels: BTreeMap<String, Template>,
    /// Texts for people.
    #[serde(default)]
    pub annotations: BTreeMap<String, Template>,
}

/// Which side of a level is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Values above it.
    #[default]
    Above,
    /// Values below it.
    Below,
}

/// A level: a number, or a table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Values beyond it are bad.
    pub at: f64,
    /// Once bad, a value is bad until it is back to this one (hysteresis).
    pub clear: Option<f64>,
    /// How long a value has to be bad before the alert fires.
    pub hold_for: Option<Span>,
}

/// How values are shown in texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// As a number with at most three digits behind the point.
    #[default]
    Number,
    /// `87.5 %`.
    Percent,
    /// `1.5 GiB`.
    Bytes,
    /// `620 Mbit/s`, from bits a second.
    BitsPerSecond,
    /// `2.5 s`, `3.2 d`.
    Seconds,
}

/// A checked rule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) expr: Expr,
    pub(crate) bad: Side,
    pub(crate) levels: Vec<(&'static str, Level, Duration)>,
    pub(crate) keep_firing_for: Duration,
    pub(crate) interval: Duration,
    pub(crate) unit: Unit,
    pub(crate) labels: Vec<(String, Template)>,
    pub(crate) annotations: Vec<(String, Template)>,
}

/// The longest name: the host's bound for a rule's name.
const MAX_NAME_BYTES: usize = 128;

impl Rule {
    /// Checks a rule; the error is the key and what is wrong with it.
    pub(crate) fn check(
        raw: RawRule,
        interval: Span,
        common: &BTreeMap<String, String>,
    ) -> Result<Self, (&'static str, String)> {
        if raw.name.is_empty() || raw.name.len() > MAX_NAME_BYTES {
            return Err(("name", format!("must have 1 to {MAX_NAME_BYTES} bytes")));
        }
        raw.expr.check().map_err(|message| ("expr", message))?;
        let named = [("warning", raw.warning), ("critical", raw.critical)];
        let levels: Vec<_> = named
            .into_iter()
            .filter_map(|(severity, level)| level.map(|level| (severity, level)))
            .map(|(severity, level)| (severity, level, level.hold_for.unwrap_or(raw.hold_for).0))
            .collect();
        if levels.is_empty() {
            return Err(("warning", "a rule needs a level: `warning`, `critical` or both".to_owned()));
        }
        for (severity, level, _) in &levels {
            level.check(raw.bad).map_err(|message| (*severity, message))?;
        }
        if let (Some(warning), Some(critical)) = (raw.warning, raw.critical)
            && raw.bad.beyond(warning.at, critical.at)
        {
            return Err(("critical", "must not be reached before `warning` is".to_owned()));
        }
        let interval = raw.interval.unwrap_or(interval);
        check_interval(interval).map_err(|message| ("interval", message))?;
        let mut annotations: Vec<_> = raw.annotations.into_iter().collect();
        if !raw.reason.is_empty() {
            annotations.push(("reason".to_owned(), Template::plain(&raw.reason)));
        }
        let mut labels: BTreeMap<_, _> =
            common.iter().map(|(name, value)| (name.clone(), Template::plain(value))).collect();
        labels.extend(raw.labels);
        if let Some(name) = labels.keys().find(|name| ["alertname", "severity"].contains(&name.as_str())) {
            return Err(("labels", format!("`{name}` is the plugin's own label; choose another name")));
        }
        Ok(Self {
            name: raw.name,
            expr: raw.expr,
            bad: raw.bad,
            levels,
            keep_firing_for: raw.keep_firing_for.0,
            interval: interval.0,
            unit: raw.unit,
            labels: labels.into_iter().collect(),
            annotations,
        })
    }
}

/// The host evaluates groups every second to every day.
pub(crate) fn check_interval(interval: Span) -> Result<(), String> {
    match (1..=86_400).contains(&interval.0.as_secs()) {
        true => Ok(()),
        false => Err("must be between 1s and 1d".to_owned()),
    }
}

impl Side {
    /// Whether a value is on the bad side of a level.
    pub(crate) fn beyond(self, value: f64, level: f64) -> bool {
        match self {
            Self::Above => value > level,
            Self::Below => value < level,
        }
    }
}

impl Level {
    fn check(&self, bad: Side) -> Result<(), String> {
        if !self.at.is_finite() || self.clear.is_some_and(|clear| !clear.is_finite()) {
            return Err("must be a finite number".to_owned());
        }
        match self.clear {
            Some(clear) if bad.beyond(clear, self.at) => {
                Err(format!("`clear` ({clear}) must lie on the good side of `at` ({})", self.at))
            }
            _ => Ok(()),
        }
    }
}

impl Unit {
    /// A value for people.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Number => number(value),
            Self::Percent => format!("{} %", number((value * 10.0).round() / 10.0)),
            Self::Bytes => scaled(value, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"]),
            Self::BitsPerSecond => scaled(value, 1000.0, &["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"]),
            Self::Seconds => seconds(value),
        }
    }
}

fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn scaled(value: f64, base: f64, units: &[&str]) -> String {
    let mut value = value;
    let mut units = units.iter();
    let mut unit = units.next().expect("every caller has units");
    while value.abs() >= base
        && let Some(next) = units.next()
    {
        value /= base;
        unit = next;
    }
    format!("{} {unit}", number((value * 10.0).round() / 10.0))
}

fn seconds(value: f64) -> String {
    let (divisor, unit) = match value.abs() {
        small if small < 1.0 => (0.001, "ms"),
        small if small < 120.0 => (1.0, "s"),
        some if some < 7_200.0 => (60.0, "min"),
        some if some < 172_800.0 => (3_600.0, "h"),
        _ => (86_400.0, "d"),
    };
    format!("{} {unit}", number((value / divisor * 10.0).round() / 10.0))
}

/// A level as a table.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct LevelTable {
    at: f64,
    clear: Option<f64>,
    #[serde(rename = "for")]
    hold_for: Option<Span>,
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(LevelVisitor)
    }
}

struct LevelVisitor;

impl<'de> Visitor<'de> for LevelVisitor {
    type Value = Level;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a table such as `{ at = 90, clear = 85, for = \"5m\" }`")
    }

    fn visit_f64<E: de::Error>(self, at: f64) -> Result<Level, E> {
        Ok(Level { at, clear: None, hold_for: None })
    }

    fn visit_i64<E: de::Error>(self, at: i64) -> Result<Level, E> {
        self.visit_f64(at as f64)
    }

    fn visit_u64<E: de::Error>(self, at: u64) -> Result<Level, E> {
        self.visit_f64(at as f64)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Level, A::Error> {
        let LevelTable { at, clear, hold_for } = LevelTable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Level { at, clear, hold_for })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_for_people() {
        let check = |unit: Unit, value: f64, expected: &str| assert_eq!(unit.show(value), expected);
        check(Unit::Number, 12.0, "12");
        check(Unit::Number, 0.1234, "0.123");
        check(Unit::Percent, 87.46, "87.5 %");
        check(Unit::Bytes, 1_610_612_736.0, "1.5 GiB");
        check(Unit::Bytes, 12.0, "12 B");
        check(Unit::BitsPerSecond, 620e6, "620 Mbit/s");
        check(Unit::Seconds, 0.25, "250 ms");
        check(Unit::Seconds, 2.5, "2.5 s");
        check(Unit::Seconds, 600.0, "10 min");
        check(Unit::Seconds, 604_800.0, "7 d");
    }
}
