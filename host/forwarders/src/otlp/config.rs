//! What the `otlp` forwarder can be told.

use std::collections::BTreeMap;
use std::time::Duration;

use picket_http::Compression;
use picket_model::FrameKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{BackoffConfig, BatchConfig, BatchLimits, select};
use picket_http::{self as http, Url};

/// What suits a collector: requests of about two megabytes, far below the 20 MiB that collectors take by default,
/// and findings that are no more than a second late.
pub const BATCH: BatchLimits = BatchLimits { frames: 5_000, bytes: 1 << 20, wait: Duration::from_secs(1) };

/// `[forwarders.<name>]` with `kind = "otlp"`: sends results as log records and samples as metrics to an
/// OpenTelemetry collector, by OTLP/HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The collector's base URL, such as `https://collector.example.com:4318`. Logs are posted to `/v1/logs` and
    /// metrics to `/v1/metrics` behind its path.
    pub url: Url,
    /// How it is reached: time-outs, credentials, certificates, proxy.
    #[serde(default)]
    pub http: http::Config,
    /// Which results are sent. By default all, samples included.
    #[serde(default)]
    pub select: select::Config,
    /// How much is sent at once. By default 5000 results or 1MiB, or what came within 1s.
    #[serde(default)]
    pub batch: BatchConfig,
    /// How long to wait after failures.
    #[serde(default)]
    pub retry: BackoffConfig,
    /// `gzip` or `none`. By default `gzip`, which every receiver must be able to read.
    #[serde(default)]
    pub compression: Compression,
    /// Attributes of the resource, that is, of this agent. They come on top of `service.name`,
    /// `service.version`, `service.instance.id`, `host.name` and `os.type`, and replace those of the same name; an
    /// empty value leaves one out.
    #[serde(default)]
    pub resource: BTreeMap<String, String>,
}

impl Config {
    /// With everything but the URL by default.
    pub fn new(url: Url) -> Self {
        Self {
            url,
            http: http::Config::default(),
            select: select::Config::default(),
            batch: BatchConfig::default(),
            retry: BackoffConfig::default(),
            compression: Compression::default(),
            resource: BTreeMap::new(),
        }
    }

    /// Whether a kind is sent: all are, unless `select.include` names some.
    pub fn includes(&self, kind: FrameKind) -> bool {
        self.select.include.is_empty() || self.select.include.contains(&kind)
    }
}
