//! The SDK for Picket plugins: what an author writes against, in components and in native tests.
//!
//! It holds no policy and talks to nobody but the host. `unsafe` is in the generated bindings alone.
#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod alert_rule;
mod analyzer;
pub mod assets;
#[doc(hidden)]
pub mod bindings;
pub mod clock;
mod codec;
mod config;
mod error;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod export;
mod finding;
mod instance;
pub mod log;
mod metrics;
mod object;
mod plugin;
mod query;
mod register;
mod report;
mod scanner;
pub mod series;
pub mod state;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod units;
mod unpacker;

pub use alert_rule::{ActiveAlert, AlertRule, RuleOutput, RuleResult};
pub use analyzer::{Analyzer, Batch, Column, Record, Records};
pub use bindings::imports::picket::plugin::types;
pub use bindings::imports::picket::plugin::types::{Finding, Label, Sample, Severity};
pub use config::typed;
pub use error::{Error, Result};
pub use metrics::{Counter, Histogram};
pub use object::{Object, ObjectInfo, Readable, Reader};
pub use plugin::{ConfigError, Group, NoConfig, Plugin, Rule, RuleKind, Setup, Snapshot};
pub use query::{Answer, AnswerRow, AnswerValue, Point, Query, QueryError, QueryRange, QueryTime};
pub use report::{CounterMut, HistogramMut, Report};
pub use scanner::{Scanner, Verdict};
pub use units::{ByteSize, Span};
pub use unpacker::{Container, Member, Unpacker};

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z.
pub type Timestamp = u64;
