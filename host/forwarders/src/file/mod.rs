//! The `file` forwarder: results as NDJSON in a file, put aside when it is large.
//!
//! Each result stands there exactly once, also when the agent was killed at any moment, as far as
//! the file itself shows: after each batch the file is synced, and its length is stored together
//! with the cursor; at the start it is cut back to that length, and files that were begun after it go,
//! since what is in them is sent again. A reader that follows the file can therefore see lines that are
//! taken back and come again, after a crash only.
//!
//! A crash loses the notes of some seconds. That a file was begun is made durable before anything is
//! written to it, so a note never names a file that was put aside and deleted meanwhile.

pub mod encode;

mod config;
mod rotate;
mod send;

pub use config::{Config, MAX_KEEP, MIN_ROTATE_BYTES};
pub use send::FileForwarder;

#[cfg(test)]
pub(crate) mod tests;
