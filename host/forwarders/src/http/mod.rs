//! The HTTP client of all forwarders that need one: HTTP/1.1 over TCP or TLS, through a proxy where one is
//! configured, with every wait and every answer bounded. It follows no redirects and retries nothing: whether
//! something is sent again is decided by the drain, which knows what was accepted.

mod answer;
mod check;
mod client;
mod config;
mod connect;
mod credentials;
mod failure;
mod headers;
mod mask;
mod proxies;
mod stream;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Judgement, MAX_ANSWER, MAX_RETRY_AFTER, NoAnswer, retry_after};
pub use check::{ConfigError, MAX_TIMEOUT, MIN_TIMEOUT};
pub use client::{Client, ClientError, Request};
pub use config::{BasicAuth, Config, Url, UrlError};
pub use headers::Headers;
