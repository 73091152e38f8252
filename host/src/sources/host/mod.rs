//! The host's own metrics as samples.
//!
//! `collect` reads them from the kernel, `source` does so at intervals; `families` says what they are; `mounts`
//! reads the table of mounts, and `counters` keeps those of processors from stepping back.

pub mod config;

pub mod source;

pub mod collect;
mod counters;
mod families;
mod mounts;

pub use config::Config;
pub use counters::Counters;
pub use families::{Family, families};
