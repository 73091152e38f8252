//! Errors in Prometheus' own form: `{"status":"error","errorType":…,"error":…}`, with its HTTP codes.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::super::problem::Problem;
use super::view::LookupError;
use crate::pipeline::query::AskError;

/// What sort of error it is: Prometheus' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Sort {
    /// A parameter or the expression is wrong.
    BadData,
    /// The expression cannot be evaluated over these series, or its answer is too large.
    Execution,
    /// It took too long.
    Timeout,
    /// Nobody can answer now.
    Unavailable,
    /// A bug of the agent.
    Internal,
}

impl Sort {
    fn status(self) -> StatusCode {
        match self {
            Self::BadData => StatusCode::BAD_REQUEST,
            Self::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Timeout | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// An error of Prometheus' API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) sort: Sort,
    pub(super) error: String,
    /// It is worth asking again in a second.
    pub(super) is_busy: bool,
}

impl Failure {
    pub(super) fn new(sort: Sort, error: impl Into<String>) -> Self {
        Self { sort, error: error.into(), is_busy: false }
    }

    /// A parameter is wrong.
    pub(super) fn parameter(name: &str, why: impl std::fmt::Display) -> Self {
        Self::new(Sort::BadData, format!("invalid parameter \"{name}\": {why}"))
    }

    pub(super) fn busy(error: impl Into<String>) -> Self {
        Self { is_busy: true, ..Self::new(Sort::Unavailable, error) }
    }
}

/// The same words as in Prometheus; clients show `error` and tell sorts apart by `errorType`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    status: &'static str,
    error_type: Sort,
    error: String,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = Body { status: "error", error_type: self.sort, error: self.error };
        let mut response = (self.sort.status(), Json(body)).into_response();
        if self.is_busy {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        match error {
            AskError::BadExpression(words) => Self::parameter("query", words),
            AskError::Failed(_) | AskError::Broken { .. } => Self::new(Sort::Execution, error.to_string()),
            AskError::Late => Self::new(Sort::Timeout, error.to_string()),
            AskError::Busy => Self::busy(error.to_string()),
            AskError::NoEngine(_) | AskError::NoInstance { .. } | AskError::Unavailable(_) => {
                Self::new(Sort::Unavailable, error.to_string())
            }
        }
    }
}

impl From<LookupError> for Failure {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::BadSelector(words) => Self::parameter("match[]", words),
            LookupError::TooMany(_) => Self::new(Sort::Execution, error.to_string()),
            LookupError::Late(_) => Self::new(Sort::Timeout, error.to_string()),
            LookupError::Unavailable(_) => Self::new(Sort::Unavailable, error.to_string()),
        }
    }
}

/// The answer could not be made on the thread it was given to.
impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::new(Sort::Internal, problem.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(failure: impl Into<Failure>, status: u16, sort: &str, says: &str) {
        let failure = failure.into();
        assert_eq!(failure.sort.status().as_u16(), status, "{failure:?}");
        assert_eq!(serde_json::json!(failure.sort), sort);
        assert!(failure.error.contains(says), "{failure:?}");
    }

    #[test]
    fn errors_have_the_words_and_codes_of_prometheus() {
        let broken = AskError::Broken { plugin: "p".into(), reason: "too much memory".into() };
        check(
            AskError::BadExpression("1:3: no".into()),
            400,
            "bad_data",
            "invalid parameter \"query\": 1:3: no",
        );
        check(AskError::Failed("two series".into()), 422, "execution", "two series");
        check(broken, 422, "execution", "plugin `p` could not evaluate it: too much memory");
        check(AskError::Late, 503, "timeout", "timed out");
        check(AskError::Busy, 503, "unavailable", "ask again");
        check(AskError::NoEngine("install one".into()), 503, "unavailable", "install one");
        check(LookupError::BadSelector("`x{`".into()), 400, "bad_data", "\"match[]\": `x{`");
    }

    #[test]
    fn who_asks_too_much_is_told_when_to_ask_again() {
        let response = Failure::from(AskError::Busy).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        let response = Failure::from(AskError::Late).into_response();
        assert!(!response.headers().contains_key(header::RETRY_AFTER));
    }
}
