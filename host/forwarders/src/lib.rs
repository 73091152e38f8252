//! How frames are handed to each kind of receiver: one module for each, with `config` (what can be set),
//! `encode` (frames in the receiver's format, pure) and `send` (hands a batch over), and what they share:
//! filters, batches, and the waiting after failures. The HTTP client and relabelling are crates of their own.
//!
//! It reads no journal, keeps no cursor and starts no thread: the agent's drains do, and call a [`Forwarder`]
//! from threads of their own, which may block.
#![forbid(unsafe_code)]

pub mod alertmanager;
pub mod file;
pub mod fluent;
pub mod otlp;
pub mod remote_write;
pub mod select;
pub mod webhook;

mod backoff;
mod batch;
mod forwarder;
mod link;
mod progress;
mod severity;

#[cfg(test)]
mod tests;

pub use backoff::{Backoff, Config as BackoffConfig};
pub use batch::{BatchConfig, BatchLimits};
pub use forwarder::{Batch, Forwarder, Refused, SendError, Sent, Unnamed, explained, remedy};
pub use link::{Description, Link, MetricType};
