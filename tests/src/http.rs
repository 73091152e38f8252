//! HTTP/1.1 as a client, just enough to ask the agent's API over its Unix socket and servers over TCP.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers, one on a line.
    pub head: String,
    /// The body as text.
    pub body: String,
}

impl Response {
    /// The body as JSON; panics when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    /// A header's value, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut values = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.trim())
    }
}

/// One request; none when the agent does not answer (yet).
pub(crate) fn request(socket: &Path, method: &str, path: &str) -> Option<Response> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    exchange(&mut stream, &format!("{method} {path}"), "Host: picket\r\n", &[])
}

/// Sends a request over a new connection and reads the answer to its end; none when there is no whole one.
/// `headers` are whole lines, `Host` among them; those about the body's length are added.
pub(crate) fn exchange(
    stream: &mut (impl Read + Write),
    what: &str,
    headers: &str,
    body: &[u8],
) -> Option<Response> {
    let length = body.len();
    let head = format!("{what} HTTP/1.1\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    // A server may answer, and close, before it has read all of it.
    let _ = stream.write_all(body).and_then(|()| stream.flush());
    let mut answer = Vec::new();
    // What came before an error may be whole: servers close TLS connections in more than one way.
    let _ = stream.read_to_end(&mut answer);
    parse(&answer)
}

fn parse(answer: &[u8]) -> Option<Response> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let (head, body) = (String::from_utf8_lossy(&answer[..end]), &answer[end + 4..]);
    let (first, head) = head.split_once("\r\n").unwrap_or((&head, ""));
    let status = first.split(' ').nth(1)?.parse().ok()?;
    let mut response = Response { status, head: head.to_owned(), body: String::new() };
    let chunked =
        response.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    let length = response.header("content-length").and_then(|length| length.parse().ok());
    let body = match (chunked, length) {
        (true, _) => unchunk(body)?,
        (false, Some(length)) => body.get(..length)?.to_owned(),
        (false, None) => body.to_owned(),
    };
    response.body = String::from_utf8_lossy(&body).into_owned();
    Some(response)
}

/// The body of all chunks; none when the last one, which is empty, is missing.
fn unchunk(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|bytes| bytes == b"\r\n")?;
        let size = str::from_utf8(&body[..end]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        body = &body[end + 2..];
        whole.extend(body.get(..size)?);
        body = body.get(size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_whole_answer_is_read_in_either_form() {
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\xc3\xa9a\r\n1;x\r\nb\r\n0\r\n\r\n";
        assert_eq!(parse(chunked).unwrap().body, "\u{e9}ab");
        let plain = parse(b"HTTP/1.1 429 Slow\r\nretry-after:  7\r\nContent-Length: 2\r\n\r\nno").unwrap();
        assert_eq!((plain.status, plain.body.as_str()), (429, "no"));
        assert_eq!(plain.header("Retry-After"), Some("7"));
    }

    #[test]
    fn a_part_of_an_answer_is_none() {
        for part in [
            "",
            "HTTP/1.1 200",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ] {
            assert!(parse(part.as_bytes()).is_none(), "{part:?}");
        }
    }
}
