//! What the parameters of a request come to, as a function of bytes: for who throws bytes at them.
//!
//! It asks nobody and knows no request; the endpoints put the same functions together with the agent behind them.

use std::time::Duration;

use picket_sandbox::QueryTime;

use super::form::Form;
use super::parameters::{Asked, instant, lookup, range};
use super::view::Lookup;

/// What the endpoints make of the same parameters, each of its own; the words of the error where they are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// `query`: when it is evaluated.
    pub instant: Result<Expression, String>,
    /// `query_range`: the same with several times.
    pub range: Result<Expression, String>,
    /// `series`, `labels` and `label/…/values`.
    pub lookup: Result<Lookup, String>,
}

/// An expression that would be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    /// As it was sent.
    pub text: String,
    /// The first time, Unix time in nanoseconds.
    pub start: u64,
    /// The last time; of an instant it is the first one.
    pub end: u64,
    /// What lies between two times; zero of an instant.
    pub step: Duration,
    /// How long it may take, when the caller says so.
    pub timeout: Option<Duration>,
}

/// Judges a query string, or a form's body, at a time: Unix time in nanoseconds.
pub fn judged(text: &[u8], now: u64) -> Judged {
    let form = Form::of(text);
    Judged {
        instant: instant(&form, now).map(Expression::of).map_err(|failure| failure.error),
        range: range(&form).map(Expression::of).map_err(|failure| failure.error),
        lookup: lookup(&form).map_err(|failure| failure.error),
    }
}

impl Expression {
    fn of(asked: Asked) -> Self {
        let (start, end, step) = match asked.time {
            QueryTime::Instant(time) => (time, time, Duration::ZERO),
            QueryTime::Range { start, end, step } => (start, end, step),
        };
        Self { text: asked.expression, start, end, step, timeout: asked.timeout }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn each_endpoint_judges_for_itself() {
        let found = judged(b"query=up&start=1&end=2&step=500ms&match[]=a&limit=3", 7_000_000);
        let now = found.instant.unwrap();
        assert_eq!(
            (now.text.as_str(), now.start, now.end, now.step),
            ("up", 7_000_000, 7_000_000, Duration::ZERO)
        );
        let range = found.range.unwrap();
        let expected = (1_000_000_000, 2_000_000_000, Duration::from_millis(500));
        assert_eq!((range.start, range.end, range.step), expected);
        assert_eq!((found.lookup.unwrap().selectors, range.timeout), (vec!["a".to_owned()], None));
        let found = judged(b"time=x&start=2&end=1", 0);
        assert!(found.instant.unwrap_err().contains("\"time\""));
        assert!(found.range.is_err() && found.lookup.is_err());
    }
}
