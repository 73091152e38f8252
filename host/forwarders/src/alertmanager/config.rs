//! What the `alertmanager` forwarder can be told.

use std::time::Duration;

use picket_model::{FrameKind, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::encode::{Generator, GeneratorError};
use crate::{BackoffConfig, BatchConfig, BatchLimits, select};
use picket_http::{self as http, ClientError, Url, UrlError};

/// What suits an Alertmanager: alerts are rare and urgent, so nothing waits for company, and after an outage
/// five hundred go at once, of which only the last state of each is sent.
pub const BATCH: BatchLimits = BatchLimits { frames: 500, bytes: 1 << 20, wait: Duration::ZERO };
/// The most peers. Clusters have three; each one more costs a request for each batch.
pub const MAX_URLS: usize = 16;
/// More often would be noise: a batch is sent at once anyway.
const MIN_RESEND: Duration = Duration::from_secs(10);
/// An alert whose agent is gone ends after four times as long, which should be within about an hour.
const MAX_RESEND: Duration = Duration::from_secs(15 * 60);

/// The drain asks every ten seconds whether something is due; as much for what its other work takes.
const BETWEEN_CALLS: Duration = Duration::from_secs(20);

/// `[forwarders.<name>]` with `kind = "alertmanager"`: sends alerts to Prometheus' Alertmanager.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the Alertmanagers are, such as `["http://am-1:9093", "http://am-2:9093"]`; `/api/v2/alerts` is put
    /// behind each. Every alert goes to all of them, and one that takes it is enough. At most 16.
    pub urls: Vec<Url>,
    /// How often firing alerts are repeated, 10s to 15m; by default 1m. An Alertmanager that hears nothing for
    /// four times as long takes the alert for resolved.
    #[serde(default = "resend")]
    pub resend: Span,
    /// A URL that is given to people with the alert, for example of a runbook or a dashboard. `{plugin}`,
    /// `{group}`, `{rule}` and `{node}` are replaced. By default there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator_url: Option<String>,
    /// How the Alertmanagers are reached.
    #[serde(default)]
    pub http: http::Config,
    /// Which alerts are sent, and under which labels. `labels` here are what Prometheus calls external labels.
    #[serde(default)]
    pub select: select::Config,
    /// How much is sent at once; by default 500 changes, 1MiB, without waiting.
    #[serde(default)]
    pub batch: BatchConfig,
    /// The waiting after a failure.
    #[serde(default)]
    pub retry: BackoffConfig,
}

/// The forwarder cannot work as configured.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No peer, or too many.
    #[error("`urls` names {0} Alertmanagers; name 1 to {MAX_URLS}")]
    Urls(usize),
    /// A URL that nothing can be put behind.
    #[error("`urls`: {0}")]
    Url(#[from] UrlError),
    /// A kind that an Alertmanager cannot take.
    #[error("`select.include`: an Alertmanager takes only `alert`, not `{0:?}`; leave `include` out")]
    Include(FrameKind),
    /// See [`GeneratorError`].
    #[error("`generator_url`: {0}")]
    Generator(#[from] GeneratorError),
    /// See [`ClientError`].
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Config {
    /// With everything but the peers by default.
    pub fn new(urls: Vec<Url>) -> Self {
        Self {
            urls,
            resend: resend(),
            generator_url: None,
            http: http::Config::default(),
            select: select::Config::default(),
            batch: BatchConfig::default(),
            retry: BackoffConfig::default(),
        }
    }

    /// How much is handed over at once.
    pub fn batch_limits(&self) -> BatchLimits {
        self.batch.or(BATCH)
    }

    /// How often firing alerts are repeated, within the bounds.
    pub(super) fn resend_every(&self) -> Duration {
        self.resend.0.clamp(MIN_RESEND, MAX_RESEND)
    }

    /// How long a firing alert lasts that is not repeated. As Prometheus has it in `rules/alerting.go`: three repeats may
    /// be lost. A repeat may come later by as long as a peer that hangs keeps the others waiting, and by the time
    /// between two calls.
    pub(super) fn valid_for(&self) -> Duration {
        let timeout = self.http.timeout.0.clamp(http::MIN_TIMEOUT, http::MAX_TIMEOUT);
        self.resend_every() * 4 + timeout + BETWEEN_CALLS
    }

    /// The peers' pages for alerts and for their version.
    pub(super) fn pages(&self) -> Result<Vec<(Url, Url)>, ConfigError> {
        if !(1..=MAX_URLS).contains(&self.urls.len()) {
            return Err(ConfigError::Urls(self.urls.len()));
        }
        let pages = |url: &Url| Ok((url.join("/api/v2/alerts")?, url.join("/api/v2/status")?));
        self.urls.iter().map(pages).collect()
    }

    /// What stands in `generatorURL`.
    pub(super) fn generator(&self) -> Result<Option<Generator>, ConfigError> {
        Ok(self.generator_url.as_deref().map(str::parse).transpose()?)
    }

    /// Refuses what an Alertmanager cannot take.
    pub(super) fn check_kinds(&self) -> Result<(), ConfigError> {
        match self.select.include.iter().find(|kind| **kind != FrameKind::Alert) {
            Some(kind) => Err(ConfigError::Include(*kind)),
            None => Ok(()),
        }
    }
}

fn resend() -> Span {
    Span::seconds(60)
}
