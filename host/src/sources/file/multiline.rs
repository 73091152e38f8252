//! Joins lines to records: a stack trace to the line that began it.

use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use crate::model::Span;

/// A pattern compiles to at most this many bytes; a larger one costs more than it can be worth.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// When lines are joined to one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A regular expression that the first line of each record matches, such as `^\d{4}-\d\d-\d\d`.
    /// Lines that it does not match belong to the record before them.
    pub start: String,
    /// A record whose next line has not come for this long is complete.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// Lines in a record; the next one begins another.
    #[serde(default = "default_max_lines")]
    pub max_lines: u32,
}

fn default_timeout() -> Span {
    // Long enough for a program that writes a trace line by line, short enough for alerts.
    Span::seconds(1)
}

fn default_max_lines() -> u32 {
    1000
}

/// A [`Config`] ready to use.
#[derive(Debug, Clone)]
pub struct Multiline {
    start: Regex,
    /// See [`Config::timeout`].
    pub timeout: std::time::Duration,
    /// See [`Config::max_lines`]; at least one.
    pub max_lines: u32,
}

impl Multiline {
    /// Compiles the pattern.
    pub fn new(config: &Config) -> Result<Self, regex::Error> {
        let start = RegexBuilder::new(&config.start).size_limit(MAX_PATTERN_BYTES).build()?;
        Ok(Self { start, timeout: config.timeout.0, max_lines: config.max_lines.max(1) })
    }

    /// Whether a line begins a record.
    pub fn starts(&self, line: &[u8]) -> bool {
        self.start.is_match(line)
    }
}
