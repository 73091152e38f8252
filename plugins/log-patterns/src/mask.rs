//! Splits a line into tokens and replaces what is a value by its kind: numbers, hexadecimal strings,
//! addresses, UUIDs, times, paths and URLs.
//!
//! Masking comes before the tree (Drain's preprocessing step): lines that differ in nothing but such
//! values become equal token for token. One pass over the bytes; tokens without digits and slashes, which
//! are most, are only hashed.

use crate::hash::{finish, hash, step};
use crate::time;

/// More tokens of one line are not looked at: what comes then belongs to the text of a message or a
/// stack trace, not to its form. It also bounds what a template can hold.
pub const MAX_TOKENS: usize = 80;

/// Longer tokens are cut: it bounds what a template can hold.
pub const MAX_TOKEN_BYTES: usize = 96;

/// Stands for what comes after [`MAX_TOKENS`].
pub const REST: &str = "<...>";

/// A token of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// Hash of its masked text.
    pub hash: u64,
    /// Whether it holds a digit or a mask, and so is no good branch in the tree.
    pub variable: bool,
    start: u32,
    end: u32,
}

/// The tokens of a line. Reused from line to line, so that the hot path allocates nothing.
#[derive(Debug, Default)]
pub struct Tokens {
    tokens: Vec<Token>,
    /// Hash over all tokens.
    sequence: u64,
    /// The time that the line tells, in nanoseconds.
    time: Option<u64>,
    scratch: Vec<u8>,
    paths: bool,
}

const SPACE: u8 = 1;
const DIGIT: u8 = 2;
const SLASH: u8 = 4;

/// What a byte means for a token.
static CLASS: [u8; 256] = {
    let mut class = [0; 256];
    class[b' ' as usize] = SPACE;
    class[b'\t' as usize] = SPACE;
    class[b'\n' as usize] = SPACE;
    class[b'\r' as usize] = SPACE;
    class[b'/' as usize] = SLASH;
    let mut digit = b'0';
    while digit <= b'9' {
        class[digit as usize] = DIGIT;
        digit += 1;
    }
    class
};

/// Where the token of a leading time lies: nowhere in the line.
const TIME_TOKEN: &[u8] = b"<time>";

impl Tokens {
    /// A tokeniser; `paths` says whether paths and URLs are masked.
    pub fn new(paths: bool) -> Self {
        Self { paths, ..Self::default() }
    }

    /// The tokens of the line read last.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// A hash over all tokens of the line read last.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The time that the line read last tells, in nanoseconds.
    pub fn time(&self) -> Option<u64> {
        self.time
    }

    /// Reads a line.
    pub fn read(&mut self, line: &[u8]) {
        self.tokens.clear();
        self.time = None;
        let mut sequence = 0;
        let mut at = 0;
        if let Some(found) = time::leading(line) {
            self.time = found.time;
            at = found.length;
            let token = Token { hash: hash(TIME_TOKEN), variable: true, start: 0, end: 0 };
            sequence = step(sequence, token.hash);
            self.tokens.push(token);
        }
        while at < line.len() {
            let start = at;
            let mut seen = 0;
            while at < line.len() {
                let class = CLASS[line[at] as usize];
                if class == SPACE {
                    break;
                }
                seen |= class;
                at += 1;
            }
            if at > start {
                if self.tokens.len() == MAX_TOKENS {
                    let rest =
                        Token { hash: hash(REST.as_bytes()), variable: true, start: u32::MAX, end: u32::MAX };
                    sequence = step(sequence, rest.hash);
                    self.tokens.push(rest);
                    break;
                }
                let token = self.token(line, start, at, seen);
                sequence = step(sequence, token.hash);
                self.tokens.push(token);
            }
            at += 1;
        }
        self.sequence = finish(sequence);
    }

    #[inline]
    fn token(&mut self, line: &[u8], start: usize, end: usize, seen: u8) -> Token {
        let end = end.min(start + MAX_TOKEN_BYTES);
        let places = |hash, variable| Token { hash, variable, start: start as u32, end: end as u32 };
        if seen & DIGIT == 0 && (seen & SLASH == 0 || !self.paths) {
            return places(hash(&line[start..end]), false);
        }
        self.scratch.clear();
        let time = mask(line, start, end, self.paths, &mut self.scratch);
        self.time = self.time.or(time);
        let variable = self.scratch.iter().any(|b| *b == b'<' || b.is_ascii_digit());
        places(hash(&self.scratch), variable)
    }

    /// The masked text of a token of the line read last.
    pub fn text(&self, line: &[u8], token: &Token) -> String {
        match token.start {
            _ if token.end == 0 => String::from_utf8_lossy(TIME_TOKEN).into_owned(),
            u32::MAX => REST.to_owned(),
            start => {
                let mut text = Vec::new();
                let (start, end) = (start as usize, token.end as usize);
                let plain = line[start..end].iter().all(|b| CLASS[*b as usize] & (DIGIT | SLASH) == 0);
                match plain {
                    true => text.extend_from_slice(&line[start..end]),
                    false => _ = mask(line, start, end, self.paths, &mut text),
                }
                String::from_utf8_lossy(&text).into_owned()
            }
        }
    }
}

/// Writes the masked text of `line[start..end]`, and gives the first full time in it. A time may reach
/// beyond the token's end into the next one; what is written stays within.
fn mask(line: &[u8], start: usize, end: usize, paths: bool, out: &mut Vec<u8>) -> Option<u64> {
    let mut at = start;
    let mut time = None;
    // Whether a value can begin here: not in the middle of a word.
    let mut boundary = true;
    while at < end {
        let rest = &line[at..end];
        let byte = rest[0];
        let (length, name): (usize, &[u8]) = if byte == b'/' && paths && boundary {
            (path_length(rest), b"<path>")
        } else if boundary && byte.is_ascii_alphanumeric() {
            if let Some(found) = time_at(&line[at..], rest) {
                time = time.or(found.time);
                (found.length.min(rest.len()), b"<time>")
            } else if let Some(value) = value_at(rest, paths) {
                value
            } else {
                let word = alphanumeric(rest);
                out.extend_from_slice(&rest[..word]);
                at += word;
                boundary = false;
                continue;
            }
        } else if boundary && byte == b':' && rest.get(1) == Some(&b':') {
            colon_groups(rest).unwrap_or((0, b""))
        } else {
            (0, b"")
        };
        if length == 0 {
            out.push(byte);
            boundary = !byte.is_ascii_alphanumeric() && byte != b'_' && byte < 0x80;
            at += 1;
        } else {
            out.extend_from_slice(name);
            boundary = false;
            at += length;
        }
    }
    time
}

/// A time: `here` may look beyond the token, since dates and times can be parted by a blank.
fn time_at(here: &[u8], token: &[u8]) -> Option<time::Found> {
    let found = match (token.get(2)?, token.get(4)?) {
        (b':', _) => time::of_day(token),
        (b'/', _) => time::common_log(here),
        (_, b'-' | b'/') => time::iso(here),
        _ => None,
    }?;
    (!here.get(found.length).is_some_and(u8::is_ascii_alphanumeric)).then_some(found)
}

/// A number, address, UUID, hexadecimal string or URL at the start of a text that begins with a letter or
/// digit: its length and its mask.
fn value_at(text: &[u8], paths: bool) -> Option<(usize, &'static [u8])> {
    let word = alphanumeric(text);
    let next = text.get(word);
    if paths && next == Some(&b':') && text[word..].starts_with(b"://") {
        return Some((url_length(text), b"<url>"));
    }
    if text.starts_with(b"0x") && word > 2 && text[2..word].iter().all(u8::is_ascii_hexdigit) {
        return Some((word, b"<hex>"));
    }
    let hex = text[..word].iter().all(u8::is_ascii_hexdigit);
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    if hex
        && next == Some(&b':')
        && let Some(value) = colon_groups(text)
    {
        return Some(value);
    }
    if hex && word == 8 && next == Some(&b'-') && is_uuid(text) {
        return Some((36, b"<uuid>"));
    }
    if hex && word >= 8 && digits < word && text[..word].iter().any(u8::is_ascii_digit) {
        return Some((word, b"<hex>"));
    }
    if digits == 0 {
        return None;
    }
    if digits < word {
        // `12ms` is a number with its unit; `3f2a` is neither a number nor a word.
        let unit = text[digits..word].iter().all(u8::is_ascii_alphabetic);
        return Some(if unit && !(hex && word > 4) { (digits, b"<num>") } else { (word, b"<id>") });
    }
    Some(dotted(text, digits))
}

/// `192.0.2.1`, `12.5` or `12` with its number of digits given.
fn dotted(text: &[u8], digits: usize) -> (usize, &'static [u8]) {
    let mut length = digits;
    let mut parts = 1;
    while text.get(length) == Some(&b'.') {
        let more = text[length + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        if more == 0 {
            break;
        }
        length += 1 + more;
        parts += 1;
    }
    let name: &[u8] = match parts {
        4 => b"<ip>",
        1 | 2 => b"<num>",
        _ => b"<version>",
    };
    (length, name)
}

/// IPv6 and MAC addresses: groups of hexadecimal digits between colons.
fn colon_groups(text: &[u8]) -> Option<(usize, &'static [u8])> {
    let length = text.iter().take_while(|b| b.is_ascii_hexdigit() || **b == b':').count();
    // A colon behind an address is punctuation.
    let length =
        if text[..length].ends_with(b":") && !text[..length].ends_with(b"::") { length - 1 } else { length };
    let groups = text[..length].split(|b| *b == b':');
    let (mut count, mut longest, mut shortest) = (0, 0, usize::MAX);
    for group in groups {
        count += 1;
        longest = longest.max(group.len());
        shortest = shortest.min(group.len());
    }
    let ends = !text.get(length).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    if !ends || longest > 4 {
        return None;
    }
    match (count, shortest) {
        (6, 2) if longest == 2 => Some((length, b"<mac>")),
        (8, 1..) => Some((length, b"<ip>")),
        (3..=8, 0) if length > 2 => Some((length, b"<ip>")),
        _ => None,
    }
}

fn is_uuid(text: &[u8]) -> bool {
    let Some(text) = text.get(..36) else { return false };
    text.iter().enumerate().all(|(index, b)| match index {
        8 | 13 | 18 | 23 => *b == b'-',
        _ => b.is_ascii_hexdigit(),
    })
}

fn alphanumeric(text: &[u8]) -> usize {
    text.iter().take_while(|b| b.is_ascii_alphanumeric()).count()
}

/// A URL ends like a path, and holds a port as well.
fn url_length(text: &[u8]) -> usize {
    let ends = |b: &u8| *b != b':' && path_length(std::slice::from_ref(b)) == 0;
    let length = text.iter().position(ends).unwrap_or(text.len());
    // A colon at its end is punctuation.
    if text[..length].ends_with(b":") { length - 1 } else { length }
}

/// A path ends where the punctuation around it begins.
fn path_length(text: &[u8]) -> usize {
    let ends = |b: &u8| {
        matches!(
            b,
            b'"' | b'\''
                | b','
                | b';'
                | b'('
                | b')'
                | b'['
                | b']'
                | b'<'
                | b'>'
                | b'|'
                | b'`'
                | b'{'
                | b'}'
                | b':'
        )
    };
    text.iter().position(ends).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn masked(line: &[u8]) -> String {
        let mut tokens = Tokens::new(true);
        tokens.read(line);
        let texts: Vec<String> = tokens.tokens().iter().map(|token| tokens.text(line, token)).collect();
        for (text, token) in texts.iter().zip(tokens.tokens()) {
            if !text.contains('\u{fffd}') {
                assert_eq!(hash(text.as_bytes()), token.hash, "{text}");
            }
        }
        texts.join(" ")
    }

    fn check(line: &str, expected: &str) {
        assert_eq!(masked(line.as_bytes()), expected);
    }

    #[test]
    fn values_are_masked_by_their_kind() {
        check("took 12ms, 3.5 of 100%", "took <num>ms, <num> of <num>%");
        check("from 192.0.2.1 port 41305 ssh2", "from <ip> port <num> ssh2");
        check(
            "from 192.0.2.1:80, 2001:db8::7, ::1 and [::]:22",
            "from <ip>:<num>, <ip>, <ip> and [::]:<num>",
        );
        check("id 123e4567-e89b-12d3-a456-426614174000.", "id <uuid>.");
        check("at 0x7ffd ip 000055b10058e167 sha deadbeef1", "at <hex> ip <hex> sha <hex>");
        check("eth0 up x86_64 utf8 worker12 v1.22.1", "eth0 up x86_64 utf8 worker12 v1.<num>");
        check("lladdr 02:42:ac:11:00:02 id 3f2a9c", "lladdr <mac> id <id>");
        check("version 1.22.1-9+deb12u10", "version <version>-<num>+deb12u10");
        check("sshd[1989]: uid=0 (uid=1001)", "sshd[<num>]: uid=<num> (uid=<num>)");
    }

    #[test]
    fn paths_urls_and_times_are_masked() {
        check("open() \"/srv/www/a.ico\" failed", "open() \"<path>\" failed");
        check("PWD=/srv ; COMMAND=/usr/bin/id", "PWD=<path> ; COMMAND=<path>");
        check("main.c:2:27: warning", "main.c:<num>:<num>: warning");
        check("/home/build/x.c:12: see http://web-1:80/a?b=1, ok", "<path>:<num>: see <url>, ok");
        check("GET / HTTP/1.1", "GET <path> HTTP/<num>");
        check("Nov 20 16:26:35 web-1 x at 16:26:35", "<time> web-<num> x at <time>");
        check("1.1.1.1 - - [20/Nov/2026:16:26:23 +0000] \"GET", "<ip> - - [<time> +<num>] \"GET");
        check("<86>1 2026-11-20T16:26:35.1Z web-1", "<<num>><num> <time> web-<num>");
    }

    #[test]
    fn paths_can_be_kept() {
        let mut tokens = Tokens::new(false);
        let line = b"open /srv/a1 /srv";
        tokens.read(line);
        let texts: Vec<String> = tokens.tokens().iter().map(|token| tokens.text(line, token)).collect();
        assert_eq!(texts, ["open", "/srv/a1", "/srv"]);
    }

    #[test]
    fn a_line_tells_its_time_wherever_it_stands() {
        let mut tokens = Tokens::new(true);
        let mut check = |line: &str, expected: Option<u64>| {
            tokens.read(line.as_bytes());
            assert_eq!(tokens.time(), expected.map(|seconds| seconds * 1_000_000_000), "{line}");
        };
        check("2026-11-20 16:26:35 status", Some(1_795_191_995));
        check("x - - [20/Nov/2026:16:26:35 +0000] y", Some(1_795_191_995));
        check("{\"time\":\"2026-11-20T16:26:35+00:00\"}", Some(1_795_191_995));
        check("no time 16:26:35", None);
    }

    #[test]
    fn long_lines_end_in_a_rest() {
        let line = "word ".repeat(200);
        let text = masked(line.as_bytes());
        assert_eq!(text.split(' ').count(), MAX_TOKENS + 1);
        assert!(text.ends_with(REST));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(line in proptest::collection::vec(any::<u8>(), 0..400)) {
            masked(&line);
        }

        #[test]
        fn tokens_of_values_do_not_panic(line in "[0-9a-f:/.x\\-T \\[\\]]{0,120}") {
            masked(line.as_bytes());
        }

        #[test]
        fn numbers_of_any_size_look_alike(a in any::<u32>(), b in any::<u32>()) {
            prop_assert_eq!(masked(format!("job {a} done").as_bytes()), masked(format!("job {b} done").as_bytes()));
        }
    }
}
