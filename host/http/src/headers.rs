//! Headers that the operator adds to every request. Most of them are secrets: those are sent and never shown.

use std::collections::BTreeMap;
use std::fmt;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use super::ConfigError;
use super::mask::Mask;
use crate::secret::SHOWN;

/// Names and values of headers. `Debug` and `Serialize` show the values of those only that are known to be harmless.
#[derive(Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Headers(pub BTreeMap<String, String>);

/// Headers whose values are no secrets. All others may be: `x-honeycomb-team` and `uptrace-dsn` are keys, which no
/// rule about names would guess.
const HARMLESS: [&str; 7] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "thanos-tenant",
    "user-agent",
    "x-scope-orgid",
];

/// Headers that belong to the message or the connection, which the client makes.
const OWN: [&str; 12] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Headers {
    /// As they are sent.
    pub(super) fn parsed(&self) -> Result<HeaderMap, ConfigError> {
        let mut parsed = HeaderMap::new();
        for (name, value) in &self.0 {
            let wrong = |what: &str| ConfigError { key: format!("headers.{name}"), what: what.to_owned() };
            let known = HeaderName::try_from(name).map_err(|_| wrong("is no name of a header"))?;
            if OWN.contains(&known.as_str()) {
                return Err(wrong("belongs to the protocol; remove it"));
            }
            // The value is not shown: it may be a secret.
            let mut value = HeaderValue::try_from(value)
                .map_err(|_| wrong("has a value with control characters in it; a header cannot carry it"))?;
            value.set_sensitive(is_secret(name));
            if parsed.insert(known, value).is_some() {
                return Err(wrong("is set twice: small and capital letters make no difference"));
            }
        }
        Ok(parsed)
    }

    /// Hides the values that may be secrets.
    pub(super) fn mask(&self, mask: &mut Mask) {
        self.0.iter().filter(|(name, _)| is_secret(name)).for_each(|(_, value)| mask.value(value));
    }

    fn shown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), if is_secret(name) { SHOWN } else { value.as_str() }))
    }
}

fn is_secret(name: &str) -> bool {
    !HARMLESS.iter().any(|harmless| name.eq_ignore_ascii_case(harmless))
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.shown()).finish()
    }
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.shown())
    }
}
