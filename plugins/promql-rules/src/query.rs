//! Expressions of the query API, over the same engine and series as rules.

use picket_sdk::{Answer, AnswerRow, AnswerValue, Label, Point, QueryError, QueryTime, clock};
use promql_engine::{Labels, Series, Value};

use crate::config::Config;
use crate::engine::{self, Deadline};
use crate::labels::LabelCache;
use crate::store::{self, Store};

/// Points of time in one range, as in Prometheus.
const MAX_POINTS: u64 = 11_000;

/// Answers an expression.
pub(crate) fn answer(
    config: &Config,
    labels: &mut LabelCache,
    expression: &str,
    time: QueryTime,
) -> Result<Answer, QueryError> {
    let query = promql_engine::parse(expression);
    let query = query.map_err(|error| QueryError::BadExpression(error.to_string()))?;
    let deadline = Deadline::at(clock::monotonic() + config.query_timeout.0);
    let is_over = || deadline.is_over();
    let options = engine::options(config, &is_over);
    let mut store = Store { labels, overlay: None };
    let answer = match time {
        QueryTime::Instant(time) => query.instant(store::milliseconds(time), &mut store, &options),
        QueryTime::Range(range) => {
            let step = store::milliseconds(range.step);
            if step <= 0 || range.end < range.start {
                let message =
                    "a range needs a step of 1 ms at least, and an end that is not before its start";
                return Err(QueryError::Failed(message.to_owned()));
            }
            if (range.end - range.start) / range.step >= MAX_POINTS {
                let message = format!(
                    "exceeded maximum resolution of {MAX_POINTS} points per timeseries. Try decreasing the query \
                     resolution (?step=XX)"
                );
                return Err(QueryError::Failed(message));
            }
            let (start, end) = (store::milliseconds(range.start), store::milliseconds(range.end));
            query.range(start, end, step, &mut store, &options)
        }
    };
    let answer = answer.map_err(|error| QueryError::Failed(error.to_string()))?;
    Ok(Answer { value: value(answer.value), warnings: answer.warnings, infos: answer.infos })
}

fn value(value: Value) -> AnswerValue {
    match value {
        Value::Scalar { time_ms, value } => AnswerValue::Scalar(point(time_ms, value)),
        Value::Text { text, .. } => AnswerValue::Text(text),
        Value::Vector(samples) => {
            let row = |sample: promql_engine::Sample| AnswerRow {
                labels: all_labels(&sample.labels),
                points: vec![point(sample.time_ms, sample.value)],
            };
            AnswerValue::Vector(samples.into_iter().map(row).collect())
        }
        Value::Matrix(series) => {
            let row = |series: Series| AnswerRow {
                labels: all_labels(&series.labels),
                points: series.times.iter().zip(&series.values).map(|(t, v)| point(*t, *v)).collect(),
            };
            AnswerValue::Matrix(series.into_iter().map(row).collect())
        }
    }
}

fn point(milliseconds: i64, value: f64) -> Point {
    Point { time: store::nanoseconds(milliseconds), value }
}

fn all_labels(labels: &Labels) -> Vec<Label> {
    labels.iter().map(|label| Label::new(label.name(), label.value())).collect()
}
