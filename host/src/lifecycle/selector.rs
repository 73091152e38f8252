//! Selectors of series in grants: `node_load1`, `node_disk_io{device="sda"}`, `{__name__=~"node_.*"}`.
//!
//! The syntax is that of PromQL's instant vector selectors
//! (<https://prometheus.io/docs/prometheus/latest/querying/basics/#time-series-selectors>), without
//! offsets and ranges. Only the syntax is read here; matching is the series store's work.

use std::fmt;
use std::str::FromStr;

use picket_pattern::MAX_COMPILED_BYTES;

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, anchored at both ends.
    Regex,
    /// `!~`
    NotRegex,
}

/// A condition on one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher {
    /// The label; `__name__` is the metric's name.
    pub name: String,
    /// How it is compared.
    pub op: MatchOp,
    /// With what.
    pub value: String,
}

/// Conditions that all have to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector(pub Vec<Matcher>);

/// The text is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no selector: {what}; write a metric's name, label matchers in braces, or both, such as `node_load1` or `{{__name__=~\"node_.*\"}}`"
)]
pub struct ParseSelectorError {
    text: String,
    what: String,
}

/// Longer texts are refused: nothing that a person writes comes near.
const MAX_TEXT: usize = 4096;

impl FromStr for Selector {
    type Err = ParseSelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |what: String| ParseSelectorError { text: text.chars().take(80).collect(), what };
        if text.len() > MAX_TEXT {
            return Err(error(format!("it is longer than {MAX_TEXT} bytes")));
        }
        let mut rest = Rest(text.trim());
        let mut matchers = Vec::new();
        let name = rest.name(true);
        if !name.is_empty() {
            matchers.push(Matcher { name: "__name__".into(), op: MatchOp::Equal, value: name.into() });
        }
        if rest.take("{") {
            while !rest.take("}") {
                matchers.push(rest.matcher().map_err(error)?);
                if !rest.take(",") && !rest.0.starts_with('}') {
                    return Err(error("`,` or `}` is missing".into()));
                }
            }
        }
        if !rest.0.is_empty() {
            return Err(error(format!("`{}` is too much", rest.0.chars().take(20).collect::<String>())));
        }
        if !matchers.iter().any(never_empty) {
            return Err(error("one matcher at least must not match the empty text".into()));
        }
        Ok(Self(matchers))
    }
}

/// Whether the matcher refuses an absent label, so that a selector with it does not match everything.
fn never_empty(matcher: &Matcher) -> bool {
    let matches_empty = |value: &str| {
        picket_pattern::anchored(value, MAX_COMPILED_BYTES).is_ok_and(|expression| expression.is_match(""))
    };
    match matcher.op {
        MatchOp::Equal => !matcher.value.is_empty(),
        MatchOp::NotEqual => matcher.value.is_empty(),
        MatchOp::Regex => !matches_empty(&matcher.value),
        MatchOp::NotRegex => matches_empty(&matcher.value),
    }
}

/// What is left of the text.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn take(&mut self, token: &str) -> bool {
        match self.0.strip_prefix(token) {
            Some(rest) => {
                self.0 = rest.trim_start();
                true
            }
            None => false,
        }
    }

    /// A metric's or label's name; empty when there is none.
    fn name(&mut self, colons: bool) -> &'a str {
        let is_part = |(at, c): (usize, char)| {
            c.is_ascii_alphabetic() || c == '_' || (colons && c == ':') || (at > 0 && c.is_ascii_digit())
        };
        let end = self.0.char_indices().find(|&part| !is_part(part)).map_or(self.0.len(), |(at, _)| at);
        let (name, rest) = self.0.split_at(end);
        self.0 = rest.trim_start();
        name
    }

    fn matcher(&mut self) -> Result<Matcher, String> {
        let name = self.name(false).to_owned();
        if name.is_empty() {
            return Err("a label's name is missing".into());
        }
        let operators = [
            ("=~", MatchOp::Regex),
            ("!~", MatchOp::NotRegex),
            ("!=", MatchOp::NotEqual),
            ("=", MatchOp::Equal),
        ];
        let op = operators
            .into_iter()
            .find_map(|(token, op)| self.take(token).then_some(op))
            .ok_or_else(|| format!("`=`, `!=`, `=~` or `!~` is missing behind `{name}`"))?;
        let value = self.quoted()?;
        if matches!(op, MatchOp::Regex | MatchOp::NotRegex)
            && let Err(cause) = picket_pattern::anchored(&value, MAX_COMPILED_BYTES)
        {
            return Err(format!("`{value}` is no regular expression ({cause})"));
        }
        Ok(Matcher { name, op, value })
    }

    fn quoted(&mut self) -> Result<String, String> {
        let quote =
            self.0.chars().next().filter(|c| matches!(c, '"' | '\'')).ok_or("a quoted value is missing")?;
        let mut value = String::new();
        let mut characters = self.0.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => match characters.next().map(|(_, c)| c) {
                    Some('n') => value.push('\n'),
                    Some('t') => value.push('\t'),
                    Some(c @ ('\\' | '"' | '\'')) => value.push(c),
                    _ => return Err("behind `\\` stands `\\`, a quote, `n` or `t`".into()),
                },
                c if c == quote => {
                    self.0 = self.0[at + 1..].trim_start();
                    return Ok(value);
                }
                c => value.push(c),
            }
        }
        Err("the closing quote is missing".into())
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, Matcher { name, op, value }) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let op = match op {
                MatchOp::Equal => "=",
                MatchOp::NotEqual => "!=",
                MatchOp::Regex => "=~",
                MatchOp::NotRegex => "!~",
            };
            let value =
                value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t");
            write!(f, "{comma}{name}{op}\"{value}\"")?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use picket_pattern::testing::CASES;
    use proptest::prelude::*;

    fn check(text: &str, expected: &str) {
        match text.parse::<Selector>() {
            Ok(selector) => {
                assert_eq!(selector.to_string(), expected, "{text}");
                assert_eq!(selector.to_string().parse(), Ok(selector));
            }
            Err(error) => assert!(error.to_string().contains(expected), "{text}: {error}"),
        }
    }

    #[test]
    fn selectors_are_read_as_promql_writes_them() {
        check("node_load1", r#"{__name__="node_load1"}"#);
        check(r#" up { job = "a" , x!~'b|c', } "#, r#"{__name__="up",job="a",x!~"b|c"}"#);
        check(r#"{__name__=~"node_.*"}"#, r#"{__name__=~"node_.*"}"#);
        check(r#"{a="q\"\\\n"}"#, r#"{a="q\"\\\n"}"#);
    }

    #[test]
    fn regular_expressions_are_those_of_prometheus() {
        for case in CASES {
            let quoted = case.pattern.replace('\\', "\\\\").replace('"', "\\\"");
            let found = format!("{{a=~\"{quoted}\"}}").parse::<Selector>();
            assert_eq!(found.is_ok(), case.expected.is_some(), "{case:?}: {found:?}");
        }
    }

    #[test]
    fn what_is_no_selector_says_why() {
        check("", "must not match the empty text");
        check(r#"{a=~".*"}"#, "must not match the empty text");
        check("up{", "a label's name is missing");
        check("up{a}", "is missing behind `a`");
        check("up{a=b}", "a quoted value is missing");
        check("up{a=\"b}", "the closing quote is missing");
        check("up{a=~\"(\"}", "is no regular expression");
        check("up offset 5m", "`offset 5m` is too much");
    }

    proptest! {
        #[test]
        fn any_text_is_a_selector_that_reads_back_or_an_error(text in "\\PC{0,40}|[a-z{}=~!\"',\\\\ ]{0,30}") {
            if let Ok(selector) = text.parse::<Selector>() {
                prop_assert_eq!(selector.to_string().parse::<Selector>(), Ok(selector));
            }
        }
    }
}
