//! A bounded store of recent samples: append by name and labels, select by matchers and time.
//!
//! It is what alert rules read and what the node's own metrics, plugins and recording rules are
//! written to. It keeps samples in memory only: after a restart it begins empty. It does not
//! evaluate expressions, does not forward anything, and knows neither plugins nor sources.
//!
//! Everything is bounded ([`Config`]): the number of series, the samples of each, the age of a
//! sample and the bytes of all. At a bound nothing grows and nothing waits: what does not fit is
//! refused or expels the oldest sample of its own series, and is counted ([`Metrics`]).
//!
//! The answer of [`Store::select`] is made of flat columns, the shape in which it crosses into a
//! guest, so that a million samples are two vectors and not a million objects.
#![forbid(unsafe_code)]

mod config;
mod index;
mod inner;
mod labels;
mod matcher;
mod metrics;
mod ring;
mod store;

pub use config::{Clock, Config};
pub use labels::{Label, Labels, MAX_LABELS, MAX_NAME_BYTES, MAX_VALUE_BYTES, NAME};
pub use matcher::{MAX_MATCHERS, MAX_PATTERN_BYTES, Matcher, Op, Selector};
pub use metrics::Metrics;
pub use store::{
    Appended, Bounds, MAX_AHEAD, MAX_SELECTORS, Refused, SelectError, Selection, Size, Store, UnknownSeries,
    Window,
};
