//! What the operator says about the API: where it listens and how much it takes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Span;

/// The API's listeners, as the operator wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// The address and port of the listener that only reads, or `off`. It must be a loopback address:
    /// anything else needs TLS and keys, which this version does not have.
    pub listen: String,
    /// The Unix socket that takes everything from root and from the agent's own user. Absent:
    /// `picket.sock` in `data_dir`.
    #[schemars(with = "Option<String>")]
    pub socket: Option<PathBuf>,
    /// Connections at once on each listener. Further ones wait.
    pub connections: u32,
    /// How long a client may take to send a request, the agent to answer it, and a client to read on.
    pub timeout: Span,
    /// The longest that an expression under `/prometheus/` may be evaluated. Shorter than what people wait for
    /// a graph: the node has other work, and holds hours of samples and not months.
    pub query_timeout: Span,
    /// The plugin that answers expressions. Absent: the first by name of those that can.
    pub query_engine: Option<String>,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(LOOPBACK, DEFAULT_PORT).to_string(),
            socket: None,
            connections: 64,
            timeout: Span::seconds(30),
            query_timeout: Span::seconds(20),
            query_engine: None,
        }
    }
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const DEFAULT_PORT: u16 = 9765;

/// The socket's name in the data folder.
pub const SOCKET: &str = "picket.sock";

/// The longest path that fits a socket address on Linux (`sun_path` has 108 bytes with its last zero).
const MAX_SOCKET_PATH: usize = 107;

/// Where the API listens: checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// A loopback address, or none.
    pub listen: Option<SocketAddr>,
    /// The Unix socket's path.
    pub socket: PathBuf,
    /// Connections at once on each listener, at least 1.
    pub connections: usize,
    /// For reading a request and for answering it, each.
    pub timeout: Duration,
    /// For evaluating an expression.
    pub query_timeout: Duration,
    /// The plugin that answers expressions, when it was named.
    pub query_engine: Option<String>,
}

/// Why the API cannot listen there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The text is no address.
    #[error("`{0}` is no address with a port; write one such as `127.0.0.1:9765` or `[::1]:9765`, or `off`")]
    NoAddress(String),
    /// The address can be reached from other machines.
    #[error(
        "`{0}` can be reached from other machines, which needs TLS and keys that this version does not have; listen on 127.0.0.1 or [::1]"
    )]
    NotLoopback(SocketAddr),
    /// The socket's path does not fit an address.
    #[error(
        "the socket's path is {0} bytes long, but {MAX_SOCKET_PATH} at most are possible; set `api.socket` to a shorter one"
    )]
    SocketTooLong(usize),
}

impl ApiConfig {
    /// The address to listen on; none when it is `off`.
    pub fn address(&self) -> Result<Option<SocketAddr>, EndpointError> {
        let text = self.listen.trim();
        if text == "off" {
            return Ok(None);
        }
        // The only name that is understood: resolving others would be a guess about the network.
        let numeric = match text.strip_prefix("localhost:") {
            Some(port) => format!("{LOOPBACK}:{port}"),
            None => text.to_owned(),
        };
        let address: SocketAddr =
            numeric.parse().map_err(|_| EndpointError::NoAddress(text.chars().take(80).collect()))?;
        match address.ip().is_loopback() {
            true => Ok(Some(address)),
            false => Err(EndpointError::NotLoopback(address)),
        }
    }

    /// The socket's path: the configured one, else the one in the data folder.
    pub fn socket_path(&self, data_dir: &Path) -> Result<PathBuf, EndpointError> {
        let path = self.socket.clone().unwrap_or_else(|| data_dir.join(SOCKET));
        match path.as_os_str().len() {
            length if length > MAX_SOCKET_PATH => Err(EndpointError::SocketTooLong(length)),
            _ => Ok(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(listen: &str, expected: Result<Option<&str>, &str>) {
        let found = ApiConfig { listen: listen.into(), ..ApiConfig::default() }.address();
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found.map(|a| a.to_string()).as_deref(), expected),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            (found, expected) => panic!("{listen}: {found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn only_loopback_is_listened_on() {
        check("127.0.0.1:9765", Ok(Some("127.0.0.1:9765")));
        check("localhost:1", Ok(Some("127.0.0.1:1")));
        check("[::1]:80", Ok(Some("[::1]:80")));
        check("127.8.8.8:0", Ok(Some("127.8.8.8:0")));
        check("off", Ok(None));
        check("0.0.0.0:9765", Err("needs TLS"));
        check("[::]:9765", Err("needs TLS"));
        check("192.0.2.1:9765", Err("needs TLS"));
        check("example.com:80", Err("is no address"));
        check("127.0.0.1", Err("is no address"));
    }
}
