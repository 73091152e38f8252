//! The `alertmanager` forwarder: alerts to Prometheus' Alertmanager by its API v2, repeated until they end.
//!
//! An Alertmanager keeps alerts in memory only and ends by itself what is not repeated, so the forwarder
//! remembers what fires and says it again now and then, to every peer, as Prometheus does. What it remembers is
//! its note, so that a restart of the agent ends no alert. It decides neither when an alert fires nor whom to
//! tell.
//!
//! What is hard is the order. An alert that is said to fire after it was said to have ended fires again and
//! wakes somebody up. So there is one thread, each request tells the newest state that is known, and nothing
//! is kept for a peer that was away: it gets the state as it is when its turn comes.

pub mod encode;

mod config;
mod kept;
mod peers;
mod send;

pub use config::{BATCH, Config, ConfigError, MAX_URLS};
pub use kept::{MAX_KEPT, MAX_NOTE};
pub use send::AlertmanagerForwarder;

#[cfg(test)]
mod tests;
