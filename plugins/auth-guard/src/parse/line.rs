//! The framing of a line: RFC 3164 with and without priority and host, ISO 8601 times in its place,
//! RFC 5424, and none at all (`sshd -E`).
//!
//! ```text
//! <86>Nov 20 16:26:35 web-1 sshd[1989]: message
//! 2026-11-20T16:26:35.048654+00:00 web-1 sshd[1989]: message
//! <86>1 2026-11-20T16:26:35.048654+00:00 web-1 sshd 1989 - [data] message
//! ```

use super::time::{iso8601, rfc3164};

/// A line without its framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// When the line was written, in nanoseconds; the record's own time where the line tells none.
    pub time: u64,
    /// The program's name without path and process number; empty when the line has no framing.
    pub program: &'a str,
    /// The program's process number, if the line tells it.
    pub pid: Option<u32>,
    /// The message.
    pub message: &'a str,
}

/// Takes the framing off. `record_time` is in nanoseconds; `offset` says how many seconds east of UTC
/// those times lie that do not tell it. None for an empty line.
pub fn parse_line(text: &str, record_time: u64, offset: i64) -> Option<Line<'_>> {
    let text = text.trim_end();
    if text.is_empty() {
        return None;
    }
    let body = skip_priority(text);
    if let Some(line) = body.strip_prefix("1 ").and_then(|rest| rfc5424(rest, record_time, offset)) {
        return Some(line);
    }
    let time = rfc3164(body.as_bytes(), record_time, offset).or_else(|| iso8601(body.as_bytes(), offset));
    let Some((time, length)) = time else {
        return Some(tagged(body, record_time).unwrap_or(Line {
            time: record_time,
            program: "",
            pid: None,
            message: body,
        }));
    };
    let rest = body.get(length..)?.trim_start();
    // The host may be missing; a tag ends in a colon or holds a bracket, a host does neither.
    let after_host = rest.split_once(' ').and_then(|(_, rest)| tagged(rest, time));
    tagged(rest, time).or(after_host).or(Some(Line { time, program: "", pid: None, message: rest }))
}

/// `<86>` at the start.
fn skip_priority(text: &str) -> &str {
    let priority = text.strip_prefix('<').and_then(|rest| rest.split_once('>'));
    match priority {
        Some((number, rest)) if number.len() <= 3 && number.bytes().all(|b| b.is_ascii_digit()) => rest,
        _ => text,
    }
}

/// `TIME HOST PROGRAM PID MSGID DATA MESSAGE`
fn rfc5424(text: &str, record_time: u64, offset: i64) -> Option<Line<'_>> {
    let mut fields = text.splitn(6, ' ');
    let time = match fields.next()? {
        "-" => record_time,
        time => iso8601(time.as_bytes(), offset)?.0,
    };
    let (_host, program, pid, _id) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let message = skip_structured_data(fields.next()?)?;
    let message = message.strip_prefix('\u{feff}').unwrap_or(message);
    Some(Line { time, program: base_name(program), pid: pid.parse().ok(), message: message.trim_start() })
}

/// `-` or `[id name="value"…]…`, in whose values a backslash escapes.
fn skip_structured_data(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix('-') {
        return Some(rest);
    }
    let mut rest = text;
    while rest.starts_with('[') {
        let mut quoted = false;
        let mut escaped = false;
        let end = rest.bytes().position(|b| {
            let ends = b == b']' && !quoted;
            quoted ^= b == b'"' && !escaped;
            escaped = b == b'\\' && !escaped;
            ends
        })?;
        rest = &rest[end + 1..];
    }
    (rest.len() < text.len()).then_some(rest)
}

/// `PROGRAM[PID]: MESSAGE` or `PROGRAM: MESSAGE`. A program's name holds no blank and, so that a message
/// is not taken for one, no more than 48 bytes.
fn tagged(text: &str, time: u64) -> Option<Line<'_>> {
    let head = &text.as_bytes()[..text.len().min(64)];
    let colon = memchr::memmem::find(head, b": ").or_else(|| head.strip_suffix(b":").map(<[u8]>::len))?;
    let (tag, message) = (text.get(..colon)?, text.get(colon + 1..)?);
    let (name, pid) = match tag.split_once('[') {
        Some((name, rest)) => (name, Some(rest.strip_suffix(']')?.parse().ok()?)),
        None => (tag, None),
    };
    let plausible = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b'@');
    if name.is_empty() || name.len() > 48 || !name.bytes().all(plausible) {
        return None;
    }
    // `error:` is how sshd begins some messages; no program has that name.
    if pid.is_none() && matches!(name, "error" | "fatal" | "PAM" | "warning") {
        return None;
    }
    Some(Line { time, program: base_name(name), pid, message: message.strip_prefix(' ').unwrap_or(message) })
}

fn base_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const NOW: u64 = 1_795_191_995_000_000_000;

    fn check(text: &str, program: &str, pid: Option<u32>, message: &str, time: u64) {
        let line = parse_line(text, NOW + 7, 0).unwrap();
        assert_eq!(line, Line { time, program, pid, message }, "{text}");
    }

    #[test]
    fn each_framing_is_taken_off() {
        check("Nov 20 16:26:35 web-1 sshd[19]: hello: you", "sshd", Some(19), "hello: you", NOW);
        check("<86>Nov 20 16:26:35 web-1 sudo:    alice : x", "sudo", None, "   alice : x", NOW);
        check("Nov 20 16:26:35 sshd[19]: no host", "sshd", Some(19), "no host", NOW);
        check("2026-11-20T16:26:35+00:00 web-1 /usr/sbin/sshd[19]: x", "sshd", Some(19), "x", NOW);
        check("<86>1 2026-11-20T16:26:35Z web-1 sshd 19 - -  x y", "sshd", Some(19), "x y", NOW);
        check("<86>1 - - su - - [a b=\"]\\\"\"][c] x", "su", None, "x", NOW + 7);
        check("sshd[19]: from a pipe", "sshd", Some(19), "from a pipe", NOW + 7);
    }

    #[test]
    fn a_line_without_framing_is_all_message() {
        check(
            "Failed password for root from ::1 port 2 ssh2",
            "",
            None,
            "Failed password for root from ::1 port 2 ssh2",
            NOW + 7,
        );
        check(
            "error: maximum authentication attempts",
            "",
            None,
            "error: maximum authentication attempts",
            NOW + 7,
        );
        check(
            "PAM: Authentication failure for x from ::1",
            "",
            None,
            "PAM: Authentication failure for x from ::1",
            NOW + 7,
        );
        assert_eq!(parse_line("  ", 0, 0), None);
    }
}
