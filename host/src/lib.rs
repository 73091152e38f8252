//! The Picket agent: reads records, files and metrics, runs sandboxed plugins over them, and
//! commits what they return. See ARCHITECTURE.md for the map.
#![forbid(unsafe_code)]
// It panics when the reader of the output has gone: `cli::output` writes instead.
#![cfg_attr(not(test), deny(clippy::print_stdout))]

pub use picket_model as model;

pub mod config;
pub mod tap;
pub mod telemetry;

pub mod sources;

pub mod pipeline;

pub mod lanes;

pub mod lifecycle;

pub mod state;

pub mod alerts;
pub mod archive;
pub mod forwarders;

pub mod rules;

pub mod api;
pub mod cli;

pub mod agent;
