//! The plugin's configuration, with its defaults. The README holds the reference.

use std::collections::BTreeMap;

use picket_sdk::{ConfigError, Span};
use serde::Deserialize;

/// The section `[plugins.access-log.config]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How lines are written.
    pub format: Format,
    /// What stands behind the common or combined format, in its order.
    pub suffix: Vec<Suffix>,
    /// Where JSON lines hold what.
    pub json: JsonKeys,
    /// The value of the label `status`.
    pub status_label: StatusLabel,
    /// Upper bounds of the latency histograms, in seconds, rising.
    pub latency_bounds: Vec<f64>,
    /// When 5xx responses are a burst.
    pub burst: Burst,
    /// When a client is scanning.
    pub scan: Scan,
}

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Lines that begin with a brace are JSON, the others text.
    Auto,
    /// Common or combined format.
    Text,
    /// One JSON object on each line.
    Json,
}

/// A value behind the combined format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suffix {
    /// The request's time in seconds: nginx' `$request_time`, Apache's `%T`.
    RequestSeconds,
    /// The request's time in milliseconds: Apache's `%{ms}T`.
    RequestMilliseconds,
    /// The request's time in microseconds: Apache's `%D`.
    RequestMicroseconds,
    /// The upstream servers' time in seconds: nginx' `$upstream_response_time`.
    UpstreamSeconds,
    /// Something else.
    Skip,
}

/// Which label the request counter gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatusLabel {
    /// `2xx`, `3xx` and so on.
    Class,
    /// `200`, `404` and so on.
    Code,
}

/// The unit of a number in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Seconds, with a fraction.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Nanoseconds.
    Nanoseconds,
}

/// Keys of JSON lines, those of inner objects joined by dots. Of several in a line the first in the
/// list counts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JsonKeys {
    /// The status code.
    pub status: Vec<String>,
    /// The method.
    pub method: Vec<String>,
    /// The path with its query.
    pub target: Vec<String>,
    /// The whole request line, for method and path where they have no keys of their own.
    pub request: Vec<String>,
    /// The client's address.
    pub client: Vec<String>,
    /// The response's size in bytes.
    pub bytes: Vec<String>,
    /// When it was logged: ISO 8601, the common log format, or Unix seconds.
    pub time: Vec<String>,
    /// How long the request took, by unit.
    pub duration: BTreeMap<String, Unit>,
    /// How long the upstream took, by unit.
    pub upstream: BTreeMap<String, Unit>,
}

/// When 5xx responses are a burst: both thresholds reached within the window.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Burst {
    /// Whether to look for bursts.
    pub enabled: bool,
    /// The sliding window, 1 s to 1 h.
    pub window: Span,
    /// At least so many 5xx responses.
    pub min_errors: u64,
    /// At least this share of all responses, 0 to 1.
    pub min_ratio: f64,
    /// The same stream is reported again only after so long.
    pub repeat_after: Span,
}

/// When a client is scanning: so many refused or missing responses within the window.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scan {
    /// Whether to look for scanning clients.
    pub enabled: bool,
    /// The sliding window, 1 s to 1 h.
    pub window: Span,
    /// At least so many of the statuses below from one address.
    pub min_errors: u32,
    /// At least so many different targets, about, 1 to 64: who misses the same file again and again is a broken
    /// page, not a scan. Refused responses (401 and 403) count whatever their target: passwords are guessed
    /// at one.
    pub min_targets: u32,
    /// The statuses that count, at most 16.
    pub statuses: Vec<u16>,
    /// How many addresses to keep in mind, 16 to 65,536; the quietest leave first.
    pub clients: usize,
    /// The same address is reported again only after so long.
    pub repeat_after: Span,
    /// Addresses that are never reported: monitoring, a scanner of one's own.
    pub ignore: Vec<String>,
}

/// As many statuses as a client's entry has room for.
pub(crate) const MAX_STATUSES: usize = 16;

impl Default for Config {
    fn default() -> Self {
        Self {
            format: Format::Auto,
            suffix: Vec::new(),
            json: JsonKeys::default(),
            status_label: StatusLabel::Class,
            latency_bounds: vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
            burst: Burst::default(),
            scan: Scan::default(),
        }
    }
}

impl Default for Burst {
    fn default() -> Self {
        Self {
            enabled: true,
            window: Span::seconds(60),
            min_errors: 20,
            min_ratio: 0.05,
            repeat_after: Span::seconds(300),
        }
    }
}

impl Default for Scan {
    fn default() -> Self {
        Self {
            enabled: true,
            window: Span::seconds(60),
            min_errors: 30,
            statuses: vec![401, 403, 404],
            min_targets: 8,
            clients: 4096,
            repeat_after: Span::seconds(600),
            ignore: Vec::new(),
        }
    }
}

impl Default for JsonKeys {
    /// What nginx formats usually say, Caddy's own keys, and Traefik's.
    fn default() -> Self {
        let keys = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let units =
            |names: &[(&str, Unit)]| names.iter().map(|(name, unit)| ((*name).to_owned(), *unit)).collect();
        Self {
            status: keys(&["status", "DownstreamStatus"]),
            method: keys(&["method", "request_method", "request.method", "RequestMethod"]),
            target: keys(&["uri", "request_uri", "path", "request.uri", "RequestPath"]),
            request: keys(&["request"]),
            client: keys(&["remote_addr", "request.client_ip", "request.remote_ip", "ClientHost", "client"]),
            bytes: keys(&["body_bytes_sent", "bytes_sent", "size", "DownstreamContentSize", "bytes"]),
            time: keys(&[
                "time_iso8601",
                "time_local",
                "msec",
                "ts",
                "StartUTC",
                "time",
                "timestamp",
                "@timestamp",
            ]),
            duration: units(&[
                ("request_time", Unit::Seconds),
                ("duration", Unit::Seconds),
                ("Duration", Unit::Nanoseconds),
            ]),
            upstream: units(&[
                ("upstream_response_time", Unit::Seconds),
                ("OriginDuration", Unit::Nanoseconds),
            ]),
        }
    }
}

impl Config {
    /// Checks what the types cannot.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let ensure = |good: bool, key: &str, message: &str| match good {
            true => Ok(()),
            false => Err(ConfigError::key(key, message)),
        };
        let window = |span: Span| (1..=3600).contains(&span.0.as_secs());
        let rising = self.latency_bounds.windows(2).all(|pair| pair[0] < pair[1]);
        let finite = self.latency_bounds.iter().all(|bound| bound.is_finite() && *bound > 0.0);
        let (burst, scan) = (&self.burst, &self.scan);
        ensure(
            rising && finite && self.latency_bounds.len() <= 64,
            "latency_bounds",
            "must hold at most 64 positive numbers of seconds, each larger than the one before",
        )?;
        ensure(window(burst.window), "burst.window", "must be between 1s and 1h")?;
        ensure(burst.min_errors > 0, "burst.min_errors", "must be at least 1")?;
        ensure((0.0..=1.0).contains(&burst.min_ratio), "burst.min_ratio", "must be between 0 and 1")?;
        ensure(window(scan.window), "scan.window", "must be between 1s and 1h")?;
        ensure(scan.min_errors > 0, "scan.min_errors", "must be at least 1")?;
        ensure((1..=64).contains(&scan.min_targets), "scan.min_targets", "must be between 1 and 64")?;
        ensure((16..=65_536).contains(&scan.clients), "scan.clients", "must be between 16 and 65536")?;
        ensure(
            (1..=MAX_STATUSES).contains(&scan.statuses.len()),
            "scan.statuses",
            "must hold 1 to 16 status codes; set `scan.enabled = false` to look for no scanning clients",
        )?;
        Ok(())
    }
}
