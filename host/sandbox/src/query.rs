//! Expressions over the node's series, answered by a guest that exports `query`.
//!
//! Checks and bounds the answer; what an expression means is the guest's business.

use std::time::Duration;

use crate::bindings::{query, types};
use crate::error::MESSAGE_BYTES;
use crate::instance::{Instance, Live};
use crate::report::Checker;
use crate::{CallError, Kind, Label, Output, text};

/// Bytes of an expression. The longest in public rule files have some 4 KiB.
const MAX_EXPRESSION_BYTES: usize = 64 << 10;
/// Points of a range, as Prometheus bounds them: enough for a week by the minute.
const MAX_POINTS: u64 = 11_000;
/// Warnings and infos of each sort that are shown. Each is cut at 1 KiB.
const MAX_NOTES: usize = 100;

/// The time or times at which an expression is evaluated: Unix time in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryTime {
    /// One.
    Instant(u64),
    /// From `start` to `end`, both included, every `step`.
    Range {
        /// The first.
        start: u64,
        /// None is later.
        end: u64,
        /// Not zero.
        step: Duration,
    },
}

/// What an expression gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The result.
    pub value: AnswerValue,
    /// What is probably wrong with it, for people.
    pub warnings: Vec<String>,
    /// What is worth knowing of it, for people.
    pub infos: Vec<String>,
}

/// The result of an expression, in the data model of Prometheus. Times are Unix time in nanoseconds.
#[derive(Debug, Clone, PartialEq)]
pub enum AnswerValue {
    /// A number at a time.
    Scalar(u64, f64),
    /// A string.
    Text(String),
    /// Series with one point each.
    Vector(Vec<AnswerRow>),
    /// Series with any number of points.
    Matrix(Vec<AnswerRow>),
}

/// A series of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerRow {
    /// As the engine gives them.
    pub labels: Vec<Label>,
    /// By time.
    pub points: Vec<(u64, f64)>,
}

/// Why there is no answer; the instance goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// It is no expression, in the engine's words.
    #[error("{0}")]
    BadExpression(String),
    /// It cannot be evaluated over these series, in the engine's words.
    #[error("{0}")]
    Failed(String),
}

impl Instance {
    /// Evaluates an expression under the limits of a daily call. The inner error is about the expression and leaves
    /// the instance as it was; the outer one discards it.
    pub fn query(
        &mut self,
        expression: &str,
        time: QueryTime,
    ) -> Result<Output<Result<Answer, QueryError>>, CallError> {
        self.query_within(expression, time, Duration::MAX)
    }

    /// The same for a caller who waits so long at most.
    pub fn query_within(
        &mut self,
        expression: &str,
        time: QueryTime,
        within: Duration,
    ) -> Result<Output<Result<Answer, QueryError>>, CallError> {
        self.expect_kind(Kind::Query, |live| live.query().is_ok())?;
        let bounds = self.quick().without_writes().within(within);
        if let Err(refused) = check_question(expression, time) {
            return Ok(Output { value: Err(refused), writes: Vec::new(), cpu: Duration::ZERO });
        }
        let time = match time {
            QueryTime::Instant(at) => query::Time::Instant(at),
            QueryTime::Range { start, end, step } => {
                // `check_question` has bounded the number of steps; a longer step than 584 years is one step.
                let step = u64::try_from(step.as_nanos()).unwrap_or(u64::MAX);
                query::Time::Range(query::Range { start, end, step })
            }
        };
        let call = |live: &mut Live| {
            let guest = live.query()?;
            Ok(Ok(guest.call_evaluate(&mut live.store, expression, time)?))
        };
        self.call(bounds, 0, call, |_: &mut Checker<'_>, outcome| Ok(outcome.map(answer).map_err(refused)))
    }
}

fn check_question(expression: &str, time: QueryTime) -> Result<(), QueryError> {
    let bad = |words: String| Err(QueryError::BadExpression(words));
    if expression.len() > MAX_EXPRESSION_BYTES {
        return bad(format!(
            "the expression has {} bytes, at most {MAX_EXPRESSION_BYTES} are taken",
            expression.len()
        ));
    }
    let QueryTime::Range { start, end, step } = time else { return Ok(()) };
    if step.is_zero() {
        return bad("a step of zero is no step: give one of at least a millisecond".to_owned());
    }
    if end < start {
        return bad("the end lies before the start".to_owned());
    }
    match u128::from(end - start) / step.as_nanos() {
        points if points < u128::from(MAX_POINTS) => Ok(()),
        _ => bad(format!("more than {MAX_POINTS} points: take a larger step or a shorter range")),
    }
}

fn refused(error: query::QueryError) -> QueryError {
    match error {
        query::QueryError::BadExpression(words) => {
            QueryError::BadExpression(text::message(&words, MESSAGE_BYTES))
        }
        query::QueryError::Failed(words) => QueryError::Failed(text::message(&words, MESSAGE_BYTES)),
    }
}

fn answer(raw: query::Answer) -> Answer {
    let notes = |notes: Vec<String>| {
        notes.iter().take(MAX_NOTES).map(|note| text::message(note, MESSAGE_BYTES)).collect()
    };
    let value = match raw.value {
        query::Value::Scalar(point) => AnswerValue::Scalar(point.time, point.value),
        query::Value::Text(text) => AnswerValue::Text(text),
        query::Value::Vector(rows) => AnswerValue::Vector(rows.into_iter().map(row).collect()),
        query::Value::Matrix(rows) => AnswerValue::Matrix(rows.into_iter().map(row).collect()),
    };
    Answer { value, warnings: notes(raw.warnings), infos: notes(raw.infos) }
}

fn row(raw: query::Row) -> AnswerRow {
    let label = |label: types::LabelResult| Label { name: label.name, value: label.value };
    let points = raw.points.into_iter().map(|point| (point.time, point.value)).collect();
    AnswerRow { labels: raw.labels.into_iter().map(label).collect(), points }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_bounded_before_the_guest_sees_it() {
        let range = |start, end, nanos| QueryTime::Range { start, end, step: Duration::from_nanos(nanos) };
        assert_eq!(check_question("up", QueryTime::Instant(0)), Ok(()));
        assert_eq!(check_question("up", range(0, MAX_POINTS - 1, 1)), Ok(()));
        for (expression, time, words) in [
            ("up", range(0, MAX_POINTS, 1), "more than 11000 points"),
            ("up", range(0, u64::MAX, 1), "more than 11000 points"),
            ("up", range(1, 0, 1), "before the start"),
            ("up", range(0, 1, 0), "step of zero"),
            (&*"x".repeat(MAX_EXPRESSION_BYTES + 1), QueryTime::Instant(0), "65537 bytes"),
        ] {
            let error = check_question(expression, time).unwrap_err();
            assert!(matches!(&error, QueryError::BadExpression(found) if found.contains(words)), "{error}");
        }
    }
}
