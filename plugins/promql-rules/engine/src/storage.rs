//! What the engine asks its host for: samples by label matchers and window.

use std::rc::Rc;

use crate::labels::Labels;

/// How a matcher compares a label's value with its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`: a regular expression for the whole value.
    Regex,
    /// `!~`
    NotRegex,
}

/// A condition on one label. A label that is not set has the empty value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Matcher {
    /// The label's name, `__name__` for the metric's.
    pub name: String,
    /// How the values are compared.
    pub op: MatchOp,
    /// A text or a regular expression, as `op` says.
    pub value: String,
}

/// Which samples of a window are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// Each one. Stale markers are left out.
    All,
    /// The last one only, and none of a series for which that is a stale marker.
    Latest,
    /// Each one and the stale markers as well, as NaN with the bits [`STALE_MARKER`]. Only so can an evaluation of
    /// many steps know at which of them a series had ended.
    Marked,
}

/// The bits of the NaN by which Prometheus marks a series as ended.
pub const STALE_MARKER: u64 = 0x7ff0_0000_0000_0002;

/// What one selector needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Request {
    /// All of them must hold.
    pub matchers: Vec<Matcher>,
    /// The first millisecond of the window since 1970, inclusive.
    pub start_ms: i64,
    /// The last millisecond of the window, inclusive. Before `start_ms` when nothing is needed.
    pub end_ms: i64,
    /// Which samples of the window.
    pub wanted: Wanted,
}

/// The samples of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its labels, the metric's name among them.
    pub labels: Rc<Labels>,
    /// Milliseconds since 1970, strictly increasing.
    pub times: Vec<i64>,
    /// One for each time.
    pub values: Vec<f64>,
}

/// Why a store cannot answer, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StorageError(pub String);

/// Where samples come from.
pub trait Storage {
    /// Answers all requests of one query at once: the series of each, in the order of the requests and without
    /// those that have no sample.
    ///
    /// # Errors
    /// What the store cannot or may not do, such as a bad regular expression or too many series.
    fn select(&mut self, requests: &[Request]) -> Result<Vec<Vec<Series>>, StorageError>;
}
