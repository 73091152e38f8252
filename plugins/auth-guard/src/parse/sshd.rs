//! Messages of OpenSSH's `sshd`, versions 6 to 10 (sources: `auth.c`, `auth-pam.c`, `packet.c`).
//!
//! One failed attempt may be told by several lines: `Invalid user`, PAM's own line, `Failed …`, and the
//! end of the connection. Which of them appear depends on the method and on `LogLevel`; the event's
//! kind says which of them count, and `detect` joins those of one connection. A client chooses the user
//! name, so everything is read from the right.

use super::text::{leading_number, port, split_last, user_from};
use super::{Event, Kind, Method, Origin, Service};

pub(super) fn parse(message: &str) -> Option<Event<'_>> {
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let message = message.strip_suffix(" [preauth]").unwrap_or(message);
    // Ordered by how often a busy server writes them.
    failed(message)
        .or_else(|| invalid_user(message))
        .or_else(|| ended_early(message))
        .or_else(|| accepted(message))
        .or_else(|| by_pam(message))
        .or_else(|| exhausted(message))
        .or_else(|| refused(message))
        .or_else(|| probe(message))
}

fn event<'a>(kind: Kind<'a>, user: &'a str, origin: Origin<'a>, port: Option<u16>) -> Event<'a> {
    Event { user, origin: Some(origin), port, ..Event::new(kind, Service::Sshd) }
}

/// `Failed password for [invalid user ]NAME from ADDRESS port PORT ssh2[: KEY]`
fn failed(message: &str) -> Option<Event<'_>> {
    let (method, rest) = message.strip_prefix("Failed ")?.split_once(" for ")?;
    let (unknown_user, rest) = strip_unknown(rest);
    let (user, origin, port) = user_from(rest)?;
    let (kind, method) = match method {
        // With PAM each wrong answer has a line `PAM: … for NAME` of its own, at every log level.
        "keyboard-interactive/pam" => (Kind::Echo, Method::KeyboardInteractive),
        // A client asks with `none` which methods there are; that is no attempt, but some servers let
        // it in: a failure costs nothing.
        "none" => (Kind::Echo, Method::Unknown),
        method => (Kind::Failure, method_of(method)),
    };
    Some(Event { method, unknown_user, ..event(kind, user, origin, port) })
}

fn method_of(name: &str) -> Method {
    match name.split('/').next().unwrap_or_default() {
        "password" => Method::Password,
        "publickey" => Method::PublicKey,
        "keyboard-interactive" => Method::KeyboardInteractive,
        "hostbased" => Method::HostBased,
        "gssapi-with-mic" | "gssapi-keyex" => Method::Gssapi,
        _ => Method::Unknown,
    }
}

fn strip_unknown(rest: &str) -> (bool, &str) {
    let known = ["invalid user ", "illegal user "].iter().find_map(|prefix| rest.strip_prefix(prefix));
    known.map_or((false, rest), |rest| (true, rest))
}

/// `Invalid user NAME from ADDRESS[ port PORT]`
fn invalid_user(message: &str) -> Option<Event<'_>> {
    let rest = message.strip_prefix("Invalid user ").or_else(|| message.strip_prefix("Illegal user "))?;
    let (user, origin, port) = user_from(rest)?;
    Some(Event { unknown_user: true, ..event(Kind::ConnectionFailure, user, origin, port) })
}

/// `Connection closed by authenticating user NAME ADDRESS port PORT`; likewise `reset by`,
/// `Disconnected from`, `Disconnecting`, each with `authenticating` or `invalid`.
fn ended_early(message: &str) -> Option<Event<'_>> {
    let verbs = ["Connection closed by ", "Connection reset by ", "Disconnected from ", "Disconnecting "];
    let rest = verbs.iter().find_map(|verb| message.strip_prefix(verb))?;
    let (unknown_user, rest) = match rest.strip_prefix("authenticating user ") {
        Some(rest) => (false, rest),
        None => (true, rest.strip_prefix("invalid user ")?),
    };
    let (before, after) = split_last(rest, " port ")?;
    let (user, address) = split_last(before, " ").unwrap_or(("", before));
    let origin = Origin::parse(address)?;
    Some(Event { unknown_user, ..event(Kind::ConnectionFailure, user, origin, port(after)) })
}

/// `Accepted publickey for NAME from ADDRESS port PORT ssh2[: KEY]`
fn accepted(message: &str) -> Option<Event<'_>> {
    let (method, rest) = message.strip_prefix("Accepted ")?.split_once(" for ")?;
    let (user, origin, port) = user_from(rest)?;
    Some(Event { method: method_of(method), ..event(Kind::Success, user, origin, port) })
}

/// `PAM: Authentication failure for [illegal user ]NAME from ADDRESS`, of keyboard-interactive.
fn by_pam(message: &str) -> Option<Event<'_>> {
    let (reason, rest) = message.strip_prefix("PAM: ")?.split_once(" for ")?;
    let (unknown_user, rest) = strip_unknown(rest);
    let (user, origin, port) = user_from(rest)?;
    let kind = match reason {
        "Authentication failure" | "Authentication error" | "authentication error" => Kind::Failure,
        "User not known to the underlying authentication module" => Kind::Failure,
        "Maximum number of tries exceeded" | "Have exhausted maximum number of retries for service" => {
            Kind::Echo
        }
        "User account has expired" | "Permission denied" => Kind::Refused,
        _ => return None,
    };
    Some(Event { method: Method::KeyboardInteractive, unknown_user, ..event(kind, user, origin, port) })
}

/// `maximum authentication attempts exceeded for [invalid user ]NAME from ADDRESS port PORT ssh2`
fn exhausted(message: &str) -> Option<Event<'_>> {
    let rest = message.strip_prefix("maximum authentication attempts exceeded for ")?;
    let (unknown_user, rest) = strip_unknown(rest);
    let (user, origin, port) = user_from(rest)?;
    Some(Event { unknown_user, ..event(Kind::AttemptsExhausted, user, origin, port) })
}

/// `User NAME from ADDRESS not allowed because …`, `ROOT LOGIN REFUSED FROM ADDRESS port PORT`
fn refused(message: &str) -> Option<Event<'_>> {
    if let Some(rest) = message.strip_prefix("ROOT LOGIN REFUSED FROM ") {
        let (address, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let port = rest.strip_prefix("port ").and_then(port);
        return Some(event(Kind::Refused, "root", Origin::parse(address)?, port));
    }
    let (before, _) = split_last(message.strip_prefix("User ")?, " not allowed because ")?;
    let (user, origin, port) = user_from(before)?;
    Some(event(Kind::Refused, user, origin, port))
}

/// Clients that speak another protocol, or none.
fn probe(message: &str) -> Option<Event<'_>> {
    let address = if let Some(rest) = message.strip_prefix("banner exchange: Connection from ") {
        rest
    } else if let Some(rest) = message.strip_prefix("Unable to negotiate with ") {
        rest
    } else if let Some(rest) = message.strip_prefix("Did not receive identification string from ") {
        rest
    } else if message.starts_with("Bad protocol version identification ") {
        split_last(message, " from ")?.1
    } else {
        return None;
    };
    let (address, rest) = address.split_once(' ').unwrap_or((address, ""));
    let number =
        rest.strip_prefix("port ").and_then(leading_number).and_then(|(port, _)| port.try_into().ok());
    Some(event(Kind::Probe, "", Origin::parse(address)?, number))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn check(
        message: &str,
        kind: Kind<'_>,
        method: Method,
        user: &str,
        unknown: bool,
        at: (&str, Option<u16>),
    ) {
        let event = parse(message).unwrap_or_else(|| panic!("no event in {message}"));
        assert_eq!(
            (event.kind, event.method, event.user, event.unknown_user),
            (kind, method, user, unknown),
            "{message}"
        );
        assert_eq!((event.origin, event.port), (Some(Origin::parse(at.0).unwrap()), at.1), "{message}");
    }

    #[test]
    fn failures_and_successes_are_read() {
        use {Kind::*, Method::*};
        let at = ("192.0.2.1", Some(22));
        check("Failed password for root from 192.0.2.1 port 22 ssh2", Failure, Password, "root", false, at);
        check(
            "Failed password for invalid user a b from 192.0.2.1 port 22 ssh2",
            Failure,
            Password,
            "a b",
            true,
            at,
        );
        check(
            "Failed password for invalid user  from 192.0.2.1 port 22 ssh2",
            Failure,
            Password,
            "",
            true,
            at,
        );
        check(
            "Failed publickey for al from 192.0.2.1 port 22 ssh2: RSA SHA256:abc",
            Failure,
            PublicKey,
            "al",
            false,
            at,
        );
        check(
            "Failed keyboard-interactive/pam for al from 192.0.2.1 port 22 ssh2",
            Echo,
            KeyboardInteractive,
            "al",
            false,
            at,
        );
        check(
            "Accepted keyboard-interactive/pam for al from 192.0.2.1 port 22 ssh2",
            Success,
            KeyboardInteractive,
            "al",
            false,
            at,
        );
        check(
            "Accepted publickey for al from 2001:db8::7 port 22 ssh2: ED25519 SHA256:x",
            Success,
            PublicKey,
            "al",
            false,
            ("2001:db8::7", Some(22)),
        );
        check(
            "error: PAM: Authentication failure for illegal user x from 192.0.2.1",
            Failure,
            KeyboardInteractive,
            "x",
            true,
            ("192.0.2.1", None),
        );
    }

    #[test]
    fn ends_of_connections_and_refusals_are_read() {
        use {Kind::*, Method::Unknown};
        let at = ("192.0.2.1", Some(22));
        check("Invalid user admin from 192.0.2.1 port 22", ConnectionFailure, Unknown, "admin", true, at);
        check(
            "Connection closed by invalid user  192.0.2.1 port 22 [preauth]",
            ConnectionFailure,
            Unknown,
            "",
            true,
            at,
        );
        check(
            "Connection reset by authenticating user root 192.0.2.1 port 22 [preauth]",
            ConnectionFailure,
            Unknown,
            "root",
            false,
            at,
        );
        check(
            "Disconnecting authenticating user root 192.0.2.1 port 22: Too many authentication failures [preauth]",
            ConnectionFailure,
            Unknown,
            "root",
            false,
            at,
        );
        check(
            "error: maximum authentication attempts exceeded for root from 192.0.2.1 port 22 ssh2 [preauth]",
            AttemptsExhausted,
            Unknown,
            "root",
            false,
            at,
        );
        check(
            "User bob from 192.0.2.1 not allowed because not listed in AllowUsers",
            Refused,
            Unknown,
            "bob",
            false,
            ("192.0.2.1", None),
        );
        check("ROOT LOGIN REFUSED FROM 192.0.2.1 port 22", Refused, Unknown, "root", false, at);
        check(
            "banner exchange: Connection from 192.0.2.1 port 22: invalid format",
            Probe,
            Unknown,
            "",
            false,
            at,
        );
        check("Did not receive identification string from 192.0.2.1 port 22", Probe, Unknown, "", false, at);
    }

    #[test]
    fn what_sshd_says_of_other_things_is_no_event() {
        for message in [
            "Server listening on 0.0.0.0 port 22.",
            "Connection closed by 192.0.2.1 port 22",
            "Received disconnect from 192.0.2.1 port 22:11: disconnected by user",
            "Disconnected from user bob 192.0.2.1 port 22",
            "Postponed keyboard-interactive for root from 192.0.2.1 port 22 ssh2 [preauth]",
            "Accepted key ED25519 SHA256:x found at /home/alice/.ssh/authorized_keys:1",
        ] {
            assert_eq!(parse(message), None, "{message}");
        }
    }
}
