//! What came back from a receiver, or why nothing did.

use std::time::{Duration, SystemTime};

use hyper::HeaderMap;
use hyper::header::{DATE, HeaderName, RETRY_AFTER};

/// A receiver's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// For how long the receiver wants to be left alone: `Retry-After`, in seconds or as a date, at most
    /// [`MAX_RETRY_AFTER`]; zero when the date is past.
    pub retry_after: Option<Duration>,
    /// The type of the body, without parameters and in small letters; empty when there is none.
    pub content_type: String,
    /// The body's first bytes, at most [`MAX_ANSWER`].
    pub body: Vec<u8>,
}

/// Of a longer answer the rest is not read, and the connection is closed.
pub const MAX_ANSWER: usize = 64 << 10;

/// A receiver that asks for longer is asked again after this time all the same, so that a slip of its clock or of
/// its configuration does not silence a forwarder for days.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// What is shown of an answer: the reason stands at its beginning.
const MAX_SAID: usize = 300;

/// What servers answer, with 400, to a request without TLS where they expect it: Go's `net/http`, nginx, Apache.
const WANTS_TLS: [&str; 3] = [
    "client sent an http request to an https server",
    "plain http request was sent to https port",
    "speaking plain http to an ssl-enabled server port",
];

/// What an answer's status means for what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It was accepted.
    Accepted,
    /// The receiver is busy or out of order: the same again, later.
    Later {
        /// For how long it wants to be left alone.
        after: Option<Duration>,
    },
    /// The receiver cannot be used as configured; what was sent is not at fault.
    Unusable,
    /// The receiver will never accept what was sent.
    Refused,
}

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
    /// Nothing was sent: a certificate, a password or a token cannot be read, or a header cannot be sent.
    #[error("nothing was sent: {cause}")]
    NotSent {
        /// What is wrong, and what to do.
        cause: String,
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

    /// What the status means by default; a protocol that says otherwise overrules it.
    ///
    /// 2xx is accepted. 408, 425, 429 and 5xx pass by themselves. 401, 403, 404, 405, 407 and 3xx blame the
    /// configuration (a password, a path, a proxy), or whoever is renewing it at this moment: setting the batch
    /// aside for it would empty the queue. So does the 400 of a server that wants TLS. All other 4xx blame what was
    /// sent.
    pub fn judge(&self) -> Judgement {
        match self.status {
            200..300 => Judgement::Accepted,
            408 | 425 | 429 | 500..600 => Judgement::Later { after: self.retry_after },
            401 | 403..=405 | 407 => Judgement::Unusable,
            400 if self.wants_tls() => Judgement::Unusable,
            400..500 => Judgement::Refused,
            _ => Judgement::Unusable,
        }
    }

    /// Whether it is what a server says to a request without TLS where it expects it.
    pub fn wants_tls(&self) -> bool {
        let said = String::from_utf8_lossy(&self.body).to_ascii_lowercase();
        WANTS_TLS.iter().any(|text| said.contains(text))
    }

    /// Status and what the receiver said, in one line of at most 300 characters of it, those that cannot be printed
    /// escaped: for messages.
    pub fn said(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        let mut shown = String::new();
        for letter in line.chars().take(MAX_SAID) {
            match letter {
                '"' | '\'' | '\\' => shown.push(letter),
                _ => shown.extend(letter.escape_debug()),
            }
        }
        match shown.is_empty() {
            true => format!("HTTP {}", self.status),
            false => format!("HTTP {}: {shown}", self.status),
        }
    }
}

/// What `Retry-After` asks for (RFC 9110, section 10.2.3): seconds, or a date. The date is held against the
/// receiver's own clock, which stands in `Date`, and else against the time given. At most [`MAX_RETRY_AFTER`].
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let asked = text(RETRY_AFTER)?;
    if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        // Only a number that is too large cannot be read.
        let seconds = asked.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
    }
    let until = httpdate::parse_http_date(asked).ok()?;
    let now = text(DATE).and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
    Some(until.duration_since(now).unwrap_or_default().min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn asked(headers: &[(HeaderName, &str)]) -> Option<Duration> {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        retry_after(&headers, httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap())
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_in_any_of_its_three_notations() {
        for (text, seconds) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("3601", Some(3600)),
            ("99999999999999999999999", Some(3600)),
            ("Sun, 06 Nov 1994 08:50:00 GMT", Some(23)),
            ("Sunday, 06-Nov-94 08:50:00 GMT", Some(23)),
            ("Sun Nov  6 08:50:00 1994", Some(23)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Mon, 07 Nov 1994 08:00:00 GMT", Some(3600)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(asked(&[(RETRY_AFTER, text)]), seconds.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(asked(&[]), None);
    }

    #[test]
    fn a_date_counts_from_the_receivers_own_clock() {
        let headers =
            [(DATE, "Sun, 06 Nov 1994 09:00:00 GMT"), (RETRY_AFTER, "Sun, 06 Nov 1994 09:00:05 GMT")];
        assert_eq!(asked(&headers), Some(Duration::from_secs(5)));
    }

    #[test]
    fn each_status_blames_someone() {
        let judged = |status| {
            let retry_after = Some(Duration::from_secs(1));
            Answer { status, retry_after, content_type: String::new(), body: Vec::new() }.judge()
        };
        let later = Judgement::Later { after: Some(Duration::from_secs(1)) };
        for (statuses, judgement) in [
            (&[200, 204, 299][..], Judgement::Accepted),
            (&[408, 425, 429, 500, 502, 503, 504, 599], later),
            (&[100, 301, 302, 307, 308, 401, 403, 404, 405, 407, 600, 999], Judgement::Unusable),
            (&[400, 402, 406, 409, 413, 415, 422, 499], Judgement::Refused),
        ] {
            for status in statuses {
                assert_eq!(judged(*status), judgement, "{status}");
            }
        }
    }

    #[test]
    fn a_server_that_wants_tls_does_not_refuse_what_was_sent() {
        for body in [
            "Client sent an HTTP request to an HTTPS server.\n",
            "<center>The plain HTTP request was sent to HTTPS port</center>",
            "Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
        ] {
            let body = body.as_bytes().to_vec();
            let answer = Answer { status: 400, retry_after: None, content_type: String::new(), body };
            assert_eq!(answer.judge(), Judgement::Unusable);
        }
    }

    #[test]
    fn what_was_said_is_readable() {
        let said = |body: &str| {
            let body = body.as_bytes().to_vec();
            Answer { status: 400, retry_after: None, content_type: String::new(), body }.said()
        };
        assert_eq!(said(""), "HTTP 400");
        assert_eq!(said("\n  {\"a\": 'b\\'}\u{1b}[1m é\r\nmore"), "HTTP 400: {\"a\": 'b\\'}\\u{1b}[1m é");
    }

    proptest! {
        #[test]
        fn what_is_asked_for_is_bounded(text in "[ -~]{0,40}") {
            let asked = asked(&[(RETRY_AFTER, &text)]);
            prop_assert!(asked.is_none_or(|asked| asked <= MAX_RETRY_AFTER));
        }

        #[test]
        fn what_was_said_is_one_short_line(body in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let answer = Answer { status: 400, retry_after: None, content_type: String::new(), body };
            let said = answer.said();
            prop_assert!(!said.chars().any(char::is_control));
            prop_assert!(said.len() < 4000);
        }
    }
}
