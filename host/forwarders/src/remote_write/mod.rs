//! The `remote_write` forwarder: samples to Prometheus, VictoriaMetrics, Mimir, Thanos and whatever else takes
//! Prometheus remote write 1.0 (<https://prometheus.io/docs/specs/prw/remote_write_spec/>).
//!
//! What is hard about it: a receiver takes the samples of one series in the order of their times only, and refuses a
//! whole request for one bad sample in it without saying which. So
//!
//! - a series always goes by the same *shard*; requests of one shard go one after the other, shards side by side;
//! - a batch goes in *rounds* of at most half an hour of sample time, because Prometheus takes nothing that is an
//!   hour older than the newest sample of any series: no shard may run ahead of the others by that much. One ends at the
//!   agent's start, so that what may be a repeat is never in one request with what cannot be;
//! - a refused request is halved, by series and then by sample, until what is refused is found alone; of a sample that is
//!   too old all older ones are taken to be so as well;
//! - what was accepted of a batch is remembered, so that after a failure only the rest is sent;
//! - a repeat whose first reply was lost is refused as out of order when it had been stored. Such refusals count
//!   as accepted, and so do those of samples that are older than the agent's start: before a crash they
//!   may have been handed over already.
//!
//! It sends no exemplars and no native histograms: Picket has none.

pub mod encode;
pub mod message;

mod config;
mod judge;
mod metadata;
mod progress;
mod send;
mod shard;

pub use config::{BATCH, Config, MAX_SAMPLES, MAX_SHARDS};
pub use send::RemoteWrite;

#[cfg(test)]
mod tests;
