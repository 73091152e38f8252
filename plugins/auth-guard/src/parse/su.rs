//! Messages of `su` as util-linux, shadow and BSD write them.

use super::{Event, Kind, Method, Service};

pub(super) fn parse(message: &str) -> Option<Event<'_>> {
    let (kind, user, target) = util_linux(message).or_else(|| shadow(message)).or_else(|| bsd(message))?;
    Some(Event { method: Method::Password, user, target, ..Event::new(kind, Service::Su) })
}

/// `[FAILED SU ](to root) bob on pts/0`
fn util_linux(message: &str) -> Option<(Kind<'_>, &str, &str)> {
    let (kind, rest) = match message.strip_prefix("FAILED SU ") {
        Some(rest) => (Kind::Failure, rest),
        None => (Kind::Success, message),
    };
    let (target, rest) = rest.strip_prefix("(to ")?.split_once(") ")?;
    let (user, _) = rest.rsplit_once(" on ")?;
    Some((kind, user, target))
}

/// `Successful su for root by bob`, `FAILED su for root by bob`
fn shadow(message: &str) -> Option<(Kind<'_>, &str, &str)> {
    let (kind, rest) = match message.strip_prefix("FAILED su for ") {
        Some(rest) => (Kind::Failure, rest),
        None => (Kind::Success, message.strip_prefix("Successful su for ")?),
    };
    let (target, user) = rest.split_once(" by ")?;
    Some((kind, user, target))
}

/// `BAD SU bob to root on /dev/ttyp0`, `bob to root on /dev/ttyp0`
fn bsd(message: &str) -> Option<(Kind<'_>, &str, &str)> {
    let (kind, rest) = match message.strip_prefix("BAD SU ") {
        Some(rest) => (Kind::Failure, rest),
        None => (Kind::Success, message),
    };
    let (before, terminal) = rest.rsplit_once(" on ")?;
    let (user, target) = before.split_once(" to ")?;
    (terminal.starts_with('/') && !user.contains(' ')).then_some((kind, user, target))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn check(message: &str, kind: Kind<'_>, user: &str, target: &str) {
        let event = parse(message).unwrap_or_else(|| panic!("no event in {message}"));
        assert_eq!((event.kind, event.user, event.target), (kind, user, target), "{message}");
    }

    #[test]
    fn each_dialect_is_read() {
        check("FAILED SU (to root) bob on pts/0", Kind::Failure, "bob", "root");
        check("(to alice) carol on pts/0", Kind::Success, "carol", "alice");
        check("FAILED su for root by bob", Kind::Failure, "bob", "root");
        check("Successful su for root by bob", Kind::Success, "bob", "root");
        check("BAD SU bob to root on /dev/ttyp0", Kind::Failure, "bob", "root");
        assert_eq!(parse("pam_unix(su:session): session closed for user root"), None);
    }
}
