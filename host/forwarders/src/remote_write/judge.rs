//! What an answer means. Sources: the specification of remote write 1.0, and what Prometheus 2.42 and
//! VictoriaMetrics 1.79 answer.

use std::time::Duration;

use crate::SendError;
use picket_http::{Answer, NoAnswer};

/// What an answer means for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// All of it is there.
    Accepted,
    /// Nothing of it is there, and it may be later.
    Later(SendError),
    /// Whether it is there nobody knows.
    Unsure(SendError),
    /// As `Later`, but the receiver's words sound final: Prometheus 2.42 answers 500 to a sample that is too old.
    FinalWords(SendError, String),
    /// Something in it will never be accepted.
    Refused(String),
    /// The receiver is not what it is taken for, or does not know us; unless it is about the content.
    Unusable(String),
}

/// Judges an answer, or its absence.
pub(super) fn answer(answer: Result<Answer, NoAnswer>, place: &str) -> Meaning {
    let answer = match answer {
        Ok(answer) => answer,
        Err(none @ (NoAnswer::Broken { .. } | NoAnswer::Timeout { .. } | NoAnswer::Stopped)) => {
            return Meaning::Unsure(none.into());
        }
        Err(none) => return Meaning::Later(none.into()),
    };
    let later = |after: Option<Duration>| SendError::Later {
        reason: format!("{place} answered {}", answer.said()),
        after,
    };
    match answer.status {
        200..300 => Meaning::Accepted,
        300..400 | 401 | 403 | 404 | 405 | 407 | 415 => Meaning::Unusable(answer.said()),
        429 => Meaning::Later(later(answer.retry_after)),
        400..500 => Meaning::Refused(answer.said()),
        // A gateway has sent it on and heard nothing.
        502 | 504 => Meaning::Unsure(later(answer.retry_after)),
        _ if sounds_final(&answer) => Meaning::FinalWords(later(answer.retry_after), answer.said()),
        _ => Meaning::Later(later(answer.retry_after)),
    }
}

fn sounds_final(answer: &Answer) -> bool {
    let words = answer.said().to_lowercase();
    is_about_bounds(&words) || words.contains("invalid sample")
}

/// Whether a refusal is what a receiver says to a sample that it has already, or has a newer one after.
pub(super) fn is_about_order(reason: &str) -> bool {
    let words = reason.to_lowercase();
    ["out of order", "out-of-order", "duplicate sample", "duplicate timestamp", "repeated timestamp"]
        .iter()
        .any(|said| words.contains(said))
}

/// Whether a refusal is about a sample's age. A receiver that says so has one bound for all series, and it only
/// moves forwards: what is older will be refused as well. Prometheus says "out of bounds" also of what is "too far in
/// the future".
pub(super) fn is_about_age(reason: &str) -> bool {
    let words = reason.to_lowercase();
    is_about_bounds(&words) && !words.contains("future")
}

fn is_about_bounds(words: &str) -> bool {
    ["out of bounds", "too old"].iter().any(|said| words.contains(said))
}

/// Of two failures the one that says more: what a person must put right, then the longer wait.
pub(super) fn worse(left: Option<SendError>, right: SendError) -> SendError {
    match (left, right) {
        (None, error) | (Some(error @ SendError::Unusable { .. }), _) => error,
        (Some(_), error @ SendError::Unusable { .. }) => error,
        (Some(SendError::Later { reason, after }), SendError::Later { after: other, .. }) => {
            SendError::Later { reason, after: after.max(other) }
        }
    }
}

/// What an operator can do about a receiver that cannot be used.
pub(super) fn unusable(place: &str, said: &str) -> SendError {
    let words = said.to_lowercase();
    let remedy = if words.contains("remote write receiver") {
        "start Prometheus with `--web.enable-remote-write-receiver`"
    } else if words.contains("http request to an https") {
        "write `https://` in `url`"
    } else if words.contains("unsupported path") {
        "check the path of `url`; it is usually `/api/v1/write`"
    } else {
        match said.get(5..8) {
            Some("401" | "403") => "check `http.basic_auth` or the bearer token, and what they may do",
            Some("407") => "check the credentials for the proxy",
            Some("404" | "405") => "check the path of `url`; it is usually `/api/v1/write`",
            Some("415") => "it must take remote write 1.0 (`prometheus.WriteRequest`)",
            Some(status) if status.starts_with('3') => {
                "redirects are not followed: write the address that it redirects to in `url`, without a slash at the end"
            }
            _ => "check `url` and what stands before the receiver",
        }
    };
    SendError::unusable(format!("{place} cannot be used: it answered {said}; {remedy}"))
}
