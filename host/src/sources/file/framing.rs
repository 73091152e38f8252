//! Container framing: what stands around a record's text in a file.
//!
//! Three framings are known. *Lines*: a line is a record. *CRI*, as containerd and CRI-O write it
//! (Kubernetes' KEP "CRI logging"): `TIME STREAM TAGS TEXT`, where the first tag is `P` for a part of
//! a longer line and `F` for its last part. *Docker*'s `json-file` driver: an object a line with
//! `log`, `stream` and `time`, where `log` ends in a line end unless it is a part.
//!
//! This only takes single lines apart; parts are put together in `assemble`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// How records stand in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Framing {
    /// By the first line of each file.
    #[default]
    Auto,
    /// A line is a record.
    Lines,
    /// As containerd and CRI-O write it.
    Cri,
    /// As Docker's `json-file` driver writes it.
    Docker,
}

/// A line taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Standard output or error; parts of one record come on one channel.
    pub channel: u8,
    /// Unix time in nanoseconds, if the framing says.
    pub time: Option<u64>,
    /// Whether the record goes on in the channel's next line.
    pub goes_on: bool,
    /// The text.
    pub text: Cow<'a, [u8]>,
}

/// The number of channels: standard output and standard error.
pub const CHANNELS: usize = 2;

/// The framing of a file by its first bytes; none if they are too few to tell.
pub fn detect(head: &[u8], complete: bool) -> Option<Framing> {
    /// A time in nanoseconds with an offset and the shortest rest of a CRI line fit in this.
    const ENOUGH: usize = 64;
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.len() == head.len() && line.len() < ENOUGH && !complete {
        return None;
    }
    Some(if line.starts_with(b"{\"log\":") {
        Framing::Docker
    } else if cri(line).is_some() {
        Framing::Cri
    } else {
        Framing::Lines
    })
}

/// Takes a line, without its line end, apart. None if the line is not in this framing.
pub fn part(framing: Framing, line: &[u8]) -> Option<Part<'_>> {
    match framing {
        Framing::Cri => cri(line),
        Framing::Docker => docker(line),
        Framing::Auto | Framing::Lines => Some(plain(line)),
    }
}

/// A line as it is.
pub fn plain(line: &[u8]) -> Part<'_> {
    Part { channel: 0, time: None, goes_on: false, text: Cow::Borrowed(line) }
}

fn cri(line: &[u8]) -> Option<Part<'_>> {
    let mut fields = line.splitn(4, |byte| *byte == b' ');
    let time = timestamp(fields.next()?)?;
    let channel = match fields.next()? {
        b"stdout" => 0,
        b"stderr" => 1,
        _ => return None,
    };
    // Tags are separated by colons; the first says whether the line is complete.
    let goes_on = match fields.next()?.split(|byte| *byte == b':').next()? {
        b"P" => true,
        b"F" => false,
        _ => return None,
    };
    let text = Cow::Borrowed(fields.next().unwrap_or_default());
    Some(Part { channel, time: Some(time), goes_on, text })
}

#[derive(Deserialize)]
struct DockerLine<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    #[serde(borrow, default)]
    stream: Cow<'a, str>,
    #[serde(borrow, default)]
    time: Cow<'a, str>,
}

fn docker(line: &[u8]) -> Option<Part<'_>> {
    let parsed: DockerLine<'_> = serde_json::from_slice(line).ok()?;
    let goes_on = !parsed.log.ends_with('\n');
    let text = match parsed.log {
        Cow::Borrowed(text) => Cow::Borrowed(without_line_end(text.as_bytes())),
        Cow::Owned(text) => {
            let mut text = text.into_bytes();
            text.truncate(without_line_end(&text).len());
            Cow::Owned(text)
        }
    };
    let channel = u8::from(parsed.stream == "stderr");
    Some(Part { channel, time: timestamp(parsed.time.as_bytes()), goes_on, text })
}

/// Strips `\n` or `\r\n`.
pub fn without_line_end(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}

/// RFC 3339 with nanoseconds, to Unix time in nanoseconds; none before 1970.
fn timestamp(text: &[u8]) -> Option<u64> {
    // The shortest is `2024-01-01T00:00:00Z`.
    if text.len() < 20 || !text[0].is_ascii_digit() {
        return None;
    }
    let time: jiff::Timestamp = std::str::from_utf8(text).ok()?.parse().ok()?;
    u64::try_from(time.as_nanosecond()).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const T: u64 = 1_700_000_000_123_456_789;

    fn check(framing: Framing, line: &str, expected: Option<(u8, Option<u64>, bool, &str)>) {
        let part = part(framing, line.as_bytes());
        let part = part
            .as_ref()
            .map(|part| (part.channel, part.time, part.goes_on, std::str::from_utf8(&part.text).unwrap()));
        assert_eq!(part, expected, "{line}");
    }

    #[test]
    fn cri_lines() {
        let check = |line, expected| check(Framing::Cri, line, expected);
        check(
            "2023-11-14T22:13:20.123456789Z stdout F hello world",
            Some((0, Some(T), false, "hello world")),
        );
        check("2023-11-14T23:13:20.123456789+01:00 stderr P part", Some((1, Some(T), true, "part")));
        check("2023-11-14T22:13:20.123456789Z stdout F:tag x", Some((0, Some(T), false, "x")));
        check("2023-11-14T22:13:20.123456789Z stdout F ", Some((0, Some(T), false, "")));
        check("2023-11-14T22:13:20.123456789Z stdout F", Some((0, Some(T), false, "")));
        check("2023-11-14T22:13:20.123456789Z stdin F x", None);
        check("2023-11-14T22:13:20.123456789Z stdout X x", None);
        check("yesterday stdout F x", None);
        check("", None);
    }

    #[test]
    fn docker_lines() {
        let check = |line, expected| check(Framing::Docker, line, expected);
        check(
            r#"{"log":"a \"b\"\u00e9\n","stream":"stderr","time":"2023-11-14T22:13:20.123456789Z"}"#,
            Some((1, Some(T), false, "a \"b\"é")),
        );
        check(r#"{"log":"part","stream":"stdout","time":""}"#, Some((0, None, true, "part")));
        check(r#"{"log":"x\r\n","attrs":{"tag":"t"}}"#, Some((0, None, false, "x")));
        check(r#"{"log":"cut"#, None);
        check("text", None);
    }

    #[test]
    fn framing_is_told_by_the_first_line() {
        let check = |head: &str, complete, expected| {
            assert_eq!(detect(head.as_bytes(), complete), expected, "{head}");
        };
        check("", false, None);
        check("2023-11-14T22:13:20.1Z std", false, None);
        check("2023-11-14T22:13:20.1Z std", true, Some(Framing::Lines));
        check("2023-11-14T22:13:20.1Z stdout F x\nmore", false, Some(Framing::Cri));
        check("{\"log\":\"x\\n\"}\n", false, Some(Framing::Docker));
        check("{\"level\":\"info\"}\n", false, Some(Framing::Lines));
        check(&"x".repeat(64), false, Some(Framing::Lines));
    }
}
