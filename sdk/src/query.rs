//! Query engines: expressions over the node's series, for the API that Grafana and `promtool` speak.

use crate::Plugin;
pub use crate::bindings::query_kind::exports::picket::plugin::query::{
    Answer, Point, QueryError, Range as QueryRange, Row as AnswerRow, Time as QueryTime, Value as AnswerValue,
};

/// Answers expressions.
pub trait Query: Plugin {
    /// Evaluates an expression. An error is a message for the person who wrote the expression, and leaves the instance as
    /// it is. The host bounds the expression (64 KiB) and the points of a range (11,000).
    fn query(&mut self, expression: &str, time: QueryTime) -> Result<Answer, QueryError>;
}
