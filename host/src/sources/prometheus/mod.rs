//! Scrapes targets in Prometheus' formats.
//!
//! `config` says what can be set, `list` which targets there are now, `source` fetches their pages when they are due,
//! `memory` keeps what they had, and `probe` tries them once. What a page means is the crate `picket_scrape`'s business.

pub mod config;
pub mod memory;
pub mod metrics;
pub mod probe;
pub mod source;

mod list;
mod standing;

pub use config::{Config, ConfigError};
pub use memory::Memory;
