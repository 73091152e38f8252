//! Errors as problem documents (RFC 9457): JSON with a title, a detail and a stable code.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::dto::ReloadReport;

/// What went wrong, in one word that does not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// There is nothing at this path.
    NotFound,
    /// The path does not take this method.
    MethodNotAllowed,
    /// A parameter of the query is wrong.
    BadQuery,
    /// The request's body is wrong.
    BadBody,
    /// There are as many of this kind as may be.
    Full,
    /// This listener only reads, or the caller may not use it.
    Forbidden,
    /// The agent is starting, or cannot do its work.
    Unavailable,
    /// Too much of this kind is asked at once; ask again after what `Retry-After` says.
    Busy,
    /// The answer took too long.
    Timeout,
    /// The request is larger than what is read.
    TooLarge,
    /// Something of the configuration or of a plugin was rejected.
    ReloadFailed,
    /// What was asked for cannot be read.
    Internal,
}

impl Code {
    fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadQuery | Self::BadBody | Self::ReloadFailed => StatusCode::BAD_REQUEST,
            Self::Full => StatusCode::CONFLICT,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Unavailable | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::NotFound => "There is nothing at this path",
            Self::MethodNotAllowed => "The path does not take this method",
            Self::BadQuery => "A parameter of the query is wrong",
            Self::BadBody => "The request's body is wrong",
            Self::Full => "There are as many as may be",
            Self::Forbidden => "This is not allowed here",
            Self::Unavailable => "The agent is not ready",
            Self::Busy => "Too much is asked at once",
            Self::Timeout => "The answer took too long",
            Self::TooLarge => "The request is too large",
            Self::ReloadFailed => "The reload failed",
            Self::Internal => "The answer could not be made",
        }
    }
}

/// Seconds until what was too much may be asked again: most searches take less.
const RETRY_AFTER: &str = "1";

/// An error of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The same for all problems of a code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// Which problem it is.
    pub code: Code,
    /// What happened this time, and what to do.
    pub detail: String,
    /// After a reload: what became of each plugin, and what is wrong with the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload: Option<ReloadReport>,
}

impl Problem {
    /// A problem with its particulars.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            title: code.title().to_owned(),
            status: code.status().as_u16(),
            code,
            detail: detail.into(),
            reload: None,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let is_busy = self.code == Code::Busy;
        let mut response = (self.code.status(), Json(self)).into_response();
        if is_busy {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}
