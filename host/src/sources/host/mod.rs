//! The host's own metrics as samples.
//!
//! `collect` reads them from the kernel, `source` does so at intervals.

pub mod config;

pub mod source;

pub mod collect;

pub use config::Config;
