//! Matchers, and the checked selectors made of them. Does not touch the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use picket_pattern::MAX_COMPILED_BYTES;
use regex::Regex;

/// Matchers of one selector: more than any expression that people write.
pub const MAX_MATCHERS: usize = 64;
/// Bytes of a matcher's value: room for an alternation of a thousand host names.
pub const MAX_PATTERN_BYTES: usize = 64 << 10;
/// How many compiled regular expressions are kept: rules ask with the same ones every interval. Most take some
/// kilobytes.
const MAX_KEPT_PATTERNS: usize = 512;

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// The label has this value; an absent label has the empty one.
    Equal,
    /// The label has another value.
    NotEqual,
    /// The whole value matches the regular expression.
    Regex,
    /// The whole value does not match the regular expression.
    NotRegex,
}

/// One condition on one label.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Matcher {
    /// The label's name; `__name__` is the metric's name.
    pub name: String,
    /// How to compare.
    pub op: Op,
    /// The value or the regular expression.
    pub value: String,
}

/// Series that satisfy every matcher. One at least must not match the empty string.
pub type Selector = Vec<Matcher>;

/// A matcher that is ready to use.
pub(crate) struct Test<'a> {
    pub(crate) name: &'a str,
    pub(crate) condition: Condition<'a>,
    /// Whether it holds for a series without the label.
    pub(crate) holds_for_none: bool,
}

pub(crate) enum Condition<'a> {
    Equal(&'a str),
    NotEqual(&'a str),
    Regex(Arc<Regex>),
    NotRegex(Arc<Regex>),
}

impl Condition<'_> {
    pub(crate) fn matches(&self, value: &str) -> bool {
        match self {
            Condition::Equal(expected) => value == *expected,
            Condition::NotEqual(other) => value != *other,
            Condition::Regex(regex) => regex.is_match(value),
            Condition::NotRegex(regex) => !regex.is_match(value),
        }
    }
}

/// Compiled regular expressions by their text.
#[derive(Default)]
pub(crate) struct Patterns {
    kept: Mutex<HashMap<String, Arc<Regex>>>,
}

impl Patterns {
    /// Checks and compiles a selector. The error says what is wrong with it.
    pub(crate) fn compile<'a>(&self, selector: &'a [Matcher]) -> Result<Vec<Test<'a>>, String> {
        if selector.len() > MAX_MATCHERS {
            return Err(format!("it has {} matchers; at most {MAX_MATCHERS} are allowed", selector.len()));
        }
        let tests = selector.iter().map(|matcher| self.test(matcher)).collect::<Result<Vec<_>, _>>()?;
        if tests.iter().all(|test| test.holds_for_none) {
            return Err("every matcher matches the empty string; one at least must not".to_owned());
        }
        Ok(tests)
    }

    fn test<'a>(&self, matcher: &'a Matcher) -> Result<Test<'a>, String> {
        let value = matcher.value.as_str();
        if value.len() > MAX_PATTERN_BYTES {
            return Err(format!(
                "the value for `{}` has {} bytes; at most {MAX_PATTERN_BYTES} are allowed",
                matcher.name,
                value.len()
            ));
        }
        let condition = match matcher.op {
            Op::Equal => Condition::Equal(value),
            Op::NotEqual => Condition::NotEqual(value),
            Op::Regex => Condition::Regex(self.regex(value)?),
            Op::NotRegex => Condition::NotRegex(self.regex(value)?),
        };
        Ok(Test { name: &matcher.name, holds_for_none: condition.matches(""), condition })
    }

    fn regex(&self, text: &str) -> Result<Arc<Regex>, String> {
        let lock = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(regex) = lock().get(text) {
            return Ok(Arc::clone(regex));
        }
        // Compiled outside the lock: a slow expression holds up only who asked with it.
        let regex = Arc::new(compile(text)?);
        let mut kept = lock();
        if kept.len() >= MAX_KEPT_PATTERNS {
            // One of them, whichever comes first: clearing all would compile everything anew each round when there
            // are a few more than may be kept.
            let one = kept.keys().next().cloned();
            one.and_then(|one| kept.remove(&one));
        }
        kept.insert(text.to_owned(), Arc::clone(&regex));
        Ok(regex)
    }
}

fn compile(text: &str) -> Result<Regex, String> {
    picket_pattern::anchored(text, MAX_COMPILED_BYTES)
        .map_err(|error| format!("`{}` is no usable regular expression: {error}", shorten(text)))
}

fn shorten(text: &str) -> String {
    const SHOWN: usize = 80;
    if text.chars().count() <= SHOWN {
        text.to_owned()
    } else {
        text.chars().take(SHOWN).chain("…".chars()).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use picket_pattern::testing::CASES;

    use super::*;

    fn matcher(op: Op, value: &str) -> Matcher {
        Matcher { name: "job".into(), op, value: value.into() }
    }

    fn check(op: Op, pattern: &str, value: &str, expected: bool) {
        let matcher = matcher(op, pattern);
        let test = Patterns::default().test(&matcher).unwrap();
        assert_eq!(test.condition.matches(value), expected, "{op:?} {pattern:?} {value:?}");
    }

    #[test]
    fn a_regular_expression_matches_the_whole_value() {
        check(Op::Regex, "a|b", "a", true);
        check(Op::Regex, "a|b", "ab", false);
        check(Op::Regex, "a|b", "xa", false);
        check(Op::Regex, "a.b", "a\nb", true);
        check(Op::NotRegex, "a.*", "b", true);
        check(Op::NotRegex, "a.*", "abc", false);
        check(Op::Equal, "a", "a", true);
        check(Op::NotEqual, "a", "", true);
    }

    #[test]
    fn regular_expressions_are_those_of_prometheus() {
        for case in CASES {
            let selector = [matcher(Op::Regex, case.pattern)];
            let found =
                Patterns::default().compile(&selector).map(|tests| tests[0].condition.matches(case.value));
            assert_eq!(found.ok(), case.expected, "{case:?}");
        }
    }

    fn check_refused(selector: &[Matcher], expected: &str) {
        let error = Patterns::default().compile(selector).err().unwrap();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        check_refused(&[], "empty string");
        check_refused(&[matcher(Op::Regex, ".*"), matcher(Op::NotEqual, "x")], "empty string");
        check_refused(&[matcher(Op::Regex, "a)|(b")], "no usable regular expression");
        check_refused(&[matcher(Op::Regex, "((a{1000}){1000})")], "no usable regular expression");
        check_refused(&[matcher(Op::Equal, &"x".repeat(MAX_PATTERN_BYTES + 1))], "65537 bytes");
        check_refused(&vec![matcher(Op::Equal, "x"); MAX_MATCHERS + 1], "65 matchers");
    }

    #[test]
    fn the_kept_expressions_are_bounded() {
        let patterns = Patterns::default();
        for number in 0..3 * MAX_KEPT_PATTERNS {
            patterns.compile(&[matcher(Op::Regex, &format!("x{number}"))]).unwrap();
        }
        assert!(patterns.kept.lock().unwrap().len() <= MAX_KEPT_PATTERNS);
    }
}
