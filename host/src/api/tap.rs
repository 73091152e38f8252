//! `/api/v1/tap`: an answer without an end, a line of JSON for each thing that passes a point. What a point is and
//! what is shown there is not decided here. A reader that does not read is cut off like all others, see `patience`.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use hyper::body::{Bytes, Frame};
use serde::Deserialize;

use super::problem::{Code, Problem};
use super::routes::{Shared, blocking};
use crate::tap::{DEFAULT_LIMIT, MAX_LIMIT, Point, Tapped, Way};

/// As they stand in the address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    source: Option<String>,
    plugin: Option<String>,
    forwarder: Option<String>,
    limit: Option<String>,
}

impl Parameters {
    /// The point, and how many lines in a second.
    fn check(self) -> Result<(Point, u32), Problem> {
        let bad = |why: String| Problem::new(Code::BadQuery, why);
        let (way, name) = match (self.source, self.plugin, self.forwarder) {
            (Some(name), None, None) => (Way::Source, name),
            (None, Some(name), None) => (Way::Plugin, name),
            (None, None, Some(name)) => (Way::Forwarder, name),
            _ => return Err(bad("name one of `source`, `plugin` and `forwarder`".to_owned())),
        };
        let limit = match self.limit.as_deref().map(str::parse::<u32>) {
            None => DEFAULT_LIMIT,
            Some(Ok(limit)) if (1..=MAX_LIMIT).contains(&limit) => limit,
            Some(_) => {
                return Err(bad(format!(
                    "the parameter `limit` is wrong: write a number of lines in a second from 1 to {MAX_LIMIT}"
                )));
            }
        };
        Ok((Point { way, name }, limit))
    }
}

pub(super) async fn tap(
    State(shared): State<Shared>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(parameters) =
        parameters.map_err(|rejection| Problem::new(Code::BadQuery, rejection.body_text()))?;
    let (point, limit) = parameters.check()?;
    let tapped = blocking(&shared, move |view| view.tap(&point, limit)).await??;
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::new(Lines(tapped))).into_response())
}

/// The answer of the listener that every user of the machine can reach.
pub(super) async fn refuse() -> Problem {
    Problem::new(
        Code::Forbidden,
        "this listener shows no records; use the Unix socket, such as `picket tap` or `curl --unix-socket …/picket.sock`",
    )
}

/// A body that has a line whenever something passed.
struct Lines(Tapped);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_line(context).map(|line| line.map(|line| Ok(Frame::data(Bytes::from(line)))))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_tap_is_at_one_point_and_bounded() {
        let text = |text: &str| Some(text.to_owned());
        let (point, limit) = Parameters { plugin: text("web"), ..Default::default() }.check().unwrap();
        assert_eq!((point.way, point.name.as_str(), limit), (Way::Plugin, "web", DEFAULT_LIMIT));
        for wrong in [
            Parameters::default(),
            Parameters { source: text("a"), plugin: text("b"), ..Default::default() },
            Parameters { source: text("a"), limit: text("0"), ..Default::default() },
            Parameters { source: text("a"), limit: text("1001"), ..Default::default() },
        ] {
            assert_eq!(wrong.check().unwrap_err().code, Code::BadQuery);
        }
    }
}
