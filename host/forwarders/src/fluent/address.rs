//! `host:port`, as operators write it.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A host, by name or address, and a port. IPv6 addresses stand in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    /// Without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Where receivers of the Forward protocol listen by default.
const DEFAULT_PORT: u16 = 24224;

/// A text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address; write `HOST:PORT`, such as `logs.example.com:24224` or `[2001:db8::7]:24224`")]
pub struct AddressError(String);

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || AddressError(text.chars().take(100).collect());
        let (host, rest) = match text.strip_prefix('[') {
            Some(text) => text.split_once(']').ok_or_else(error)?,
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match rest {
            "" => DEFAULT_PORT,
            rest => rest.strip_prefix(':').and_then(|port| port.parse().ok()).ok_or_else(error)?,
        };
        let strange = |c: char| c.is_whitespace() || c.is_control() || "/@[]".contains(c);
        if host.is_empty() || host.contains(strange) || port == 0 {
            return Err(error());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl JsonSchema for Address {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "an address such as `logs.example.com:24224`" })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn addresses_read_back_as_written() {
        for (text, host, port, shown) in [
            ("logs.example.com:5170", "logs.example.com", 5170, "logs.example.com:5170"),
            ("localhost", "localhost", 24224, "localhost:24224"),
            ("[::1]:7", "::1", 7, "[::1]:7"),
            ("[2001:db8::7]", "2001:db8::7", 24224, "[2001:db8::7]:24224"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port));
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse(), Ok(address));
        }
    }

    #[test]
    fn what_is_no_address_says_what_would_be() {
        for text in
            ["", ":24224", "::1", "host:", "host:0", "host:65536", "[::1", "http://host", "a b", "u@host"]
        {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains("HOST:PORT"), "{text}: {error}");
        }
    }
}
