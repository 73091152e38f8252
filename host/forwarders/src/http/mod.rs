//! The HTTP client of all forwarders that need one: HTTP/1.1 over TCP or TLS, through a proxy where one is
//! configured, with every wait and every answer bounded. It follows no redirects and retries nothing: whether
//! something is sent again is decided by the drain, which knows what was accepted.

mod answer;
mod client;
mod config;

pub use answer::{Answer, NoAnswer};
pub use client::{Client, ClientError, Request};
pub use config::{BasicAuth, Config, Url, UrlError};
