//! `POST /api/v1/findings/retract`: the body is text from outside, every part of it checked. What is taken back is
//! for the agent to find.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;

use super::dto::{RetractReport, RetractRequest};
use super::problem::{Code, Problem};
use super::query::parse_moment;
use super::routes::{Shared, blocking};
use super::view::RetractQuery;
use crate::model::{MAX_RETRACTION_REASON_BYTES, now_nanos};

pub(super) async fn retract(
    State(shared): State<Shared>,
    request: Result<Json<RetractRequest>, JsonRejection>,
) -> Result<Json<RetractReport>, Problem> {
    let Json(request) = request.map_err(|rejection| Problem::new(Code::BadQuery, rejection.body_text()))?;
    let query = request.check(now_nanos())?;
    let deadline = Instant::now() + shared.timeout;
    Ok(Json(blocking(&shared, move |view| view.retract(&query, deadline)).await??))
}

impl RetractRequest {
    /// What is asked for, or what is wrong with it. `now` is Unix time in nanoseconds.
    pub fn check(self, now: u64) -> Result<RetractQuery, Problem> {
        let bad = |name: &str, why: &str| Problem::new(Code::BadQuery, format!("`{name}` is wrong: {why}"));
        let moment = |name: &str, text: Option<String>| {
            text.map(|text| parse_moment(&text, now).map_err(|why| bad(name, &why))).transpose()
        };
        let reason = self.reason.trim();
        if self.plugin.is_empty() {
            return Err(bad("plugin", "name the plugin whose results are taken back"));
        }
        if reason.is_empty() {
            return Err(bad("reason", "say in a sentence why; those who got the results read it"));
        }
        if reason.len() > MAX_RETRACTION_REASON_BYTES {
            return Err(bad("reason", &format!("it is longer than {MAX_RETRACTION_REASON_BYTES} bytes")));
        }
        Ok(RetractQuery {
            since: moment("since", self.since)?,
            until: moment("until", self.until)?,
            reason: reason.to_owned(),
            plugin: self.plugin,
            generation: self.generation,
            rule: self.rule,
            dry_run: self.dry_run,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const NOW: u64 = 1_700_000_000_000_000_000;

    fn request() -> RetractRequest {
        RetractRequest { plugin: "p".into(), reason: " r ".into(), ..RetractRequest::default() }
    }

    #[test]
    fn a_request_names_a_plugin_and_a_reason() {
        let query = RetractRequest { since: Some("1h".into()), ..request() }.check(NOW).unwrap();
        assert_eq!((query.since, query.until), (Some(NOW - 3_600_000_000_000), None));
        assert_eq!((query.plugin.as_str(), query.reason.as_str(), query.dry_run), ("p", "r", false));
        let wrong = |request: RetractRequest| request.check(NOW).unwrap_err().detail;
        assert!(wrong(RetractRequest { plugin: String::new(), ..request() }).contains("`plugin`"));
        assert!(wrong(RetractRequest { reason: " \n".into(), ..request() }).contains("`reason`"));
        assert!(wrong(RetractRequest { reason: "x".repeat(2000), ..request() }).contains("longer than 1024"));
        assert!(wrong(RetractRequest { until: Some("x".into()), ..request() }).contains("`until`"));
    }
}
