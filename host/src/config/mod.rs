//! `picket.toml`, `conf.d`, the environment and flags: from text to a checked configuration.
//!
//! ```text
//! files ─ text ─┐
//! environment ──┼─ tree (every value knows its place) ─ decode ─ Raw ─ check ─ Checked
//! flags ────────┘
//! ```
//!
//! A flag stands over the environment, the environment over `conf.d/*.toml` in the order of their
//! names, those over `picket.toml`: tables are joined, everything else is replaced. All errors are
//! reported together, each with its place and what would be right.
//!
//! This module composes the `Config` types of the subsystems; none of them knows this one. It reads
//! no component, opens no socket and changes nothing.

mod check;
mod checked;
mod decode;
mod environment;
mod files;
mod load;
pub mod paths;
mod problem;
mod raw;
pub mod reference;
pub mod sections;
#[cfg(test)]
mod tests;
mod text;
mod tree;

pub use checked::Checked;
pub use decode::nearest;
pub use environment::PREFIX;
pub use files::{Excerpt, Place};
pub use load::{Flag, Options, load, load_text, socket};
pub use problem::{Code, Problem, Problems};
pub use raw::Raw;
