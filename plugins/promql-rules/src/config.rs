//! The section `[plugins.NAME.config]`.

use std::collections::BTreeMap;

use picket_sdk::{ByteSize, ConfigError, Span};
use serde::Deserialize;

use crate::name;

/// The plugin's configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How often groups are evaluated that do not say it themselves, one second to one day. Prometheus'
    /// `evaluation_interval`.
    pub interval: Span,
    /// The assets that are rule files. Absent: all whose names end in `.yml`, `.yaml` or `.rules`.
    pub files: Option<Vec<String>>,
    /// Built-in rule packs by name (`node`, `picket`, `certificates`). Absent: none when there are rule
    /// files, else all.
    pub packs: Option<Vec<String>>,
    /// Names of alerts that are not wanted here.
    pub disable: Vec<String>,
    /// What templates know as `$externalLabels`. They are not added to alerts: forwarders do that.
    pub external_labels: BTreeMap<String, String>,
    /// What templates know as `$externalURL`.
    pub external_url: String,
    /// How far back groups look that do not say it themselves: data that arrives late is then there.
    pub query_offset: Span,
    /// How long one rule may take, its templates included. Keep it well below `group_timeout`, or one rule that takes
    /// long leaves no time for those behind it.
    pub rule_timeout: Span,
    /// How long one evaluation of a group may take; also one query of the API. Keep it below the plugin's
    /// `limits.call_deadline`, or the host ends the call before the rule that takes long can be named.
    pub group_timeout: Span,
    /// How long one query of the API may take. Keep it below `api.query_timeout`, or the agent ends the query first and
    /// makes a new instance for the next one.
    pub query_timeout: Span,
    /// Samples that one rule may have in memory at once, 16 bytes each; also those that one query of the API
    /// may.
    pub max_samples: u32,
    /// Alerts that one rule may raise at once: at most the plugin's `limits.alerts`.
    pub max_alerts: u32,
    /// Bytes that the rules of one group may return: at most the plugin's `limits.output`.
    pub max_output: ByteSize,
    /// How old a sample may be to count as a series' present value. Prometheus' `query.lookback-delta`.
    pub lookback: Span,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: Span::seconds(60),
            files: None,
            packs: None,
            disable: Vec::new(),
            external_labels: BTreeMap::new(),
            external_url: String::new(),
            query_offset: Span::default(),
            rule_timeout: Span(std::time::Duration::from_millis(500)),
            // The host gives a call 2 s.
            group_timeout: Span(std::time::Duration::from_millis(1_800)),
            // The host gives a query 20 s.
            query_timeout: Span::seconds(18),
            // What the host gives in one call at most.
            max_samples: 1_000_000,
            max_alerts: 1_000,
            // The host takes 1 MiB; the sum here is an estimate.
            max_output: ByteSize(900 << 10),
            lookback: Span::seconds(300),
        }
    }
}

/// The longest look back, as long as the store keeps samples at most.
const LONGEST: Span = Span::seconds(7 * 86_400);

impl Config {
    /// Refuses what makes no sense.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let day = Span::seconds(86_400);
        let spans = [
            ("interval", self.interval, Span::seconds(1), day),
            ("query_offset", self.query_offset, Span::default(), day),
            ("rule_timeout", self.rule_timeout, MILLISECOND, day),
            ("group_timeout", self.group_timeout, MILLISECOND, day),
            ("query_timeout", self.query_timeout, MILLISECOND, day),
            ("lookback", self.lookback, MILLISECOND, LONGEST),
        ];
        for (key, value, least, most) in spans {
            if value < least || value > most {
                return Err(ConfigError::key(key, format!("{value} is not from {least} to {most}")));
            }
        }
        let counts = [("max_samples", self.max_samples), ("max_alerts", self.max_alerts)];
        if let Some((key, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(ConfigError::key(*key, "has to be above zero"));
        }
        match self.external_labels.keys().find(|label| !name::is_label(label)) {
            Some(label) => {
                Err(ConfigError::key("external_labels", format!("`{label}` is no name for a label")))
            }
            None => Ok(()),
        }
    }
}

const MILLISECOND: Span = Span(std::time::Duration::from_millis(1));

/// Milliseconds of a span.
pub(crate) fn milliseconds(span: Span) -> i64 {
    i64::try_from(span.0.as_millis()).unwrap_or(i64::MAX)
}
