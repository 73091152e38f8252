//! JSON access logs: one object on each line, read without building it.
//!
//! A scanner walks over the line once, takes the values of the keys it knows, and jumps over the
//! rest. Since a server writes the same keys in the same order on every line, it remembers what each
//! key of the line before meant: a key then costs one comparison instead of a search. What is
//! skipped is not validated; a line counts when it is an object with a status.

use memchr::memchr2;

use crate::config::{JsonKeys, Unit};
use crate::request::{Request, decimal, integer, method, request_line, status};
use crate::time;

/// The JSON parser.
#[derive(Debug)]
pub(crate) struct Json {
    nodes: Vec<Node>,
    learned: Vec<Learned>,
}

/// The keys of one object that matter, by name.
#[derive(Debug, Default)]
struct Node {
    keys: Vec<(Vec<u8>, Action)>,
}

/// What to do with a key's value.
#[derive(Debug, Clone, Copy, Default)]
struct Action {
    take: Option<Take>,
    enter: Option<usize>,
}

/// Which field a value is for; of several the lowest rank counts.
#[derive(Debug, Clone, Copy)]
struct Take {
    field: Field,
    rank: u8,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Field {
    Status,
    Method,
    Target,
    Request,
    Client,
    Bytes,
    Time,
    Duration(f64),
    Upstream(f64),
}

/// What the key at this place of the line before meant.
#[derive(Debug)]
struct Learned {
    node: usize,
    key: Vec<u8>,
    action: Action,
}

/// More keys than this in one line are looked up instead of remembered.
const LEARNED_KEYS: usize = 256;

/// The fields of the line so far, with the rank of the key each came from.
struct Found<'a> {
    request: Request<'a>,
    ranks: [u8; 9],
    line: &'a [u8],
    /// How many keys have passed.
    keys: usize,
}

impl Json {
    pub(crate) fn new(keys: &JsonKeys) -> Self {
        let mut json = Self { nodes: vec![Node::default()], learned: Vec::new() };
        let lists = [
            (Field::Status, &keys.status),
            (Field::Method, &keys.method),
            (Field::Target, &keys.target),
            (Field::Request, &keys.request),
            (Field::Client, &keys.client),
            (Field::Bytes, &keys.bytes),
            (Field::Time, &keys.time),
        ];
        for (field, names) in lists {
            for (rank, name) in names.iter().enumerate() {
                json.add(name, Take { field, rank: rank.min(254) as u8 });
            }
        }
        for (name, unit) in &keys.duration {
            json.add(name, Take { field: Field::Duration(seconds(*unit)), rank: 0 });
        }
        for (name, unit) in &keys.upstream {
            json.add(name, Take { field: Field::Upstream(seconds(*unit)), rank: 0 });
        }
        json
    }

    /// Adds a key: as a path through inner objects, and as one name with dots in it.
    fn add(&mut self, name: &str, take: Take) {
        let mut node = 0;
        let mut path = name;
        while let Some((outer, inner)) = path.split_once('.') {
            let next = self.nodes.len();
            let entered = self.action(node, outer).enter.get_or_insert(next);
            node = *entered;
            if node == next {
                self.nodes.push(Node::default());
            }
            path = inner;
        }
        self.action(node, path).take.get_or_insert(take);
        if node != 0 {
            self.action(0, name).take.get_or_insert(take);
        }
    }

    fn action(&mut self, node: usize, name: &str) -> &mut Action {
        let keys = &mut self.nodes[node].keys;
        let index = keys.iter().position(|(key, _)| key == name.as_bytes()).unwrap_or_else(|| {
            keys.push((name.as_bytes().to_vec(), Action::default()));
            keys.len() - 1
        });
        &mut keys[index].1
    }

    /// Parses a line; none when it is no object with a status.
    pub(crate) fn parse<'a>(&mut self, line: &'a [u8]) -> Option<Request<'a>> {
        let mut found = Found { request: Request::EMPTY, ranks: [u8::MAX; 9], line, keys: 0 };
        let start = skip_space(line, 0);
        if line.get(start) != Some(&b'{') {
            return None;
        }
        let end = self.object(&mut found, start + 1, 0)?;
        let complete = skip_space(line, end) == line.len();
        (complete && found.ranks[0] != u8::MAX).then_some(found.request)
    }

    /// Reads an object from behind its brace to behind its end. It goes no deeper than the
    /// configured paths do.
    fn object(&mut self, found: &mut Found<'_>, mut at: usize, node: usize) -> Option<usize> {
        let line = found.line;
        at = skip_space(line, at);
        if line.get(at) == Some(&b'}') {
            return Some(at + 1);
        }
        loop {
            if line.get(at) != Some(&b'"') {
                return None;
            }
            let key_end = string_end(line, at + 1)?;
            let action = self.meaning(found.keys, node, &line[at + 1..key_end]);
            found.keys += 1;
            at = skip_space(line, key_end + 1);
            if line.get(at) != Some(&b':') {
                return None;
            }
            at = skip_space(line, at + 1);
            at = match action {
                Action { enter: Some(inner), .. } if line.get(at) == Some(&b'{') => {
                    self.object(found, at + 1, inner)?
                }
                Action { take: Some(take), .. } => take_value(found, at, take)?,
                _ => value_end(line, at)?,
            };
            at = skip_space(line, at);
            match line.get(at)? {
                b',' => at = skip_space(line, at + 1),
                b'}' => return Some(at + 1),
                _ => return None,
            }
        }
    }

    /// What a key means, from memory or by looking it up.
    #[inline]
    fn meaning(&mut self, place: usize, node: usize, key: &[u8]) -> Action {
        if let Some(learned) = self.learned.get(place)
            && learned.node == node
            && learned.key == key
        {
            return learned.action;
        }
        let action = self.nodes[node].keys.iter().find(|(name, _)| name == key).map(|(_, action)| *action);
        let action = action.unwrap_or_default();
        if let Some(learned) = self.learned.get_mut(place) {
            learned.key.clear();
            learned.key.extend_from_slice(key);
            (learned.node, learned.action) = (node, action);
        } else if place == self.learned.len() && place < LEARNED_KEYS {
            self.learned.push(Learned { node, key: key.to_vec(), action });
        }
        action
    }
}

/// Takes a value and gives its end.
fn take_value(found: &mut Found<'_>, at: usize, take: Take) -> Option<usize> {
    let line = found.line;
    let end = value_end(line, at)?;
    let text = match line[at] {
        b'"' => &line[at + 1..end - 1],
        b'{' | b'[' => return Some(end),
        _ => &line[at..end],
    };
    let slot = match take.field {
        Field::Status => 0,
        Field::Method => 1,
        Field::Target => 2,
        Field::Request => 3,
        Field::Client => 4,
        Field::Bytes => 5,
        Field::Time => 6,
        Field::Duration(_) => 7,
        Field::Upstream(_) => 8,
    };
    if take.rank < found.ranks[slot] && set(&mut found.request, &found.ranks, take.field, text) {
        found.ranks[slot] = take.rank;
    }
    Some(end)
}

/// Sets a field from a value's text; false when the value is none of the field's kind.
fn set<'a>(request: &mut Request<'a>, ranks: &[u8; 9], field: Field, text: &'a [u8]) -> bool {
    match field {
        Field::Status => status(text).map(|status| request.status = status).is_some(),
        Field::Method => {
            request.method = method(text);
            true
        }
        Field::Target => {
            request.target = text;
            true
        }
        Field::Request => {
            let (method, target) = request_line(text);
            if ranks[1] == u8::MAX {
                request.method = method;
            }
            if ranks[2] == u8::MAX {
                request.target = target;
            }
            true
        }
        Field::Client => {
            // Behind a proxy the client may be a list, the client itself first.
            let end = text.iter().position(|&byte| byte == b',').unwrap_or(text.len());
            request.client = &text[..end];
            end > 0
        }
        Field::Bytes => integer(text).map(|bytes| request.bytes = bytes).is_some(),
        Field::Time => {
            request.time = time::any(text);
            request.time.is_some()
        }
        Field::Duration(unit) => {
            request.seconds = decimal(text).map(|number| number * unit);
            request.seconds.is_some()
        }
        Field::Upstream(unit) => {
            request.upstream = decimal(text).map(|number| number * unit);
            request.upstream.is_some()
        }
    }
}

fn seconds(unit: Unit) -> f64 {
    match unit {
        Unit::Seconds => 1.0,
        Unit::Milliseconds => 1e-3,
        Unit::Microseconds => 1e-6,
        Unit::Nanoseconds => 1e-9,
    }
}

#[inline]
fn skip_space(line: &[u8], mut at: usize) -> usize {
    while matches!(line.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// Where the quote is that ends a string, from behind its first one.
#[inline]
fn string_end(line: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr2(b'"', b'\\', line.get(at..)?)?;
        if line[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// Where a value ends.
fn value_end(line: &[u8], at: usize) -> Option<usize> {
    match line.get(at)? {
        b'"' => string_end(line, at + 1).map(|quote| quote + 1),
        b'{' | b'[' => nested_end(line, at),
        _ => {
            let rest = &line[at..];
            let len = rest.iter().position(|byte| b",}] \t\r\n".contains(byte))?;
            (len > 0).then_some(at + len)
        }
    }
}

/// Where an object or a list ends. It counts brackets and does not recurse, so depth costs nothing.
fn nested_end(line: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match line.get(at)? {
            b'"' => at = string_end(line, at + 1)?,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;
    use crate::request::METHODS;

    fn check(line: &str, expected: (&str, &str, u16, u64, Option<f64>, Option<u64>)) {
        let mut json = Json::new(&JsonKeys::default());
        // The second time goes by what was learned.
        for _ in 0..2 {
            let found = json.parse(line.as_bytes()).unwrap();
            let client = std::str::from_utf8(found.client).unwrap();
            let seconds = found.seconds.map(|seconds| (seconds * 1e9).round() / 1e9);
            assert_eq!(
                (client, METHODS[found.method], found.status, found.bytes, seconds, found.time),
                expected,
                "{line}"
            );
        }
    }

    /// Written by nginx 1.22.
    #[test]
    fn nginx_lines_are_read() {
        check(
            r#"{"msec":1795193262.842,"remote_addr":"::1","request":"GET /nope?q=%22x%22 HTTP/1.1","status":"404","body_bytes_sent":"153","request_time":"0.000","upstream_response_time":"","http_user_agent":"a \"quoted\" \\ agent"}"#,
            ("::1", "GET", 404, 153, Some(0.0), Some(1_795_193_262)),
        );
        check(
            r#"{"time":"2026-11-20T16:34:31+00:00","remote_addr":"192.0.2.10","remote_user":"","method":"GET","uri":"/static/page2.html","protocol":"HTTP/1.1","status":200,"body_bytes_sent":1893,"request_time":0.012,"upstream_response_time":"","referer":"http://web-1/","user_agent":"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"}"#,
            ("192.0.2.10", "GET", 200, 1893, Some(0.012), Some(1_795_192_471)),
        );
        let upstream = r#"{"msec":1795193293.056,"remote_addr":"127.0.0.1","request":"GET /up HTTP/1.1","status":"200","body_bytes_sent":"3","request_time":"0.010","upstream_response_time":"0.004, 0.005","http_user_agent":"curl/7.88.1"}"#;
        let found = Json::new(&JsonKeys::default()).parse(upstream.as_bytes()).unwrap().upstream.unwrap();
        assert!((found - 0.009).abs() < 1e-9);
    }

    /// Written by Caddy 2.6.
    #[test]
    fn caddy_lines_are_read() {
        check(
            r#"{"level":"error","ts":1795193297.2404413,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":"127.0.0.1","remote_port":"52572","proto":"HTTP/1.1","method":"GET","host":"127.0.0.1:18082","uri":"/deny","headers":{"User-Agent":["a \"q\" \\"],"Accept":["*/*"]}},"user_id":"","duration":0.00002062,"size":2,"status":403,"resp_headers":{"Server":["Caddy"],"Content-Type":["text/plain; charset=utf-8"]}}"#,
            ("127.0.0.1", "GET", 403, 2, Some(0.000_020_62), Some(1_795_193_297)),
        );
    }

    /// The keys as Traefik's documentation has them, in the order in which it writes them.
    #[test]
    fn traefik_lines_are_read() {
        check(
            r#"{"ClientAddr":"192.0.2.7:40126","ClientHost":"192.0.2.7","ClientPort":"40126","ClientUsername":"-","DownstreamContentSize":2099,"DownstreamStatus":200,"Duration":1811271,"OriginContentSize":2099,"OriginDuration":1564210,"OriginStatus":200,"Overhead":247061,"RequestMethod":"POST","RequestPath":"/rpc","StartLocal":"2024-12-29T12:42:47.503803974+01:00","StartUTC":"2024-12-29T11:42:47.503803974Z","level":"info","msg":"","time":"2024-12-29T12:42:50+01:00"}"#,
            ("192.0.2.7", "POST", 200, 2099, Some(0.001_811_271), Some(1_735_472_567)),
        );
    }

    #[test]
    fn configured_keys_may_hold_dots_or_lie_deep() {
        let keys = JsonKeys {
            status: vec!["http.response.code".to_owned()],
            bytes: vec!["http.response.size".to_owned(), "len".to_owned()],
            ..JsonKeys::default()
        };
        let mut json = Json::new(&keys);
        let deep = json.parse(br#" { "len" : 9, "http" : { "x": [1, {"code": 5}], "response" : { "size" : 7, "code" : "418" } } } "#);
        assert_eq!(deep.map(|found| (found.status, found.bytes)), Some((418, 7)));
        let flat = json.parse(br#"{"http.response.code":204,"len":9}"#);
        assert_eq!(flat.map(|found| (found.status, found.bytes)), Some((204, 9)));
    }

    #[test]
    fn what_is_no_access_log_line_is_none() {
        for line in [
            "",
            "{",
            "{}",
            r#"{"status":200"#,
            r#"{"status":200}}"#,
            r#"{"status":200} x"#,
            r#"{"status":"ok"}"#,
            r#"{"status":{"code":200}}"#,
            r#"{status:200}"#,
            r#"{"status" 200}"#,
            r#"{"level":"info","msg":"Configuration loaded"}"#,
            r#"{"a":"\"#,
            r#"[{"status":200}]"#,
        ] {
            assert_eq!(Json::new(&JsonKeys::default()).parse(line.as_bytes()), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(lines in prop::collection::vec(r#"[{}\[\]":,\\a-e0-9. ]{0,60}"#, 1..8)) {
            let mut json = Json::new(&JsonKeys::default());
            for line in lines {
                let _ = json.parse(line.as_bytes());
                let _ = json.parse(format!("{{\"request\":{line},\"status\":200}}").as_bytes());
            }
        }

        /// What the lines before looked like changes nothing.
        #[test]
        fn learning_changes_no_result(order in prop::collection::vec(0_usize..4, 1..20)) {
            let lines = [
                r#"{"status":200,"size":1,"request":{"method":"PUT","uri":"/"}}"#,
                r#"{"size":1,"status":404,"request":"GET / HTTP/1.1"}"#,
                r#"{"request":{"uri":"/","method":"POST","x":{"status":1}},"status":"500"}"#,
                r#"{"method":"HEAD","status":301,"more":[{"status":2}],"size":3}"#,
            ];
            let mut json = Json::new(&JsonKeys::default());
            for index in order {
                let line = lines[index].as_bytes();
                prop_assert_eq!(json.parse(line), Json::new(&JsonKeys::default()).parse(line));
            }
        }
    }
}
