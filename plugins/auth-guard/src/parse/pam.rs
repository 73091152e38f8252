//! Messages of PAM modules (`pam_unix`, `pam_sss`, `pam_faillock`, …), which any program's log may hold.
//!
//! sshd, sudo, su and login tell of their failures themselves; what PAM says of those is an echo. For
//! other programs PAM's lines are all there is.

use super::text::{field, leading_number};
use super::{Event, Kind, Method, Origin, Service};

pub(super) fn parse(message: &str) -> Option<Event<'_>> {
    more_failures(message).or_else(|| of_module(message))
}

/// `PAM 2 more authentication failures; logname= … rhost=192.0.2.1  user=root`
fn more_failures(message: &str) -> Option<Event<'_>> {
    let (count, rest) = leading_number(message.strip_prefix("PAM ")?)?;
    let fields = rest.strip_prefix(" more authentication failure")?.split_once("; ")?.1;
    Some(Event { count: count.max(1), ..failure(service_of_terminal(fields), fields) })
}

/// `pam_unix(vsftpd:auth): authentication failure; logname= …`
fn of_module(message: &str) -> Option<Event<'_>> {
    let (_, rest) = message.strip_prefix("pam_")?.split_once('(')?;
    let (place, rest) = rest.split_once("): ")?;
    let (program, stage) = place.split_once(':')?;
    let service = service_of(program);
    if let Some(fields) = rest.strip_prefix("authentication failure; ") {
        return Some(failure(service, fields));
    }
    if let Some(user) = rest.strip_prefix("Consecutive login failures for user ") {
        let user = user.split(' ').next().unwrap_or_default();
        return Some(Event { user, ..Event::new(Kind::Locked, service) });
    }
    // Only login leaves its successes to PAM; cron opens sessions all day.
    let opened = rest.strip_prefix("session opened for user ").filter(|_| service == Service::Login)?;
    let user = opened.split(['(', ' ']).next().unwrap_or_default();
    (stage == "session").then(|| Event {
        user,
        method: Method::Password,
        ..Event::new(Kind::Success, service)
    })
}

fn service_of(program: &str) -> Service {
    match program {
        "sshd" => Service::Sshd,
        "sudo" | "sudo-i" => Service::Sudo,
        "su" | "su-l" | "runuser" => Service::Su,
        "login" | "remote" => Service::Login,
        _ => Service::Pam,
    }
}

/// The summary does not name the program, but sshd calls its terminal `ssh`.
fn service_of_terminal(fields: &str) -> Service {
    match field(fields, "tty") {
        Some("ssh") => Service::Sshd,
        _ => Service::Pam,
    }
}

fn failure<'a>(service: Service, fields: &'a str) -> Event<'a> {
    let kind = if service == Service::Pam { Kind::Failure } else { Kind::Echo };
    let user = field(fields, "user").unwrap_or_default();
    Event {
        user,
        unknown_user: user.is_empty(),
        method: Method::Password,
        origin: field(fields, "rhost").and_then(Origin::parse),
        ..Event::new(kind, service)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn check(message: &str, kind: Kind<'_>, service: Service, user: &str, origin: Option<&str>, count: u32) {
        let event = parse(message).unwrap_or_else(|| panic!("no event in {message}"));
        assert_eq!((event.kind, event.service, event.user), (kind, service, user), "{message}");
        assert_eq!(
            (event.origin, event.count),
            (origin.map(|text| Origin::parse(text).unwrap()), count),
            "{message}"
        );
    }

    #[test]
    fn failures_count_only_for_programs_that_are_silent_themselves() {
        let fields = "logname= uid=0 euid=0 tty=ftp ruser=x rhost=192.0.2.1  user=bob";
        check(
            &format!("pam_unix(vsftpd:auth): authentication failure; {fields}"),
            Kind::Failure,
            Service::Pam,
            "bob",
            Some("192.0.2.1"),
            1,
        );
        check(
            &format!("pam_unix(sshd:auth): authentication failure; {fields}"),
            Kind::Echo,
            Service::Sshd,
            "bob",
            Some("192.0.2.1"),
            1,
        );
        check(
            "PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=root",
            Kind::Echo,
            Service::Sshd,
            "root",
            Some("192.0.2.1"),
            2,
        );
        check(
            "PAM 2 more authentication failures; logname= uid=0 euid=0 tty=dovecot ruser= rhost=192.0.2.1",
            Kind::Failure,
            Service::Pam,
            "",
            Some("192.0.2.1"),
            2,
        );
    }

    #[test]
    fn locks_and_console_sessions_are_read() {
        check(
            "pam_faillock(sshd:auth): Consecutive login failures for user bob account temporarily locked",
            Kind::Locked,
            Service::Sshd,
            "bob",
            None,
            1,
        );
        check(
            "pam_unix(login:session): session opened for user carol(uid=1003) by (uid=0)",
            Kind::Success,
            Service::Login,
            "carol",
            None,
            1,
        );
        assert_eq!(parse("pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)"), None);
        assert_eq!(parse("pam_unix(sshd:auth): check pass; user unknown"), None);
    }
}
