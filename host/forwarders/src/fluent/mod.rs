//! The `fluent` forwarder: results as events for Fluentd, Fluent Bit and other receivers of the Forward protocol
//! (Fluentd's "Forward Protocol Specification v1"), each chunk acknowledged.
//!
//! The protocol has no refusal: a receiver that dislikes a chunk is silent or hangs up. What stays unanswered is
//! sent again under the same chunk id; only when the receiver acknowledges an empty chunk, but again and again not
//! this one, the chunk is halved, and in the end the one event is set aside.

pub mod encode;
pub mod wire;

mod address;
mod config;
mod handshake;
mod send;
mod session;

pub use address::{Address, AddressError};
pub use config::{BATCH, Config, Unfit};
pub use send::FluentForwarder;

#[cfg(test)]
mod tests;
