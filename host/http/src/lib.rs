//! The HTTP client of everything in the agent that needs one: HTTP/1.1 over TCP or TLS, through a proxy where one is
//! configured, with every wait and every answer bounded, and what belongs to it: certificates, passwords, gzip.
//!
//! It knows nothing of what is sent or read. It follows no redirects and retries nothing: whether something is sent
//! again is decided by whoever knows what was accepted.
#![forbid(unsafe_code)]

pub mod secret;
pub mod tls;

mod answer;
mod check;
mod client;
mod compression;
mod config;
mod connect;
mod credentials;
mod failure;
mod files;
mod headers;
mod mask;
mod net;
mod proxies;
mod stream;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Judgement, MAX_ANSWER, MAX_RETRY_AFTER, NoAnswer, retry_after};
pub use check::{ConfigError, MAX_TIMEOUT, MIN_TIMEOUT};
pub use client::{Client, ClientError, Page, Request};
pub use compression::{Compression, gzip};
pub use config::{BasicAuth, Config, Url, UrlError};
pub use headers::Headers;
pub use mask::Mask;
pub use net::Net;
