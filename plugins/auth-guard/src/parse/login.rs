//! Messages of `login`, as shadow (Debian) and util-linux (Fedora, Arch) write them. A successful login
//! of shadow's is told only by PAM's session line.

use super::text::{leading_number, quoted};
use super::{Event, Kind, Method, Origin, Service};

pub(super) fn parse(message: &str) -> Option<Event<'_>> {
    failed(message).or_else(|| succeeded(message))
}

/// `FAILED LOGIN (1) on '/dev/tty1' FOR 'alice', Authentication failure` or
/// `FAILED LOGIN 1 FROM tty1 FOR alice, Authentication failure`; `TOO MANY LOGIN TRIES (3) …`
fn failed(message: &str) -> Option<Event<'_>> {
    let (kind, rest) = match message.strip_prefix("FAILED LOGIN ") {
        Some(rest) => (Kind::Failure, rest),
        None => (Kind::AttemptsExhausted, message.strip_prefix("TOO MANY LOGIN TRIES ")?),
    };
    let (_, rest) = leading_number(rest.strip_prefix('(').unwrap_or(rest))?;
    let (place, rest) = rest.split_once(" FOR ")?;
    let user = match quoted(rest) {
        Some((user, _)) => user,
        None => rest.rsplit_once(", ").map_or(rest, |(user, _)| user),
    };
    let unknown_user = user == "UNKNOWN" || user == "(unknown)";
    Some(Event {
        user,
        unknown_user,
        method: Method::Password,
        origin: place.rsplit_once(" from ").and_then(|(_, host)| Origin::parse(host.trim_matches('\''))),
        ..Event::new(kind, Service::Login)
    })
}

/// `LOGIN ON tty1 BY alice`, `ROOT LOGIN ON tty1`, `ROOT LOGIN  on '/dev/tty1'`
fn succeeded(message: &str) -> Option<Event<'_>> {
    let success = Event { method: Method::Password, ..Event::new(Kind::Success, Service::Login) };
    if let Some(rest) = message.strip_prefix("LOGIN ON ") {
        let (_, user) = rest.split_once(" BY ")?;
        return Some(Event { user: user.split(" FROM ").next().unwrap_or(user), ..success });
    }
    message.starts_with("ROOT LOGIN ").then_some(Event { user: "root", ..success })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn check(message: &str, kind: Kind<'_>, user: &str, unknown: bool) {
        let event = parse(message).unwrap_or_else(|| panic!("no event in {message}"));
        assert_eq!((event.kind, event.user, event.unknown_user), (kind, user, unknown), "{message}");
    }

    #[test]
    fn both_dialects_are_read() {
        check(
            "FAILED LOGIN (1) on '/dev/pts/0' FOR 'alice', Authentication failure",
            Kind::Failure,
            "alice",
            false,
        );
        check(
            "FAILED LOGIN (3) on '/dev/pts/0' FOR 'UNKNOWN', Authentication failure",
            Kind::Failure,
            "UNKNOWN",
            true,
        );
        check("FAILED LOGIN 1 FROM tty1 FOR alice, Authentication failure", Kind::Failure, "alice", false);
        check("LOGIN ON tty1 BY alice", Kind::Success, "alice", false);
        check("ROOT LOGIN  on '/dev/tty1'", Kind::Success, "root", false);
        assert_eq!(parse("FAILED LOGIN (x"), None);
    }
}
