//! What an answer means for what was sent: the rules of OTLP/HTTP (opentelemetry-proto, `docs/specification.md`).

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message;

use super::encode::Signal;
use crate::Unnamed;
use picket_http::Answer;

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Accepted. What was refused of it, when something was; and what the receiver wants its operator to know.
    Accepted {
        /// How many, and why.
        refused: Option<Unnamed>,
        /// A warning.
        warning: Option<String>,
    },
    /// The request is larger than the receiver takes.
    TooLarge(String),
    /// To be sent again.
    Later {
        /// What was said.
        said: String,
        /// For how long the receiver wants to be left alone.
        after: Option<Duration>,
    },
    /// Final. The receiver, as it is configured or as it is now, takes nothing, or it does not take this request: its
    /// answer to an empty one tells which.
    Doubtful(String),
}

/// What the receiver's answer to a request means.
pub(super) fn meaning(signal: Signal, answer: &Answer) -> Meaning {
    let said = said(answer);
    match answer.status {
        200..=299 => accepted(signal, answer),
        429 | 502 | 503 | 504 => Meaning::Later { said, after: answer.retry_after },
        413 => Meaning::TooLarge(said),
        // A 400 may come from a server that wants TLS, a 500 from one that is full, any of them from a gateway.
        _ => Meaning::Doubtful(said),
    }
}

/// Of a success the body tells what was left out.
fn accepted(signal: Signal, answer: &Answer) -> Meaning {
    let (rejected, message) = match partial(signal, &answer.body) {
        Ok(partial) => partial,
        Err(_) if is_foreign(&answer.content_type) => {
            // Its type is not said: it may be what the request held.
            let status = answer.status;
            return Meaning::Doubtful(format!("HTTP {status} with a page that is no answer of OTLP"));
        }
        Err(_) if answer.content_type != PROTOBUF => (0, String::new()),
        Err(error) => (0, format!("its answer is no {PROTOBUF}: {error}")),
    };
    let message = one_line(&message);
    match usize::try_from(rejected) {
        Ok(count) if count > 0 => {
            let reason = if message.is_empty() { "no reason was given".to_owned() } else { message };
            Meaning::Accepted { refused: Some(Unnamed { count, reason }), warning: None }
        }
        _ => Meaning::Accepted { refused: None, warning: (!message.is_empty()).then_some(message) },
    }
}

/// Whether no receiver of OTLP answers with such a type: a captive portal says that all is well in HTML.
fn is_foreign(content_type: &str) -> bool {
    let known = ["", "application/protobuf", PROTOBUF, "application/json"];
    !known.contains(&content_type) && !content_type.ends_with("+json")
}

/// The type of requests and answers.
pub(super) const PROTOBUF: &str = "application/x-protobuf";

/// How many were refused, and what was said.
fn partial(signal: Signal, body: &[u8]) -> Result<(i64, String), prost::DecodeError> {
    Ok(match signal {
        Signal::Logs => {
            let partial = ExportLogsServiceResponse::decode(body)?.partial_success.unwrap_or_default();
            (partial.rejected_log_records, partial.error_message)
        }
        Signal::Metrics => {
            let partial = ExportMetricsServiceResponse::decode(body)?.partial_success.unwrap_or_default();
            (partial.rejected_data_points, partial.error_message)
        }
    })
}

/// The body of a refusal: `google.rpc.Status`, of which the code says no more than HTTP's does.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
}

/// Status and words of a refusal, in one line.
fn said(answer: &Answer) -> String {
    let is_protobuf = answer.content_type == PROTOBUF;
    match Status::decode(&*answer.body).map(|status| one_line(&status.message)) {
        Ok(message) if is_protobuf && !message.is_empty() => format!("HTTP {}: {message}", answer.status),
        _ if is_protobuf => format!("HTTP {}", answer.status),
        _ => answer.said(),
    }
}

/// Text of the receiver is cut at as many characters as [`Answer::said`] shows.
const MAX_WORDS: usize = 300;

/// Text from outside in one line, with control characters escaped.
fn one_line(text: &str) -> String {
    text.trim().chars().take(MAX_WORDS).flat_map(char::escape_debug).collect()
}
