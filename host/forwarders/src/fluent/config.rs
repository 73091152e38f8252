//! What the `fluent` forwarder can be told.

use std::path::PathBuf;
use std::time::Duration;

use picket_http::{Compression, tls};
use picket_model::{FrameKind, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Address;
use crate::{BackoffConfig, BatchConfig, BatchLimits, SendError, select};
use picket_http::secret::{Secret, SecretError};

/// What suits receivers: many limit a chunk to a megabyte, and events are up to twice as large as in the journal.
/// Findings are no more than a second late.
pub const BATCH: BatchLimits = BatchLimits { frames: 2_000, bytes: 512 << 10, wait: Duration::from_secs(1) };

/// The bounds of `timeout`: below, a busy receiver looks like a dead one; above, a dead one like a busy one.
const TIMEOUT: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(300)];

/// Longer tags are mistakes.
const MAX_TAG: usize = 128;
/// Fluent Bit reads 1023 bytes of a PING; what else stands in it takes up to 600.
const MAX_USERNAME: usize = 255;

/// `[forwarders.<name>]` with `kind = "fluent"`: sends results as events to Fluentd, Fluent Bit or another receiver
/// of the Forward protocol, and waits for its acknowledgements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The receiver: `host:port`. Without a port, 24224.
    pub address: Address,
    /// How events are tagged: this, a dot, and the kind, such as `picket.finding`. By default `picket`. Letters,
    /// digits and `._-/`, at most 128.
    #[serde(default = "tag")]
    pub tag: String,
    /// A file that holds the key that the receiver shares with its senders (`shared_key` of Fluentd's and
    /// `Shared_Key` of Fluent Bit's input). It is read before each connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_key_file: Option<PathBuf>,
    /// An environment variable that holds the shared key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_key_env: Option<String>,
    /// The user's name, where the receiver asks for one besides the shared key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// A file that holds the user's password. It is read before each connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// An environment variable that holds the user's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
    /// TLS, from the first byte on; `tls = {}` is enough to use it. Without this table nothing is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<tls::Config>,
    /// Which results are sent. By default all but samples.
    #[serde(default)]
    pub select: select::Config,
    /// How much is sent at once. By default 2000 results or 512KiB, or what came within 1s.
    #[serde(default)]
    pub batch: BatchConfig,
    /// How long to wait after failures.
    #[serde(default)]
    pub retry: BackoffConfig,
    /// How long connecting with all that belongs to it may take, and then handing over each chunk until it is
    /// acknowledged. Between 1s and 5m; by default 30s.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// `gzip` or `none`. By default `gzip`.
    #[serde(default)]
    pub compression: Compression,
}

/// What does not fit together in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Two places for one secret.
    #[error("`{0}_file` and `{0}_env` are both set; keep the one that holds it")]
    Twice(&'static str),
    /// A name without a password or the other way round.
    #[error("`username` needs `password_file` or `password_env`, and a password needs `username`")]
    HalfUser,
    /// A user without a shared key.
    #[error(
        "`username` needs `shared_key_file` or `shared_key_env`: receivers ask for a user after the shared key only"
    )]
    UserWithoutKey,
    /// A name that does not fit into the handshake.
    #[error("`username` has more than {MAX_USERNAME} bytes")]
    LongUsername,
    /// A tag that receivers may not take.
    #[error("`tag`: `{0}` is no tag; write 1 to {MAX_TAG} letters, digits and `._-/`")]
    Tag(String),
}

impl Config {
    /// With everything but the address by default.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            tag: tag(),
            shared_key_file: None,
            shared_key_env: None,
            username: None,
            password_file: None,
            password_env: None,
            tls: None,
            select: select::Config::default(),
            batch: BatchConfig::default(),
            retry: BackoffConfig::default(),
            timeout: timeout(),
            compression: Compression::default(),
        }
    }

    /// Whether a kind is sent: all but samples are, unless `select.include` names some.
    pub fn includes(&self, kind: FrameKind) -> bool {
        match self.select.include.is_empty() {
            true => kind != FrameKind::Sample,
            false => self.select.include.contains(&kind),
        }
    }

    /// Whether the settings fit together. Reads no file.
    pub fn check(&self) -> Result<(), Unfit> {
        let [key, password] = [
            ("shared_key", self.shared_key_file.is_some(), self.shared_key_env.is_some()),
            ("password", self.password_file.is_some(), self.password_env.is_some()),
        ]
        .map(|(name, file, env)| if file && env { Err(Unfit::Twice(name)) } else { Ok(file || env) });
        let (has_key, has_password) = (key?, password?);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
        if self.username.is_some() != has_password {
            Err(Unfit::HalfUser)
        } else if self.username.is_some() && !has_key {
            Err(Unfit::UserWithoutKey)
        } else if self.username.as_ref().is_some_and(|name| name.len() > MAX_USERNAME) {
            Err(Unfit::LongUsername)
        } else if self.tag.is_empty() || self.tag.len() > MAX_TAG || !self.tag.chars().all(is_plain) {
            Err(Unfit::Tag(self.tag.chars().take(MAX_TAG).collect()))
        } else {
            Ok(())
        }
    }

    /// Reads certificates and secrets and forgets them again: whether a connection would find what it needs.
    pub fn try_files(&self) -> Result<(), SendError> {
        let unusable = |error: SecretError| SendError::unusable(error.to_string());
        self.shared_key().map_err(unusable)?;
        self.user().map_err(unusable)?;
        if let Some(wanted) = &self.tls {
            tls::client_config(wanted).map_err(|error| SendError::unusable(error.to_string()))?;
        }
        Ok(())
    }

    /// The key that is shared with the receiver; none when none is configured.
    pub(super) fn shared_key(&self) -> Result<Option<Secret>, SecretError> {
        secret(self.shared_key_file.as_ref(), self.shared_key_env.as_deref())
    }

    /// The user's name and password; none when none is configured.
    pub(super) fn user(&self) -> Result<Option<(String, Secret)>, SecretError> {
        let password = secret(self.password_file.as_ref(), self.password_env.as_deref())?;
        Ok(self.username.clone().zip(password))
    }

    /// `timeout` within its bounds.
    pub(super) fn patience(&self) -> Duration {
        self.timeout.0.clamp(TIMEOUT[0], TIMEOUT[1])
    }
}

fn secret(file: Option<&PathBuf>, variable: Option<&str>) -> Result<Option<Secret>, SecretError> {
    match (file, variable) {
        (Some(file), _) => Secret::from_file(file).map(Some),
        (None, Some(variable)) => Secret::from_variable(variable).map(Some),
        (None, None) => Ok(None),
    }
}

fn tag() -> String {
    "picket".into()
}

fn timeout() -> Span {
    Span::seconds(30)
}
