//! What is wrong with the settings of an HTTP receiver before anything is read or reached.

use std::time::Duration;

use hyper::Uri;

use super::{BasicAuth, Config};
use crate::tls;

/// Shorter ones would fail a receiver that is merely busy, or far away.
pub const MIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Longer ones would keep a forwarder waiting for a receiver that is gone.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(300);

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`http.{key}` {what}")]
pub struct ConfigError {
    /// Its path below `http`, joined by dots.
    pub key: String,
    /// What is wrong with it, and what to do; it goes on where the key ends.
    pub what: String,
}

impl Config {
    /// Finds what contradicts itself or cannot be used. Reads no file and no variable.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !(MIN_TIMEOUT..=MAX_TIMEOUT).contains(&self.timeout.0) {
            return Err(wrong("timeout", "must be between 1s and 5m"));
        }
        let headers = self.headers.parsed()?;
        self.check_credentials()?;
        let has_credentials =
            self.basic_auth.is_some() || self.bearer_token_file.is_some() || self.bearer_token_env.is_some();
        if has_credentials && headers.contains_key(hyper::header::AUTHORIZATION) {
            let what = "sets `Authorization` beside `basic_auth` or a bearer token; keep one of them";
            return Err(wrong("headers", what));
        }
        self.proxy.as_deref().map_or(Ok(()), check_proxy)?;
        check_tls(&self.tls)
    }

    fn check_credentials(&self) -> Result<(), ConfigError> {
        match (&self.basic_auth, &self.bearer_token_file, &self.bearer_token_env) {
            (Some(_), Some(_), _) => {
                Err(wrong("bearer_token_file", "excludes `basic_auth`; keep one of them"))
            }
            (Some(_), _, Some(_)) => {
                Err(wrong("bearer_token_env", "excludes `basic_auth`; keep one of them"))
            }
            (None, Some(_), Some(_)) => {
                Err(wrong("bearer_token_env", "excludes `bearer_token_file`; keep one of them"))
            }
            (Some(basic), None, None) => check_basic(basic),
            _ => Ok(()),
        }
    }
}

fn check_basic(basic: &BasicAuth) -> Result<(), ConfigError> {
    // RFC 7617, section 2: the first colon ends the name.
    if basic.username.contains(':') || basic.username.chars().any(char::is_control) {
        return Err(wrong("basic_auth.username", "must not contain a colon or control characters"));
    }
    match (&basic.password_file, &basic.password_env) {
        (Some(_), Some(_)) => {
            Err(wrong("basic_auth.password_env", "excludes `password_file`; keep one of them"))
        }
        (None, None) => Err(wrong("basic_auth", "needs `password_file` or `password_env`")),
        _ => Ok(()),
    }
}

fn check_proxy(proxy: &str) -> Result<(), ConfigError> {
    // Nothing of the text is shown: it may hold a secret where none belongs.
    if proxy == super::proxies::NONE {
        return Ok(());
    }
    if proxy.contains('@') {
        let what = "must not hold a name or a password; give the URL with them to the agent in the variables \
                    HTTPS_PROXY and HTTP_PROXY, and remove this setting";
        return Err(wrong("proxy", what));
    }
    let uri: Option<Uri> = proxy.parse().ok();
    match uri.as_ref().map(|uri| (uri.scheme_str(), uri.host())) {
        Some((Some("http" | "https"), Some(host))) if !host.is_empty() => Ok(()),
        _ => Err(wrong(
            "proxy",
            "is neither `none` nor the URL of a proxy, such as `http://proxy.example:3128`",
        )),
    }
}

fn check_tls(tls: &tls::Config) -> Result<(), ConfigError> {
    match (&tls.cert_file, &tls.key_file) {
        (Some(_), None) => return Err(wrong("tls.cert_file", "needs `tls.key_file` beside it")),
        (None, Some(_)) => return Err(wrong("tls.key_file", "needs `tls.cert_file` beside it")),
        _ => {}
    }
    if tls.insecure_skip_verify && tls.ca_file.is_some() {
        return Err(wrong("tls.insecure_skip_verify", "makes `tls.ca_file` mean nothing; keep one of them"));
    }
    match &tls.server_name {
        Some(name) if tls::server_name(tls, "").is_err() => {
            Err(wrong("tls.server_name", &format!("is neither a host name nor an address: `{name}`")))
        }
        _ => Ok(()),
    }
}

fn wrong(key: &str, what: &str) -> ConfigError {
    ConfigError { key: key.to_owned(), what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn blamed(text: &str) -> Option<String> {
        let config: Config = toml::from_str(text).unwrap();
        let error = config.check().err()?;
        assert!(!error.to_string().contains("hunter2"), "{error}");
        Some(error.key)
    }

    #[test]
    fn what_can_be_used_passes() {
        for text in [
            "",
            "timeout = '1s'",
            "timeout = '5m'",
            "headers = { X-Scope-OrgID = 'node' }",
            "headers = { Authorization = 'hunter2' }",
            "bearer_token_file = '/t'",
            "bearer_token_env = 'T'",
            "basic_auth = { username = 'u', password_file = '/p' }",
            "basic_auth = { username = 'u', password_env = 'P' }",
            "proxy = 'none'",
            "proxy = 'http://proxy.example:3128'",
            "proxy = 'https://[::1]:3128'",
            "tls = { cert_file = '/c', key_file = '/k', server_name = 'a.example' }",
            "tls = { server_name = '192.0.2.1' }",
        ] {
            assert_eq!(blamed(text), None, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (text, key) in [
            ("timeout = '999ms'", "timeout"),
            ("timeout = '301s'", "timeout"),
            ("headers = { 'a b' = '' }", "headers.a b"),
            ("headers = { x-a = \"a\\nhunter2\" }", "headers.x-a"),
            ("headers = { Host = 'a' }", "headers.Host"),
            ("headers = { X-A = 'a', x-a = 'b' }", "headers.x-a"),
            ("headers = { Authorization = 'hunter2' }\nbearer_token_env = 'T'", "headers"),
            ("bearer_token_file = '/t'\nbearer_token_env = 'T'", "bearer_token_env"),
            ("bearer_token_file = '/t'\nbasic_auth = { username = 'u' }", "bearer_token_file"),
            ("bearer_token_env = 'T'\nbasic_auth = { username = 'u' }", "bearer_token_env"),
            ("basic_auth = { username = 'u' }", "basic_auth"),
            ("basic_auth = { username = 'u:v', password_env = 'P' }", "basic_auth.username"),
            (
                "basic_auth = { username = 'u', password_env = 'P', password_file = '/p' }",
                "basic_auth.password_env",
            ),
            ("proxy = ''", "proxy"),
            ("proxy = 'proxy.example:3128'", "proxy"),
            ("proxy = 'socks5://proxy.example'", "proxy"),
            ("proxy = 'http://u:hunter2@proxy.example'", "proxy"),
            ("tls = { cert_file = '/c' }", "tls.cert_file"),
            ("tls = { ca_file = '/c', insecure_skip_verify = true }", "tls.insecure_skip_verify"),
            ("tls = { key_file = '/k' }", "tls.key_file"),
            ("tls = { server_name = 'a b' }", "tls.server_name"),
        ] {
            assert_eq!(blamed(text).as_deref(), Some(key), "{text}");
        }
    }

    #[test]
    fn only_headers_that_are_known_to_be_harmless_are_shown() {
        let config: Config = toml::from_str(
            "headers = { X-Honeycomb-Team = 'hunter2', uptrace-dsn = 'hunter2', X-Scope-OrgID = 'node' }",
        )
        .unwrap();
        for shown in [format!("{config:?}"), toml::to_string(&config).unwrap()] {
            assert!(!shown.contains("hunter2") && shown.contains("node"), "{shown}");
        }
        assert!(config.headers.parsed().unwrap()["x-honeycomb-team"].is_sensitive());
    }
}
