//! What came back from a receiver, or why nothing did.

use std::time::Duration;

use crate::SendError;

/// A receiver's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// For how long the receiver wants to be left alone: `Retry-After`, in seconds or as a date, at most an hour.
    pub retry_after: Option<Duration>,
    /// The type of the body, without parameters and in small letters; empty when there is none.
    pub content_type: String,
    /// The body's first bytes, at most [`MAX_ANSWER`].
    pub body: Vec<u8>,
}

/// Of a longer answer the rest is not read, and the connection is closed.
pub const MAX_ANSWER: usize = 64 << 10;

/// Nothing came back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// No connection: nothing was handed over.
    #[error("cannot connect to {to}: {cause}")]
    Connect {
        /// Host and port, those of the proxy when there is one.
        to: String,
        /// The system's words.
        cause: String,
    },
    /// No agreement on TLS: nothing was handed over.
    #[error("TLS with {to} failed: {cause}")]
    Tls {
        /// Host and port.
        to: String,
        /// The library's words, and what to do.
        cause: String,
    },
    /// The proxy refused.
    #[error("the proxy {proxy} refused: {cause}")]
    Proxy {
        /// Host and port.
        proxy: String,
        /// Its words.
        cause: String,
    },
    /// Some of the request was handed over; whether it was accepted nobody knows.
    #[error("{to} broke off: {cause}")]
    Broken {
        /// Host and port.
        to: String,
        /// The system's words.
        cause: String,
    },
    /// The time for a request was over.
    #[error("{to} did not answer within {after:?}")]
    Timeout {
        /// Host and port.
        to: String,
        /// `http.timeout`.
        after: Duration,
    },
    /// The agent stops.
    #[error("the agent stops")]
    Stopped,
}

impl Answer {
    /// 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Status and what the receiver said, in one line of at most 300 characters, with control characters
    /// escaped: for messages.
    pub fn said(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        let line: String = line.chars().take(300).flat_map(char::escape_debug).collect();
        match line.is_empty() {
            true => format!("HTTP {}", self.status),
            false => format!("HTTP {}: {line}", self.status),
        }
    }
}

impl From<NoAnswer> for SendError {
    fn from(none: NoAnswer) -> Self {
        match none {
            NoAnswer::Tls { .. } => Self::unusable(none.to_string()),
            _ => Self::later(none.to_string()),
        }
    }
}
