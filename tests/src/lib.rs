//! The harness of the integration tests: the real `picket` binary in a folder of its own, real files
//! for it to read, and ways to wait for what it does.
//!
//! Nothing here waits for luck: every wait is for a condition, with a deadline that only ends a hopeless
//! one. No scenario stands here; they are in `tests/all`.
#![forbid(unsafe_code)]

mod author;
mod binary;
mod disk;
mod http;
mod node;
mod ran;
mod rows;
pub mod servers;
mod soak;
pub mod upstream;
mod wait;

pub use author::Project;
pub use binary::{cache, guest, hostile, picket, plugin, sample};
pub use disk::SmallDisk;
pub use http::Response;
pub use node::{Node, NodeBuilder, rules, run};
pub use ran::Ran;
pub use rows::{Rows, findings, of_kind};
pub use soak::{count, report};
pub use wait::{HOPELESS, until};
