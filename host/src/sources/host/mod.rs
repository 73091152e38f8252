//! The host's own metrics as samples.
//!
//! `collect` reads them from the kernel, `source` does so at intervals; `mounts` reads the table of mounts,
//! and `counters` keeps those of processors from stepping back.

pub mod config;

pub mod source;

pub mod collect;
mod counters;
mod mounts;

pub use config::Config;
pub use counters::Counters;
