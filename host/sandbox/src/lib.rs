//! Runs WebAssembly components under limits: engine, bindings, capabilities, grants. The only crate
//! that sees wasmtime; it knows nothing of sources, the journal or configuration files.
//!
//! The way of a component, one type for each step, so that no step can be left out:
//!
//! ```text
//! bytes ── Compiler::compile ──▶ Component ── link(grants) ──▶ Linked ── instantiate ──▶ Instance
//!          (in a child process,   (kinds and     (imports checked  (one per      (warm; any error
//!           cached)                imports known)  against grants)   generation)   discards it)
//! ```
//!
//! Guests run on the thread that calls [`Instance`]; nothing here needs or starts an async runtime.
//! Every call is bounded in time, memory, output and host calls by [`Limits`], and what breaks a
//! bound is told by its own [`CallError`].
#![deny(unsafe_code)]

mod engine;
mod ticker;

mod component;
mod header;

mod cache;
mod compile_child;
mod compiler;

mod capability;
mod grants;
mod linked;

mod call;
mod instance;
mod query;
mod setup;
mod unpack;

mod budget;
mod limits;

mod accounts;
mod report;
mod text;

mod error;

mod bindings;

pub use accounts::{Counts, LabelSets};
pub use bindings::{BatchRef, ColumnRef, Hit, LabelRef};
pub use cache::CacheError;
pub use capability::assets::Assets;
pub use capability::log::{LogField, LogLevel, LogLine, LogOrigin, LogSink, TracingLog};
pub use capability::objects::{ObjectInfo, ObjectReader, ReadError};
pub use capability::series::{
    MatchOp, Matcher, Selection, Selector, SeriesError, SeriesReader, SeriesRequest, Wanted,
};
pub use capability::state::{Entry, StateReader, StateWrite, Unavailable};
pub use compile_child::compile_child;
pub use compiler::{CompileError, Compiler, CompilerConfig, CompilerCounts};
pub use component::{Component, Import, InspectError, Kind};
pub use engine::{Engine, EngineConfig, EngineError};
pub use error::{CallError, ConfigProblem, ConfigureError};
pub use grants::{Grants, LinkError, SeriesGrant};
pub use instance::{Instance, Output};
pub use limits::{Limits, keys};
pub use linked::{Linked, Services};
pub use query::{Answer, AnswerRow, AnswerValue, QueryError, QueryTime};
pub use report::{
    ActiveAlert, Counter, Finding, Histogram, Label, Report, RuleOutput, RuleResult, Sample, ScanReport,
    Severity, Verdict, reserved_metrics,
};
pub use setup::{Group, Interest, Rule, RuleKind, Setup};
pub use unpack::{Member, Unpacking};
