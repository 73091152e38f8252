//! One condition on one label of an alert: as people write it, as it is stored, and ready to use.

use std::fmt;
use std::str::FromStr;

use picket_pattern::MAX_COMPILED_BYTES;
use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::model::Label;

/// Bytes of a label's name: those that plugins may give one.
pub const MAX_NAME: usize = 200;
/// Bytes of a value: those that a label of an alert has at most.
pub const MAX_VALUE: usize = 4096;

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// The label has this value; an absent label has the empty one.
    #[serde(rename = "=")]
    Equal,
    /// The label has another value.
    #[serde(rename = "!=")]
    NotEqual,
    /// The whole value matches the regular expression.
    #[serde(rename = "=~")]
    Regex,
    /// The whole value does not match the regular expression.
    #[serde(rename = "!~")]
    NotRegex,
}

impl Op {
    /// Longer ones first, so that `=` is not found in `=~`.
    const BY_SIGN: [(&'static str, Self); 4] =
        [("=~", Self::Regex), ("!~", Self::NotRegex), ("!=", Self::NotEqual), ("=", Self::Equal)];

    fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }

    /// Whether its value is a regular expression.
    pub(super) fn is_pattern(self) -> bool {
        matches!(self, Self::Regex | Self::NotRegex)
    }
}

/// A condition on a label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matcher {
    /// The label's name; the alert's own is `alertname`.
    pub name: String,
    /// How to compare.
    pub op: Op,
    /// The value or the regular expression.
    pub value: String,
}

/// A matcher that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMatcher {
    /// It has another form.
    #[error("`{0}` is no matcher: write NAME=VALUE, NAME!=VALUE, NAME=~REGEX or NAME!~REGEX")]
    Form(String),
    /// A value begins with a quotation mark and does not end with one.
    #[error("the value of the label `{0}` begins with `\"` and does not end with one that is not escaped")]
    Quotes(String),
    /// The name is none.
    #[error(
        "`{0}` is no name of a label: it has at most {MAX_NAME} of `[a-zA-Z0-9_]` and begins with no digit"
    )]
    Name(String),
    /// The value is too long.
    #[error("the value for the label `{name}` has {bytes} bytes; at most {MAX_VALUE} are allowed")]
    Value {
        /// The label.
        name: String,
        /// Its length.
        bytes: usize,
    },
    /// The regular expression is none, or too large once compiled.
    #[error("the value for the label `{name}` is no usable regular expression: {cause}")]
    Pattern {
        /// The label.
        name: String,
        /// What is wrong.
        cause: String,
    },
}

impl fmt::Display for Matcher {
    /// As it can be read again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        write!(f, "{}{}\"{value}\"", self.name, self.op.sign())
    }
}

impl FromStr for Matcher {
    type Err = BadMatcher;

    /// `NAME=VALUE` and the like. A value in quotation marks may have `\"`, `\\` and `\n`; one without is taken as
    /// it stands.
    fn from_str(text: &str) -> Result<Self, BadMatcher> {
        let form = || BadMatcher::Form(shortened(text));
        let at = text.find(['=', '!']).ok_or_else(form)?;
        let (name, rest) = text.split_at(at);
        let found = Op::BY_SIGN.iter().find_map(|(sign, op)| Some((*op, rest.strip_prefix(*sign)?)));
        let (op, value) = found.ok_or_else(form)?;
        let (name, value) = (name.trim(), value.trim());
        let value = match value.strip_prefix('"') {
            Some(quoted) => unquoted(quoted).ok_or_else(|| BadMatcher::Quotes(shortened(name)))?,
            None => value.to_owned(),
        };
        let matcher = Self { name: name.to_owned(), op, value };
        matcher.test()?;
        Ok(matcher)
    }
}

/// What stands between the quotation marks; `text` is what follows the first.
fn unquoted(text: &str) -> Option<String> {
    let (mut value, mut chars) = (String::with_capacity(text.len()), text.chars());
    loop {
        match chars.next()? {
            '"' => return chars.as_str().is_empty().then_some(value),
            '\\' => match chars.next()? {
                'n' => value.push('\n'),
                escaped @ ('"' | '\\') => value.push(escaped),
                // Regular expressions are full of them.
                other => value.extend(['\\', other]),
            },
            plain => value.push(plain),
        }
    }
}

/// A matcher that is ready to use.
#[derive(Debug)]
pub(super) struct Test {
    name: String,
    condition: Condition,
}

#[derive(Debug)]
enum Condition {
    Equal(String),
    NotEqual(String),
    Regex(Regex),
    NotRegex(Regex),
}

impl Matcher {
    /// Checks and compiles it.
    pub(super) fn test(&self) -> Result<Test, BadMatcher> {
        if !is_name(&self.name) {
            return Err(BadMatcher::Name(shortened(&self.name)));
        }
        let (name, bytes) = (self.name.clone(), self.value.len());
        if bytes > MAX_VALUE {
            return Err(BadMatcher::Value { name, bytes });
        }
        let regex = || {
            picket_pattern::anchored(&self.value, MAX_COMPILED_BYTES)
                .map_err(|cause| BadMatcher::Pattern { name: self.name.clone(), cause: cause.to_string() })
        };
        let condition = match self.op {
            Op::Equal => Condition::Equal(self.value.clone()),
            Op::NotEqual => Condition::NotEqual(self.value.clone()),
            Op::Regex => Condition::Regex(regex()?),
            Op::NotRegex => Condition::NotRegex(regex()?),
        };
        Ok(Test { name, condition })
    }
}

impl Test {
    /// Whether an alert with these labels satisfies it.
    pub(super) fn holds(&self, labels: &[Label]) -> bool {
        let found = labels.iter().find(|label| label.name == self.name);
        let value = found.map_or("", |label| label.value.as_str());
        match &self.condition {
            Condition::Equal(expected) => value == expected,
            Condition::NotEqual(other) => value != other,
            Condition::Regex(regex) => regex.is_match(value),
            Condition::NotRegex(regex) => !regex.is_match(value),
        }
    }
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// For messages.
fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use picket_pattern::testing::CASES;
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: (&str, Op, &str)) {
        let matcher: Matcher = text.parse().unwrap();
        assert_eq!((matcher.name.as_str(), matcher.op, matcher.value.as_str()), expected, "{text}");
        assert_eq!(matcher.to_string().parse(), Ok(matcher), "{text}");
    }

    #[test]
    fn matchers_are_read_as_people_write_them() {
        check("alertname=DiskFull", ("alertname", Op::Equal, "DiskFull"));
        check("job != \"a b\"", ("job", Op::NotEqual, "a b"));
        check("path=~\"/srv/.*\\.log\"", ("path", Op::Regex, "/srv/.*\\.log"));
        check("job!~a|b", ("job", Op::NotRegex, "a|b"));
        check("x=a=b", ("x", Op::Equal, "a=b"));
        check("x=", ("x", Op::Equal, ""));
        check(r#"x="a\"\\\n""#, ("x", Op::Equal, "a\"\\\n"));
    }

    fn check_refused(text: &str, expected: &str) {
        let error = text.parse::<Matcher>().unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }

    #[test]
    fn what_is_no_matcher_says_why() {
        check_refused("DiskFull", "is no matcher");
        check_refused("a!b", "is no matcher");
        check_refused("a=\"b", "does not end");
        check_refused("a=\"b\"c", "does not end");
        check_refused("1a=b", "is no name");
        check_refused(&format!("{}=b", "a".repeat(MAX_NAME + 1)), "is no name");
        check_refused(&format!("a={}", "b".repeat(MAX_VALUE + 1)), "4097 bytes");
        check_refused("a=~a)|(b", "no usable regular expression");
        check_refused("a=~((a{1000}){1000})", "no usable regular expression");
    }

    #[test]
    fn a_regular_expression_matches_the_whole_value_and_an_absent_label_is_empty() {
        let labels = [Label { name: "job".into(), value: "node".into() }];
        for (text, expected) in [
            ("job=node", true),
            ("job!=node", false),
            ("job=~no", false),
            ("job=~n.*|x", true),
            ("job!~no", true),
            ("other=", true),
            ("other=~.+", false),
            ("other!=x", true),
        ] {
            let test = text.parse::<Matcher>().unwrap().test().unwrap();
            assert_eq!(test.holds(&labels), expected, "{text}");
        }
    }

    #[test]
    fn regular_expressions_are_those_of_prometheus() {
        for case in CASES {
            let labels = [Label { name: "job".into(), value: case.value.into() }];
            let matcher = Matcher { name: "job".into(), op: Op::Regex, value: case.pattern.into() };
            assert_eq!(matcher.test().map(|test| test.holds(&labels)).ok(), case.expected, "{case:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_matcher_that_can_be_read_again_or_an_error(text in "[a-z!=~\"\\\\.n(]{0,12}") {
            if let Ok(matcher) = text.parse::<Matcher>() {
                prop_assert_eq!(matcher.to_string().parse(), Ok(matcher));
            }
        }
    }
}
