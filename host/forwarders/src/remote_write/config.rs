//! What the `remote_write` forwarder can be told.

use std::time::Duration;

use picket_model::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{BackoffConfig, BatchConfig, BatchLimits, select};
use picket_http::{self as http, Url};

/// What suits Prometheus: with four shards five full requests of each, so that the wait of shards for each other at a
/// batch's end weighs little, and samples that are a second late, which rules upstream do not notice.
pub const BATCH: BatchLimits = BatchLimits { frames: 10_000, bytes: 2 << 20, wait: Duration::from_secs(1) };

/// The most requests side by side: those that the HTTP client has under way at once.
pub const MAX_SHARDS: u32 = 16;
/// The most samples of one request: Prometheus' own senders of today send as many at most.
pub const MAX_SAMPLES: u32 = 2000;

/// `[forwarders.<name>]` with `kind = "remote_write"`: sends samples to Prometheus (started with
/// `--web.enable-remote-write-receiver`), VictoriaMetrics, Mimir, Thanos and others by remote write 1.0.
///
/// Prometheus takes no sample that is older than the newest of its series, and none that is an hour older than its
/// newest of all: to have what was kept during an outage, set its `out_of_order_time_window` to the longest
/// outage that is expected. Of several samples of a series within one millisecond the last is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where requests are posted, with the path, such as `https://prometheus.example.com/api/v1/write`.
    pub url: Url,
    /// How it is reached: time-outs, credentials, certificates, proxy.
    #[serde(default)]
    pub http: http::Config,
    /// Which samples are sent, and under which labels. Samples without a label `instance` get this node's name as
    /// one, before `relabel`; `select.labels.instance` replaces it, and an empty one leaves it out.
    #[serde(default)]
    pub select: select::Config,
    /// How much is taken from the journal at once. By default 10000 samples or 2MiB, or what came within 1s.
    #[serde(default)]
    pub batch: BatchConfig,
    /// How long to wait after failures.
    #[serde(default)]
    pub retry: BackoffConfig,
    /// How many requests go side by side, 1 to 16; a series always goes by the same one. By default 4.
    #[serde(default = "shards")]
    pub shards: u32,
    /// The most samples of one request, 1 to 2000. By default 500.
    #[serde(default = "samples_per_request")]
    pub samples_per_request: u32,
    /// How often it is sent what metrics are and mean; also when that has changed. `0s` sends it never, other values
    /// are at least 10s. By default 1m.
    #[serde(default = "metadata_interval")]
    pub metadata_interval: Span,
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
            shards: shards(),
            samples_per_request: samples_per_request(),
            metadata_interval: metadata_interval(),
        }
    }

    /// What is to be selected, with the label `instance` that samples get on this node.
    pub fn select(&self, node: &str) -> select::Config {
        let mut select = self.select.clone();
        select.labels.entry("instance".to_owned()).or_insert_with(|| node.to_owned());
        select
    }

    /// Within its bounds.
    pub(super) fn clamped_shards(&self) -> usize {
        self.shards.clamp(1, MAX_SHARDS) as usize
    }

    /// Within its bounds.
    pub(super) fn clamped_samples(&self) -> usize {
        self.samples_per_request.clamp(1, MAX_SAMPLES) as usize
    }
}

fn shards() -> u32 {
    4
}

fn samples_per_request() -> u32 {
    500
}

fn metadata_interval() -> Span {
    Span::seconds(60)
}
