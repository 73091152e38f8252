//! The body of an answer: JSON of a bounded length, made in memory.
//!
//! While it is sent it holds one of the few places for answers, so that readers who take their time cannot
//! fill the memory.

use std::convert::Infallible;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use hyper::body::{Bytes, Frame, SizeHint};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use super::failure::{Failure, Sort};

/// Bytes of an answer. A point takes some 35, so that half a million fit: a thousand points of each of five
/// hundred series.
pub(super) const MAX_BYTES: usize = 16 << 20;

/// What is written of an answer.
pub(super) struct Page {
    bytes: Vec<u8>,
    bound: usize,
}

impl Page {
    /// An empty one that takes so many bytes.
    pub(super) fn new(bound: usize) -> Self {
        Self { bytes: Vec::new(), bound }
    }

    /// What was written.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// The only error is that there is no more room.
impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.bound {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The error of a page that is full.
pub(super) fn too_large() -> Failure {
    Failure::new(
        Sort::Execution,
        format!(
            "the answer would be larger than {} MiB; ask for fewer series, a shorter range or a larger step, or \
             give a `limit`",
            MAX_BYTES >> 20
        ),
    )
}

/// What every good answer looks like around its data.
#[derive(Serialize)]
pub(super) struct Success<T> {
    status: &'static str,
    data: T,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// Told when a bound has cut an answer, in the words of Prometheus.
pub(super) const TRUNCATED: &str = "results truncated due to limit";

/// Data as JSON.
pub(super) fn success(data: impl Serialize, is_truncated: bool) -> Result<Vec<u8>, Failure> {
    let warnings = if is_truncated { vec![TRUNCATED.to_owned()] } else { Vec::new() };
    let mut page = Page::new(MAX_BYTES);
    match serde_json::to_writer(&mut page, &Success { status: "success", data, warnings }) {
        Ok(()) => Ok(page.into_bytes()),
        Err(error) if error.is_io() => Err(too_large()),
        Err(error) => Err(Failure::new(Sort::Internal, format!("the answer has no JSON: {error}"))),
    }
}

/// The response that sends it.
pub(super) fn response(bytes: Vec<u8>, place: OwnedSemaphorePermit) -> Response {
    let body = Body::new(Held { bytes: Some(bytes.into()), _place: place });
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// A body that gives its place back when it was sent or given up.
struct Held {
    bytes: Option<Bytes>,
    _place: OwnedSemaphorePermit,
}

impl hyper::body::Body for Held {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_page_ends_at_its_bound() {
        let mut page = Page::new(4);
        assert!(page.write_all(b"1234").is_ok());
        assert!(page.write_all(b"5").is_err());
        assert_eq!(page.into_bytes(), b"1234");
    }

    #[test]
    fn an_answer_that_is_too_large_says_what_to_do() {
        let failure = success("x".repeat(MAX_BYTES), false).unwrap_err();
        assert_eq!(failure.sort, Sort::Execution);
        assert!(failure.error.contains("fewer series"), "{failure:?}");
    }

    #[test]
    fn warnings_stand_beside_the_data() {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        assert_eq!(text(success(["a"], false).unwrap()), r#"{"status":"success","data":["a"]}"#);
        assert_eq!(
            text(success(["a"], true).unwrap()),
            r#"{"status":"success","data":["a"],"warnings":["results truncated due to limit"]}"#
        );
    }
}
