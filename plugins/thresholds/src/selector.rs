//! Selectors as people write them: `node_load1{job="node",instance!~"test.*"}`.
//!
//! The form is that of Prometheus' instant vector selectors without modifiers; strings are quoted with
//! double or single quotes. Whether a regular expression compiles is the host's to say.

use std::fmt;

use picket_sdk::series::{MatchOp, Matcher};
use serde::de::{self, Deserialize, Deserializer};

/// Series that satisfy every matcher.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Selector {
    text: String,
    matchers: Vec<Matcher>,
}

impl Selector {
    /// The matchers.
    pub(crate) fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }

    /// Whether all series it selects have the same name.
    pub(crate) fn names_one_metric(&self) -> bool {
        self.matchers.iter().any(|matcher| matcher.name == "__name__" && matcher.op == MatchOp::Equal)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut parser = Parser { text, at: 0 };
        let mut matchers = Vec::new();
        let name = parser.word(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte));
        if !name.is_empty() {
            matchers.push(Matcher {
                name: "__name__".to_owned(),
                op: MatchOp::Equal,
                value: name.to_owned(),
            });
        }
        if parser.take("{") {
            while !parser.take("}") {
                matchers.push(parser.matcher()?);
                if !parser.take(",") && !parser.peek("}") {
                    return Err(parser.expected("`,` or `}`"));
                }
            }
        }
        parser.skip_space();
        if parser.at < text.len() {
            return Err(parser.expected("the end of the selector"));
        }
        // The host would refuse it: a selector that matches everything.
        if !matchers
            .iter()
            .any(|matcher| matcher.op == MatchOp::Equal && !matcher.value.is_empty() || is_regex(matcher))
        {
            return Err(parser.expected("a metric name, or a matcher with `=` or `=~` and a value,"));
        }
        Ok(Self { text: text.to_owned(), matchers })
    }
}

fn is_regex(matcher: &Matcher) -> bool {
    matcher.op == MatchOp::Regex && !matcher.value.is_empty()
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let text = String::deserialize(reader)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

/// Text that is no selector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SelectorError {
    text: String,
    expected: &'static str,
    at: usize,
}

impl fmt::Display for SelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no selector: {} is expected at character {}",
            self.text,
            self.expected,
            self.at + 1
        )
    }
}

impl std::error::Error for SelectorError {}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn matcher(&mut self) -> Result<Matcher, SelectorError> {
        let name = self.word(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(self.expected("a label name"));
        }
        // Longer operators first, since `=` begins `=~`.
        let ops = [
            ("!=", MatchOp::NotEqual),
            ("!~", MatchOp::NotRegex),
            ("=~", MatchOp::Regex),
            ("=", MatchOp::Equal),
        ];
        let op = ops.into_iter().find(|(sign, _)| self.take(sign));
        let (_, op) = op.ok_or_else(|| self.expected("`=`, `!=`, `=~` or `!~`"))?;
        Ok(Matcher { name: name.to_owned(), op, value: self.string()? })
    }

    /// A quoted string; a backslash takes the meaning off the quote or backslash behind it, and stands
    /// for itself before anything else, so that regular expressions read as they are.
    fn string(&mut self) -> Result<String, SelectorError> {
        let quote = ["\"", "'"].into_iter().find(|quote| self.take(quote));
        let quote = quote.ok_or_else(|| self.expected("a quoted string"))?;
        let mut value = String::new();
        let mut rest = self.text[self.at..].char_indices();
        while let Some((at, char)) = rest.next() {
            if quote.starts_with(char) {
                self.at += at + 1;
                return Ok(value);
            }
            let escaped =
                rest.as_str().chars().next().filter(|next| *next == '\\' || quote.starts_with(*next));
            match escaped {
                Some(next) if char == '\\' => {
                    value.push(next);
                    rest.next();
                }
                _ => value.push(char),
            }
        }
        self.at = self.text.len();
        Err(self.expected("the closing quote"))
    }

    fn word(&mut self, passes: impl Fn(u8) -> bool) -> &'a str {
        self.skip_space();
        let rest = &self.text[self.at..];
        let end = rest.bytes().position(|byte| !passes(byte)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.peek(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    fn peek(&mut self, sign: &str) -> bool {
        self.skip_space();
        self.text[self.at..].starts_with(sign)
    }

    fn skip_space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn expected(&self, expected: &'static str) -> SelectorError {
        let at = self.text[..self.at].chars().count();
        SelectorError { text: self.text.to_owned(), expected, at }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &[(&str, MatchOp, &str)]) {
        let selector = Selector::parse(text).unwrap();
        let found: Vec<_> =
            selector.matchers.iter().map(|m| (m.name.as_str(), m.op, m.value.as_str())).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn selectors_are_read_as_prometheus_writes_them() {
        use MatchOp::{Equal, NotEqual, NotRegex, Regex};
        check("up", &[("__name__", Equal, "up")]);
        check(" job:up:sum { } ", &[("__name__", Equal, "job:up:sum")]);
        check(
            r#"a{b="1",c!='x"y',d=~"4..|5\d\d",e!~"\"",}"#,
            &[
                ("__name__", Equal, "a"),
                ("b", Equal, "1"),
                ("c", NotEqual, "x\"y"),
                ("d", Regex, r"4..|5\d\d"),
                ("e", NotRegex, "\""),
            ],
        );
        check(r#"{__name__=~".*_queue_length"}"#, &[("__name__", Regex, ".*_queue_length")]);
    }

    #[test]
    fn errors_say_what_is_expected_and_where() {
        let check = |text: &str, expected: &str| {
            assert_eq!(Selector::parse(text).unwrap_err().to_string(), expected);
        };
        check("a{b=1}", "`a{b=1}` is no selector: a quoted string is expected at character 5");
        check("a{b", "`a{b` is no selector: `=`, `!=`, `=~` or `!~` is expected at character 4");
        check("a b", "`a b` is no selector: the end of the selector is expected at character 3");
        check("a{b=\"", "`a{b=\"` is no selector: the closing quote is expected at character 6");
        check("é", "`é` is no selector: the end of the selector is expected at character 1");
        for everything in ["", "{}", "{a!=\"b\"}", "{a=\"\"}"] {
            assert!(Selector::parse(everything).is_err(), "{everything}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,12}", inner in r#"[a-z{}"'\\=!~, é]{0,16}"#) {
            let _ = Selector::parse(&text);
            let _ = Selector::parse(&format!("a{{{inner}"));
        }
    }
}
