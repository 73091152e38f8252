//! Scenarios against the real agent: each tells in a few lines what an operator would see.
#![allow(clippy::unwrap_used, reason = "tests")]

mod archive;
mod bad_input;
mod crash;
mod hostile;
mod reload;
mod samples;
