//! What the `webhook` forwarder can be told.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use picket_model::{FrameKind, Severity, VerdictKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sign::SignError;
use super::target::TargetError;
use super::template::TemplateError;
use crate::{BackoffConfig, BatchConfig, BatchLimits, select};
use picket_http::secret::SecretError;
use picket_http::{self as http, ClientError, Url};

/// What suits a receiver of single events: one at a time, at once. So a crash repeats one event at most.
pub const BATCH: BatchLimits = BatchLimits { frames: 1, bytes: 1 << 20, wait: Duration::ZERO };
/// What suits a chat service, which takes about one message a second (Slack's documented limit): what comes
/// within a second is one message. Twenty events are more than anybody reads of one.
pub const SLACK_BATCH: BatchLimits =
    BatchLimits { frames: 20, bytes: 256 << 10, wait: Duration::from_secs(1) };
/// The most routes: there are five severities, and several places to send one to are several forwarders.
pub const MAX_ROUTES: usize = 16;

/// `[forwarders.<name>]` with `kind = "webhook"`: posts results to a URL: findings, suspicious and malicious
/// verdicts, alerts that begin to fire or are resolved, and what takes findings and verdicts back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where to. Of `url`, `url_file` and `url_env` one is set; with `routes` it may be none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Url>,
    /// A file that holds the URL, for services such as Slack whose URLs are secrets: such a URL is never
    /// shown. Read again after each failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// An environment variable that holds the URL, which is never shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_env: Option<String>,
    /// Other URLs by severity: an event goes to the first route whose `min_severity` it reaches, else to the
    /// URL above; without one it is left out. A retraction goes to all of them. At most 16.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// `json`: `{"type": "picket.finding", "timestamp": …, "data": {…}}`, one event a request. `slack`: text
    /// for Slack, Mattermost, Rocket.Chat and Discord (with `/slack` behind its URL), several events in one
    /// message when they come at once. `template`: what `template` or `template_file` says. By default `json`.
    pub format: Format,
    /// The body's template, with the syntax of Jinja2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// A file that holds the body's template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_file: Option<PathBuf>,
    /// What a template makes; by default `application/json`. With a JSON type each inserted value is
    /// encoded as JSON, quotes included; with others it is inserted as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// A file that holds the key for signatures, as `whsec_…` (Standard Webhooks) or as any other text. Several
    /// lines are several keys, the newest first: the request then has a signature by each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// An environment variable that holds the key for signatures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
    /// A header that gets `sha256=<hexadecimal HMAC of the body>` as well, for receivers that know GitHub's
    /// way: `X-Hub-Signature-256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature_header: Option<String>,
    /// Which verdicts are sent, of `clean`, `skipped`, `suspicious` and `malicious`; by default the last two.
    pub verdicts: BTreeSet<VerdictKind>,
    /// How the receiver is reached.
    pub http: http::Config,
    /// Which results are sent, and under which labels; by default findings, verdicts, alerts and
    /// retractions. `evidence` and `notice` can be asked for.
    pub select: select::Config,
    /// How much is read at once; by default 1 event, without waiting, and for `slack` up to 20 within 1s. With
    /// more than one event, a crash repeats those that were accepted already.
    pub batch: BatchConfig,
    /// The waiting after a failure.
    pub retry: BackoffConfig,
}

/// Where severe events go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// `info`, `low`, `medium`, `high` or `critical`: this and all that is worse goes here.
    pub min_severity: Severity,
    /// Where to. Of `url`, `url_file` and `url_env` one is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Url>,
    /// A file that holds the URL, which is never shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// An environment variable that holds the URL, which is never shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_env: Option<String>,
}

/// What the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One event as JSON.
    #[default]
    Json,
    /// Text for chat services.
    Slack,
    /// By the operator's template.
    Template,
}

/// The forwarder cannot work as configured.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// See [`TargetError`].
    #[error(transparent)]
    Target(#[from] TargetError),
    /// `format` and the template do not go together.
    #[error("{0}")]
    Format(&'static str),
    /// The template's file cannot be read.
    #[error("`template_file` {file} cannot be read: {cause}; check that the agent's user may read it")]
    TemplateFile {
        /// The file.
        file: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// See [`TemplateError`].
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// `secret_file` or `secret_env` cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// See [`SignError`].
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A kind that is no event.
    #[error("`select.include`: a webhook takes no `sample`; samples go to `remote_write` or `otlp`")]
    Samples,
    /// See [`ClientError`].
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Default for Config {
    /// With nowhere to send to.
    fn default() -> Self {
        Self {
            url: None,
            url_file: None,
            url_env: None,
            routes: Vec::new(),
            format: Format::default(),
            template: None,
            template_file: None,
            content_type: None,
            secret_file: None,
            secret_env: None,
            signature_header: None,
            verdicts: BTreeSet::from([VerdictKind::Suspicious, VerdictKind::Malicious]),
            http: http::Config::default(),
            select: select::Config::default(),
            batch: BatchConfig::default(),
            retry: BackoffConfig::default(),
        }
    }
}

impl Config {
    /// How much is handed over at once.
    pub fn batch_limits(&self) -> BatchLimits {
        self.batch.or(if self.format == Format::Slack { SLACK_BATCH } else { BATCH })
    }

    /// Which kinds are sent.
    pub fn kinds(&self) -> BTreeSet<FrameKind> {
        match self.select.include.is_empty() {
            true => BTreeSet::from([
                FrameKind::Finding,
                FrameKind::Verdict,
                FrameKind::Alert,
                FrameKind::Retraction,
            ]),
            false => self.select.include.clone(),
        }
    }
}
