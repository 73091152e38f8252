//! How frames are handed to each kind of receiver: one module for each, with `config` (what can be set),
//! `encode` (frames in the receiver's format, pure) and `send` (hands a batch over), and what they share:
//! the HTTP client with TLS, filters and relabelling, and the waiting after failures.
//!
//! It reads no journal, keeps no cursor and starts no thread: the agent's drains do, and call a [`Forwarder`]
//! from threads of their own, which may block.
#![forbid(unsafe_code)]

pub mod alertmanager;
pub mod file;
pub mod fluent;
pub mod http;
pub mod otlp;
pub mod relabel;
pub mod remote_write;
pub mod secret;
pub mod select;
pub mod tls;
pub mod webhook;

mod backoff;
mod batch;
mod compression;
mod forwarder;
mod link;
mod progress;
mod severity;

#[cfg(test)]
mod tests;

pub use backoff::{Backoff, Config as BackoffConfig};
pub use batch::{BatchConfig, BatchLimits};
pub use compression::Compression;
pub use forwarder::{Batch, Forwarder, Refused, SendError, Sent, Unnamed, explained, remedy};
pub use link::{Description, Link, MetricType};
