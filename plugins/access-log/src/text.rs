//! The common log format and what servers add to it.
//!
//! ```text
//! common     client ident user [time] "request" status bytes
//! combined   … "referer" "agent"
//! with vhost host:port client ident user [time] …
//! suffix     … further values, as the configuration names them
//! ```
//!
//! Sources: Apache's mod_log_config, nginx' ngx_http_log_module. Both escape quotes within values
//! (`\"`, `\x22`), so the first quote opens the request even when a user name holds spaces, brackets
//! and what looks like another time; that is what the parser goes by.

use memchr::memchr;

use crate::config::Suffix;
use crate::request::{Request, decimal, integer, request_line, status};
use crate::time::{CLF_BYTES, LastTime};

/// The text parser.
#[derive(Debug)]
pub(crate) struct Text {
    suffix: Vec<Suffix>,
    last_time: LastTime,
}

/// From the bracket that opens the time to the quote behind it: `[`, the time, `] `.
const STAMP_BYTES: usize = CLF_BYTES + 3;

impl Text {
    pub(crate) fn new(suffix: Vec<Suffix>) -> Self {
        Self { suffix, last_time: LastTime::new() }
    }

    /// Parses a line; none when it is no access log line.
    #[inline]
    pub(crate) fn parse<'a>(&mut self, line: &'a [u8]) -> Option<Request<'a>> {
        let quote = memchr(b'"', line)?;
        let stamp = line.get(quote.checked_sub(STAMP_BYTES)?..quote)?;
        let [b'[', time @ .., b']', b' '] = stamp else { return None };
        let time = self.last_time.clf(time.try_into().ok()?);
        let client = client(&line[..quote - STAMP_BYTES])?;
        let end = closing_quote(line, quote + 1)?;
        let (method, target) = request_line(&line[quote + 1..end]);
        let [b' ', s1, s2, s3, b' ', rest @ ..] = &line[end + 1..] else { return None };
        let status = status(&[*s1, *s2, *s3])?;
        let (bytes, rest) = size(rest)?;
        let mut request = Request { client, method, target, status, bytes, time, ..Request::EMPTY };
        if !self.suffix.is_empty() {
            self.read_suffix(rest, &mut request);
        }
        Some(request)
    }

    fn read_suffix(&self, rest: &[u8], request: &mut Request<'_>) {
        let mut values = Values { rest };
        // Referer and agent of the combined format; the common format has none.
        if values.at_quote() {
            values.next();
            values.next();
        }
        for (field, value) in self.suffix.iter().zip(values) {
            match field {
                Suffix::RequestSeconds => request.seconds = decimal(value),
                Suffix::RequestMilliseconds => request.seconds = decimal(value).map(|ms| ms / 1e3),
                Suffix::RequestMicroseconds => request.seconds = decimal(value).map(|us| us / 1e6),
                Suffix::UpstreamSeconds => request.upstream = decimal(value),
                Suffix::Skip => {}
            }
        }
    }
}

/// The client in what stands before the time: the first word, or the second when the first is a
/// virtual host. `ident`, which nobody has sent for decades, tells the two apart.
#[inline]
fn client(head: &[u8]) -> Option<&[u8]> {
    let first = head.iter().position(|&byte| byte == b' ')?;
    match &head[first + 1..] {
        [b'-', b' ', ..] => {}
        rest => {
            let second = rest.iter().position(|&byte| byte == b' ')?;
            if let [b'-', b' ', ..] = rest[second + 1..] {
                return (second > 0).then(|| &rest[..second]);
            }
        }
    }
    (first > 0).then(|| &head[..first])
}

/// The response's size and what stands behind it.
#[inline]
fn size(rest: &[u8]) -> Option<(u64, &[u8])> {
    let end = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
    match &rest[..end] {
        b"-" => Some((0, &rest[end..])),
        digits => Some((integer(digits)?, &rest[end..])),
    }
}

/// The quote that ends a value: the first one behind an even number of backslashes.
#[inline]
fn closing_quote(line: &[u8], start: usize) -> Option<usize> {
    let mut from = start;
    loop {
        let quote = from + memchr(b'"', line.get(from..)?)?;
        let slashes = line[start..quote].iter().rev().take_while(|&&byte| byte == b'\\').count();
        if slashes % 2 == 0 {
            return Some(quote);
        }
        from = quote + 1;
    }
}

/// Values with spaces between them: bare, quoted, or `name=` and either. A comma at the end of a bare
/// value joins it with the next one, as in nginx' `0.010, 0.020`.
struct Values<'a> {
    rest: &'a [u8],
}

impl Values<'_> {
    fn at_quote(&mut self) -> bool {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first() == Some(&b'"')
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.trim_ascii_start();
        let name = rest.iter().take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'_').count();
        let start = if name > 0 && rest.get(name) == Some(&b'=') { name + 1 } else { 0 };
        let value = rest.get(start..).filter(|value| !value.is_empty())?;
        if value[0] == b'"' {
            let end = closing_quote(value, 1)?;
            self.rest = &value[end + 1..];
            return Some(&value[1..end]);
        }
        let mut end = 0;
        loop {
            end += value[end..].iter().position(|&byte| byte == b' ').unwrap_or(value.len() - end);
            if end == value.len() || value[..end].last() != Some(&b',') {
                break;
            }
            end += 1;
        }
        self.rest = &value[end..];
        Some(&value[..end])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;
    use crate::request::METHODS;

    fn check(line: &str, expected: (&str, &str, &str, u16, u64)) {
        let found = Text::new(Vec::new()).parse(line.as_bytes()).unwrap_or_else(|| panic!("{line}"));
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        let found_parts =
            (text(found.client), METHODS[found.method], text(found.target), found.status, found.bytes);
        assert_eq!(found_parts, expected, "{line}");
        assert_eq!(found.time.unwrap() / 86_400, 1_795_132_800 / 86_400, "{line}");
    }

    /// Written by nginx 1.22, the odd ones on requests made for it.
    #[test]
    fn nginx_lines_are_read() {
        check(
            r#"127.0.0.1 - - [20/Nov/2026:16:47:42 +0000] "GET / HTTP/1.1" 200 6 "-" "curl/7.88.1""#,
            ("127.0.0.1", "GET", "/", 200, 6),
        );
        check(
            r#"::1 - - [20/Nov/2026:16:47:42 +0000] "GET /nope?q=%22x%22 HTTP/1.1" 404 153 "-" "a \x22quoted\x22 \x5C agent""#,
            ("::1", "GET", "/nope?q=%22x%22", 404, 153),
        );
        // A user name that wants to look like the end of a line.
        check(
            r#"127.0.0.1 - x [10/Oct/2000 [20/Nov/2026:16:47:42 +0000] "GET /deny HTTP/1.1" 403 153 "-" "curl/7.88.1""#,
            ("127.0.0.1", "GET", "/deny", 403, 153),
        );
        check(
            r#"127.0.0.1 - - [20/Nov/2026:16:48:12 +0000] "\x16\x03\x01\x02\x00\x01\x00\x01\x22\x5C\x22" 400 157 "-" "-""#,
            ("127.0.0.1", "other", "", 400, 157),
        );
        check(
            r#"127.0.0.1 - - [20/Nov/2026:16:48:12 +0000] "GET" 400 157 "-" "-""#,
            ("127.0.0.1", "GET", "", 400, 157),
        );
    }

    /// Written by Apache 2.4.
    #[test]
    fn apache_lines_are_read() {
        check(
            r#"127.0.0.1 - - [20/Nov/2026:16:47:44 +0000] "HEAD /nope HTTP/1.1" 404 -"#,
            ("127.0.0.1", "HEAD", "/nope", 404, 0),
        );
        check(
            r#"127.0.0.1 - - [20/Nov/2026:16:48:12 +0000] "GET /a\"b\\c HTTP/1.0" 404 236"#,
            ("127.0.0.1", "GET", r#"/a\"b\\c"#, 404, 236),
        );
        check(
            r#"web.example:80 ::1 - - [20/Nov/2026:16:47:44 +0000] "GET /nope?q=%22x%22 HTTP/1.1" 404 397 "-" "a \"quoted\" \\ agent""#,
            ("::1", "GET", "/nope?q=%22x%22", 404, 397),
        );
        check(
            r#"127.0.0.1 - - [20/Nov/2026:16:47:44 +0000] "PROPFIND / HTTP/1.1" 405 265 "http://example.com/?a=\"b\"" "curl/7.88.1""#,
            ("127.0.0.1", "other", "/", 405, 265),
        );
    }

    fn suffix(line: &str, fields: &[Suffix], seconds: Option<f64>, upstream: Option<f64>) {
        let found = Text::new(fields.to_vec()).parse(line.as_bytes()).unwrap();
        assert_eq!((found.seconds, found.upstream), (seconds, upstream), "{line}");
    }

    #[test]
    fn what_stands_behind_the_format_is_read_by_configuration() {
        use Suffix::{RequestMicroseconds, RequestSeconds, Skip, UpstreamSeconds};
        suffix(
            r#"127.0.0.1 - - [20/Nov/2026:16:48:13 +0000] "GET /up HTTP/1.1" 200 3 "-" "curl/7.88.1" 0.500 0.250, 0.125"#,
            &[RequestSeconds, UpstreamSeconds],
            Some(0.5),
            Some(0.375),
        );
        suffix(
            r#"127.0.0.1 - - [20/Nov/2026:16:47:42 +0000] "GET / HTTP/1.1" 200 6 "-" "a \x22" 0.000 -"#,
            &[RequestSeconds, UpstreamSeconds],
            Some(0.0),
            None,
        );
        suffix(
            r#"127.0.0.1 - - [20/Nov/2026:16:48:13 +0000] "GET /up HTTP/1.1" 200 3 "-" "curl/7.88.1" "-" rt=0.750 uct="0.000, 0.000" urt="0.500, 0.125""#,
            &[Skip, RequestSeconds, Skip, UpstreamSeconds],
            Some(0.75),
            Some(0.625),
        );
        suffix(
            r#"127.0.0.1 - - [20/Nov/2026:16:47:44 +0000] "GET / HTTP/1.1" 404 236 "-" "curl/7.88.1" 500000 0"#,
            &[RequestMicroseconds],
            Some(0.5),
            None,
        );
        // Values that are missing are no error.
        suffix(
            r#"127.0.0.1 - - [20/Nov/2026:16:47:44 +0000] "GET / HTTP/1.1" 404 236"#,
            &[RequestSeconds],
            None,
            None,
        );
    }

    #[test]
    fn what_is_no_access_log_line_is_none() {
        for line in [
            "",
            "\"",
            "2026/11/20 16:47:42 [error] 12510#12510: *7 connect() failed, request: \"GET /down HTTP/1.1\"",
            r#"127.0.0.1 - - [20/Nov/2026:16:47:42 +0000] "GET / HTTP/1.1"#,
            r#"127.0.0.1 - - [20/Nov/2026:16:47:42 +0000] "GET / HTTP/1.1" - 5"#,
            r#"127.0.0.1 - - [20/Nov/2026:16:47:42 +0000] "GET / HTTP/1.1" 200"#,
            r#"127.0.0.1 - - [20/Nov/2026:16:47:42 +0000] "GET / HTTP/1.1" 200 x"#,
            r#"[20/Nov/2026:16:47:42 +0000] "GET / HTTP/1.1" 200 5"#,
        ] {
            assert_eq!(Text::new(Vec::new()).parse(line.as_bytes()), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(bytes in prop::collection::vec(any::<u8>(), 0..120), text in r#"["\\ a-z0-9=,.\[\]-]{0,60}"#) {
            let mut parser = Text::new(vec![Suffix::RequestSeconds, Suffix::Skip, Suffix::UpstreamSeconds]);
            let _ = parser.parse(&bytes);
            let start = br#"1 - - [20/Nov/2026:16:47:42 +0000] "#;
            for middle in [&b""[..], b"\"GET / HTTP/1.1\" 200 1 "] {
                let line = [start, middle, text.as_bytes()].concat();
                let _ = parser.parse(&line);
            }
        }

        /// Whatever a client sends, escaped as the servers do, the status is found.
        #[test]
        fn no_request_hides_its_status(request in "\\PC{0,30}", user in "[a-z \\[\\]:/-]{1,20}", status in 100_u16..600) {
            let escaped = request.replace('\\', "\\\\").replace('"', "\\\"");
            let line = format!(r#"192.0.2.1 - {user} [20/Nov/2026:16:47:42 +0000] "{escaped}" {status} 12 "-" "-""#);
            let mut parser = Text::new(Vec::new());
            let found = parser.parse(line.as_bytes()).unwrap();
            prop_assert_eq!(found.status, status);
            prop_assert_eq!(found.client, b"192.0.2.1");
        }
    }
}
