//! Scenarios against the real agent: each tells in a few lines what an operator would see.
#![allow(clippy::unwrap_used, reason = "tests")]

mod alerts;
mod archive;
mod authors;
mod bad_input;
mod change;
mod connect;
mod containers;
mod crash;
mod ended;
mod full_disk;
mod hostile;
mod ledger;
mod prometheus_api;
mod promql;
mod reload;
mod retractions;
mod rule_files;
mod rules_cli;
mod samples;
mod scrape;
mod servers;
mod side_by_side;
mod silences;
mod stale;
mod tap;
mod upstream;
