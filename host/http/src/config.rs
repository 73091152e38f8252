//! What can be set for a receiver that is reached by HTTP.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use hyper::Uri;
use hyper::http::uri::Scheme;
use picket_model::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Headers;
use crate::tls;

/// `[forwarders.NAME.http]`: how a receiver is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long one request may take, from connecting to the end of the answer. Between 1s and 5m.
    pub timeout: Span,
    /// Headers that every request gets. They cannot replace those that the protocol needs.
    pub headers: Headers,
    /// A name and a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    /// A file that holds a bearer token; read again after the receiver has refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token_file: Option<PathBuf>,
    /// An environment variable that holds a bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token_env: Option<String>,
    /// The proxy's URL, `http://HOST:PORT` or `https://HOST:PORT`; `none` to use none. By default what the variables
    /// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` of the agent's environment say. A proxy's name and
    /// password can stand in the URL of a variable only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Certificates.
    pub tls: tls::Config,
}

/// A name and where its password stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// The name.
    pub username: String,
    /// A file that holds the password; read again after the receiver has refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// An environment variable that holds the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
}

impl Default for Config {
    /// Half a minute: as long as Prometheus' own remote write waits.
    fn default() -> Self {
        Self {
            timeout: Span(Duration::from_secs(30)),
            headers: Headers::default(),
            basic_auth: None,
            bearer_token_file: None,
            bearer_token_env: None,
            proxy: None,
            tls: tls::Config::default(),
        }
    }
}

/// An `http://` or `https://` URL without a name or a password in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Url(Uri);

/// A text that is no URL of a receiver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no URL of a receiver: {what}; write `https://HOST[:PORT]/PATH`")]
pub struct UrlError {
    text: String,
    what: String,
}

impl Url {
    /// Its scheme is `https`.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == Some(&Scheme::HTTPS)
    }

    /// Its host, without brackets.
    pub fn host(&self) -> &str {
        self.0.host().unwrap_or_default().trim_matches(['[', ']'])
    }

    /// The whole of it.
    pub fn uri(&self) -> &Uri {
        &self.0
    }

    /// For messages: without its query, which may hold a key.
    pub fn shown(&self) -> String {
        let authority = self.0.authority().map(|authority| authority.as_str()).unwrap_or_default();
        format!("{}://{authority}{}", self.0.scheme_str().unwrap_or_default(), self.0.path())
    }

    /// With a path behind its own, which gets a slash between the two; its query is kept.
    pub fn join(&self, path: &str) -> Result<Self, UrlError> {
        let own = self.0.path().trim_end_matches('/');
        let query = self.0.query().map(|query| format!("?{query}")).unwrap_or_default();
        let scheme = if self.is_https() { "https" } else { "http" };
        let authority = self.0.authority().map(|authority| authority.as_str()).unwrap_or_default();
        format!("{scheme}://{authority}{own}/{}{query}", path.trim_start_matches('/')).parse()
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The text may hold a secret where none belongs: of such a one nothing is shown.
        let shown = match text.split_once('?') {
            _ if text.contains('@') => "…@…".to_owned(),
            Some((before, _)) => format!("{before}?…"),
            None => text.to_owned(),
        };
        let error = |what: &str| UrlError { text: shown.chars().take(100).collect(), what: what.to_owned() };
        let uri: Uri =
            text.parse().map_err(|cause: hyper::http::uri::InvalidUri| error(&cause.to_string()))?;
        match uri.scheme_str() {
            Some("http" | "https") => {}
            Some(_) => return Err(error("its scheme is neither http nor https")),
            None => return Err(error("it has no scheme")),
        }
        match uri.authority() {
            Some(authority) if authority.as_str().contains('@') => {
                Err(error("names and passwords stand in `http.basic_auth`"))
            }
            Some(authority) if authority.host().is_empty() => Err(error("it has no host")),
            None => Err(error("it has no host")),
            Some(_) => Ok(Self(uri)),
        }
    }
}

impl TryFrom<String> for Url {
    type Error = UrlError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Url> for String {
    fn from(url: Url) -> Self {
        url.0.to_string()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl JsonSchema for Url {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Url".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "uri" })
    }
}
