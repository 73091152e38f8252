//! The plugin's configuration.

use std::time::Duration;

use picket_sdk::ConfigError;
use serde::{Deserialize, Deserializer};

use crate::rate::Parameters;
use crate::tree::Shape;

/// The section `config` of the plugin. Every key has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The part of a line's tokens that must equal the template's, 0.1 to 1.
    pub similarity: f64,
    /// By how many of its first tokens a line is sorted before it is compared, 1 to 6.
    pub depth: usize,
    /// How many different first tokens are told apart, 2 to 1000.
    pub max_children: usize,
    /// How many patterns are remembered, 10 to 5000; the least recently used one gives way.
    pub max_patterns: usize,
    /// How many patterns have a counter of their own, at most 900 (the host takes 1000 label sets by
    /// default); the others share one.
    pub max_counted: usize,
    /// Whether paths and URLs are masked like numbers and addresses.
    pub mask_paths: bool,
    /// Words that make a new or frequent pattern graver, in lower case.
    pub alarming: Vec<String>,
    /// When patterns begin to be findings.
    pub learning: Learning,
    /// Patterns never seen before.
    pub new_pattern: NewPattern,
    /// Patterns that come more often than they used to.
    pub rate_jump: RateJump,
}

impl Default for Config {
    fn default() -> Self {
        let alarming = [
            "error",
            "fatal",
            "panic",
            "critical",
            "emerg",
            "alert",
            "fail",
            "exception",
            "traceback",
            "segfault",
            "corrupt",
            "denied",
            "refused",
            "abort",
            "killed",
            "out of memory",
            "timed out",
            "no space",
        ];
        Self {
            similarity: 0.5,
            depth: 4,
            max_children: 100,
            max_patterns: 1000,
            max_counted: 300,
            mask_paths: true,
            alarming: alarming.map(str::to_owned).to_vec(),
            learning: Learning::default(),
            new_pattern: NewPattern::default(),
            rate_jump: RateJump::default(),
        }
    }
}

/// The time in which everything is new: patterns are only learned until both bounds are reached.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Learning {
    /// How many records at least.
    pub records: u64,
    /// How long at least, by the times of the records.
    #[serde(deserialize_with = "duration")]
    pub time: Duration,
    /// Whether patterns that are learned are findings too, of the rule `pattern` and severity `info`.
    pub report: bool,
}

impl Default for Learning {
    fn default() -> Self {
        Self { records: 2000, time: Duration::from_secs(3600), report: false }
    }
}

/// Patterns never seen before.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewPattern {
    /// Whether they are findings.
    pub enabled: bool,
    /// How many of them there may be in an hour; the others are counted.
    pub max_per_hour: u32,
}

impl Default for NewPattern {
    fn default() -> Self {
        Self { enabled: true, max_per_hour: 30 }
    }
}

/// Patterns that come more often than they used to; `rate.rs` has the statistic.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateJump {
    /// Whether they are findings.
    pub enabled: bool,
    /// By what intervals lines are counted, 1 second to 1 day.
    #[serde(deserialize_with = "duration")]
    pub interval: Duration,
    /// The weight of the newest interval in the history, above 0 and below 1.
    pub alpha: f64,
    /// By how many standard deviations a count must exceed the mean.
    pub deviations: f64,
    /// By what factor it must exceed the mean.
    pub ratio: f64,
    /// How many lines there must be in the interval.
    pub min_count: u32,
    /// How many intervals of history a pattern must have.
    pub warm_up: u32,
    /// How long a pattern's jumps are not told again.
    #[serde(deserialize_with = "duration")]
    pub quiet: Duration,
}

impl Default for RateJump {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Duration::from_secs(60),
            alpha: 0.1,
            deviations: 6.0,
            ratio: 3.0,
            min_count: 20,
            warm_up: 10,
            quiet: Duration::from_secs(1800),
        }
    }
}

impl RateJump {
    /// The parameters of the statistic.
    pub fn parameters(&self) -> Parameters {
        Parameters {
            interval: nanos(self.interval),
            alpha: self.alpha,
            deviations: self.deviations,
            ratio: self.ratio,
            min_count: self.min_count,
            warm_up: self.warm_up,
        }
    }

    /// How many intervals a pattern is silent after a jump.
    pub fn quiet_intervals(&self) -> u64 {
        nanos(self.quiet).div_ceil(nanos(self.interval).max(1))
    }
}

impl Config {
    /// The shape of the tree.
    pub fn shape(&self) -> Shape {
        Shape {
            similarity: self.similarity,
            depth: self.depth,
            max_children: self.max_children,
            max_clusters: self.max_patterns,
        }
    }

    /// Checks the values.
    pub fn check(&self) -> Result<(), ConfigError> {
        let rate = &self.rate_jump;
        let seconds = rate.interval.as_secs();
        let checks = [
            ("similarity", (0.1..=1.0).contains(&self.similarity), "a number from 0.1 to 1 is expected"),
            ("depth", (1..=6).contains(&self.depth), "a number from 1 to 6 is expected"),
            ("max_children", (2..=1000).contains(&self.max_children), "a number from 2 to 1000 is expected"),
            (
                "max_patterns",
                (10..=5000).contains(&self.max_patterns),
                "a number from 10 to 5000 is expected",
            ),
            ("max_counted", self.max_counted <= 900, "a number up to 900 is expected"),
            (
                "rate_jump.interval",
                (1..=86_400).contains(&seconds),
                "an interval lasts from a second to a day",
            ),
            (
                "rate_jump.alpha",
                rate.alpha > 0.0 && rate.alpha < 1.0,
                "a number above 0 and below 1 is expected",
            ),
            (
                "rate_jump.deviations",
                (1.0..=1e6).contains(&rate.deviations),
                "a number from 1 on is expected",
            ),
            ("rate_jump.ratio", (1.0..=1e6).contains(&rate.ratio), "a number from 1 on is expected"),
            ("rate_jump.min_count", rate.min_count > 0, "one line at least"),
            ("rate_jump.warm_up", rate.warm_up > 0, "one interval at least"),
        ];
        match checks.into_iter().find(|(_, good, _)| !good) {
            Some((key, _, message)) => Err(ConfigError::key(key, message)),
            None => Ok(()),
        }
    }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|error| {
        serde::de::Error::custom(format!("`{text}` is no duration such as `10m` or `1h 30m`: {error}"))
    })
}

/// A duration in nanoseconds.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_defaults_are_right_and_wrong_values_name_their_key() {
        Config::default().check().unwrap();
        let check = |change: fn(&mut Config), key: &str| {
            let mut config = Config::default();
            change(&mut config);
            assert_eq!(config.check().unwrap_err().key, key);
        };
        check(|c| c.similarity = f64::NAN, "similarity");
        check(|c| c.max_counted = 1000, "max_counted");
        check(|c| c.rate_jump.alpha = 1.0, "rate_jump.alpha");
        check(|c| c.rate_jump.interval = Duration::ZERO, "rate_jump.interval");
    }
}
