//! The seam to the PromQL engine: its options, and its answers as rules need them.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use picket_sdk::clock;
use promql_engine::{Answer, EvalError, Labels, Options, Query, Storage, Value};

use crate::config::{Config, milliseconds};

/// Looks at the clock each so many times that it is asked: reading it is a call to the host, and the engine asks once in
/// some milliseconds of work.
const LOOK_EVERY: u32 = 4;

/// One sample of an instant vector.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) labels: Rc<Labels>,
    pub(crate) value: f64,
}

/// Until when an evaluation may go on.
#[derive(Debug)]
pub(crate) struct Deadline {
    end: Duration,
    asked: Cell<u32>,
    is_over: Cell<bool>,
}

impl Deadline {
    /// One at this time of the monotonic clock.
    pub(crate) fn at(end: Duration) -> Self {
        Self { end, asked: Cell::new(0), is_over: Cell::new(false) }
    }

    /// Whether it is past. Looks at the clock the first time and then now and then.
    pub(crate) fn is_over(&self) -> bool {
        let asked = self.asked.get();
        self.asked.set(asked.wrapping_add(1));
        if asked.is_multiple_of(LOOK_EVERY) {
            self.is_over.set(clock::monotonic() >= self.end);
        }
        self.is_over.get()
    }
}

/// The engine's options.
pub(crate) fn options<'a>(config: &Config, is_over: &'a dyn Fn() -> bool) -> Options<'a> {
    Options {
        lookback_ms: milliseconds(config.lookback),
        // As in Prometheus, where it is the evaluation interval.
        subquery_step_ms: milliseconds(config.interval),
        max_samples: config.max_samples as usize,
        is_over,
    }
}

/// Evaluates an expression at a time in milliseconds, as rules and templates do: an instant vector, or a
/// scalar as one sample without labels.
pub(crate) fn vector(
    query: &Query,
    time: i64,
    store: &mut dyn Storage,
    config: &Config,
    deadline: &Deadline,
) -> Result<Vec<Sample>, EvalError> {
    let is_over = || deadline.is_over();
    let answer: Answer = query.instant(time, store, &options(config, &is_over))?;
    match answer.value {
        Value::Vector(samples) => Ok(samples
            .into_iter()
            .map(|sample| Sample { labels: sample.labels, value: sample.value })
            .collect()),
        Value::Scalar { value, .. } => Ok(vec![Sample { labels: Rc::default(), value }]),
        Value::Text { .. } | Value::Matrix(_) => {
            Err(EvalError::Failed("rule result is not a vector or scalar".to_owned()))
        }
    }
}
