//! Messages of `sudo` (source: `lib/eventlog/eventlog.c`): the invoking user, a colon, the reason if it
//! was refused, and fields separated by ` ; `, of which `COMMAND` is the last and may hold anything.

use super::text::leading_number;
use super::{Event, Kind, Method, Service};

pub(super) fn parse(message: &str) -> Option<Event<'_>> {
    let (user, rest) = message.trim_start().split_once(" : ")?;
    let command = rest.split_once("COMMAND=").map_or("", |(_, command)| command);
    let fields = rest.len() - command.len();
    let target =
        rest[..fields].split(" ; ").find_map(|field| field.strip_prefix("USER=")).unwrap_or_default();
    let reason = rest.split(" ; ").next().unwrap_or_default();
    let base = |kind| Event { user, target, ..Event::new(kind, Service::Sudo) };

    if let Some((attempts, after)) = leading_number(reason)
        && after.starts_with(" incorrect password attempt")
    {
        return Some(Event { method: Method::Password, count: attempts.max(1), ..base(Kind::Failure) });
    }
    if reason.contains('=') {
        // No reason: the fields begin at once, so the command was run.
        return (rest.contains("COMMAND=")).then(|| base(Kind::Command(command)));
    }
    // The words are sudo's own for "not allowed"; other messages (a bad sudoers file, a missing
    // password) tell nothing about the user.
    let denied = ["NOT in sudoers", "command not allowed", "NOT authorized", "not allowed to"];
    denied.iter().any(|words| reason.contains(words)).then(|| base(Kind::Denied(reason)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn check(message: &str, kind: Kind<'_>, user: &str, target: &str, count: u32) {
        let event = parse(message).unwrap_or_else(|| panic!("no event in {message}"));
        assert_eq!(
            (event.kind, event.user, event.target, event.count),
            (kind, user, target, count),
            "{message}"
        );
    }

    #[test]
    fn commands_failures_and_denials_are_read() {
        check(
            "   alice : TTY=pts/0 ; PWD=/srv ; USER=root ; COMMAND=/usr/bin/id",
            Kind::Command("/usr/bin/id"),
            "alice",
            "root",
            1,
        );
        check(
            "bob : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
            Kind::Failure,
            "bob",
            "root",
            3,
        );
        check(
            "bob : 1 incorrect password attempt ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
            Kind::Failure,
            "bob",
            "root",
            1,
        );
        check(
            "bob : user NOT in sudoers ; PWD=/ ; USER=root ; COMMAND=/bin/bash",
            Kind::Denied("user NOT in sudoers"),
            "bob",
            "root",
            1,
        );
        check(
            "bob : command not allowed ; PWD=/ ; USER=root ; COMMAND=x ; USER=y",
            Kind::Denied("command not allowed"),
            "bob",
            "root",
            1,
        );
    }

    #[test]
    fn other_messages_are_no_event() {
        for message in [
            "",
            "alice",
            "alice : a password is required ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
            "alice : problem with defaults entries",
        ] {
            assert_eq!(parse(message), None, "{message}");
        }
    }
}
