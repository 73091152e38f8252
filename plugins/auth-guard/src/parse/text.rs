//! Small pieces that several message parsers share.

use super::Origin;

/// The number a text begins with, and what follows it. None when there is no digit or it is too large.
pub(super) fn leading_number(text: &str) -> Option<(u32, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest))
}

/// The last `separator` splits a text; names from outside come before it and may hold it as well.
pub(super) fn split_last<'a>(text: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    text.rsplit_once(separator)
}

/// Splits `USER from ADDRESS port PORT…` at the last ` from `. The port may be missing.
pub(super) fn user_from(text: &str) -> Option<(&str, Origin<'_>, Option<u16>)> {
    let (user, rest) = match text.strip_prefix("from ") {
        // An empty user name leaves `for  from …`, of which the first blank is already gone.
        Some(rest) if !rest.contains(" from ") => ("", rest),
        _ => split_last(text, " from ")?,
    };
    let (address, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let port = rest.strip_prefix("port ").and_then(port);
    Some((user, Origin::parse(address)?, port))
}

/// The port a text begins with.
pub(super) fn port(text: &str) -> Option<u16> {
    leading_number(text).and_then(|(number, _)| u16::try_from(number).ok())
}

/// The value of `key=` in a list of fields separated by blanks; empty when it has none. `rhost= user=x`.
pub(super) fn field<'a>(fields: &'a str, key: &str) -> Option<&'a str> {
    let mut rest = fields;
    loop {
        let at = rest.find(key)?;
        let starts = at == 0 || rest.as_bytes()[at - 1] == b' ';
        let value = &rest[at + key.len()..];
        if starts && let Some(value) = value.strip_prefix('=') {
            return Some(value.split(' ').next().unwrap_or_default());
        }
        rest = value;
    }
}

/// What stands between the first `'` and the next one.
pub(super) fn quoted(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('\'')?.split_once('\'')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn check(text: &str, expected: Option<(&str, &str, Option<u16>)>) {
        let found = user_from(text);
        let wanted = expected.map(|(user, address, port)| (user, Origin::parse(address).unwrap(), port));
        assert_eq!(found, wanted, "{text}");
    }

    #[test]
    fn a_user_name_cannot_forge_the_address() {
        check("root from 192.0.2.1 port 22 ssh2", Some(("root", "192.0.2.1", Some(22))));
        check(
            "x from 10.0.0.1 port 1 from 192.0.2.1 port 22 ssh2",
            Some(("x from 10.0.0.1 port 1", "192.0.2.1", Some(22))),
        );
        check("from 192.0.2.1 port 22", Some(("", "192.0.2.1", Some(22))));
        check("root from 2001:db8::7", Some(("root", "2001:db8::7", None)));
        check("root from 192.0.2.1 port 99999", Some(("root", "192.0.2.1", None)));
        check("root", None);
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let fields = "logname= uid=0 euid=0 tty=ssh ruser=bob rhost=192.0.2.1  user=root";
        assert_eq!(field(fields, "user"), Some("root"));
        assert_eq!(field(fields, "ruser"), Some("bob"));
        assert_eq!(field(fields, "logname"), Some(""));
        assert_eq!(field(fields, "host"), None);
    }
}
