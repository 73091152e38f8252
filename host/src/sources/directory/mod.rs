//! Files for scanners: when they change, on schedule, or once.
//!
//! `config` says which, `source` decides when, `examine` opens them and finds out what has to be known,
//! `media` tells their type, and `once` does it for `picket scan`.

pub mod config;

pub mod once;
pub mod source;

mod aside;
mod attempts;
mod pace;
mod under_way;
mod waiting;

pub mod examine;
pub mod media;

pub use config::Config;
