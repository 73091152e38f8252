//! Messages of shadow's tools that make accounts and change groups: what an intruder does to stay.

use super::text::{field, quoted};
use super::{Event, Kind, Service};

pub(super) fn parse(message: &str) -> Option<Event<'_>> {
    created(message).or_else(|| joined(message)).or_else(|| joined_by_gpasswd(message))
}

/// `new user: name=bob, UID=1002, GID=1002, home=/home/bob, shell=/bin/bash, from=none`
fn created(message: &str) -> Option<Event<'_>> {
    let fields = message.strip_prefix("new user: ")?;
    let user = field(fields, "name")?.trim_end_matches(',');
    let number = field(fields, "UID").and_then(|text| text.trim_end_matches(',').parse().ok());
    Some(Event { user, ..Event::new(Kind::AccountCreated(number), Service::Account) })
}

/// `add 'alice' to group 'sudo'`; the line about the shadow group is its echo.
fn joined(message: &str) -> Option<Event<'_>> {
    let (user, rest) = quoted(message.strip_prefix("add ")?)?;
    let (group, _) = quoted(rest.strip_prefix(" to group ")?)?;
    Some(Event { user, ..Event::new(Kind::GroupJoined(group), Service::Account) })
}

/// `user bob added by root to group operators`
fn joined_by_gpasswd(message: &str) -> Option<Event<'_>> {
    let (user, rest) = message.strip_prefix("user ")?.split_once(" added by ")?;
    let (_, group) = rest.split_once(" to group ")?;
    Some(Event { user, ..Event::new(Kind::GroupJoined(group), Service::Account) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn new_accounts_and_groups_are_read() {
        let check = |message, kind, user| {
            let event = parse(message).unwrap();
            assert_eq!((event.kind, event.user), (kind, user), "{message}");
        };
        check(
            "new user: name=toor, UID=0, GID=0, home=/root, shell=/bin/sh, from=none",
            Kind::AccountCreated(Some(0)),
            "toor",
        );
        check("add 'alice' to group 'sudo'", Kind::GroupJoined("sudo"), "alice");
        check("user bob added by root to group operators", Kind::GroupJoined("operators"), "bob");
        assert_eq!(parse("add 'alice' to shadow group 'sudo'"), None);
    }
}
