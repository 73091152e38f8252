//! PromQL on floats: parsing, planning and evaluation, as in Prometheus 3.
//!
//! [`parse`] makes a checked [`Query`] of a text. [`Query::instant`] and [`Query::range`] evaluate it over a
//! [`Storage`], which is asked once for all that the query needs. Native histograms are not supported; what would
//! need them is an error that names its place, and never a wrong number.
//!
//! The engine knows nothing of rules, of hosts and of sandboxes. It keeps no state between queries.
#![forbid(unsafe_code)]

mod parse;
mod storage;

mod eval;
mod functions;
pub mod limits;

mod labels;
mod notes;

mod ast;
mod atoms;
mod guard;
mod locate;
mod lower;
mod operators;
mod rewrite;
mod scan;

mod calendar;
mod numbers;
mod position;
mod xxhash;

pub use eval::{Answer, EvalError, Options, Sample, Value};
pub use labels::{Label, Labels, METRIC_NAME};
pub use parse::{ParseError, Query, ValueType, parse};
pub use storage::{MatchOp, Matcher, Request, STALE_MARKER, Series, Storage, StorageError, Wanted};
