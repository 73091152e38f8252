//! Writes tokens in the form that the parser understands.
//!
//! It differs from Prometheus in four ways: it reads escapes within raw texts, it knows no underscores within
//! numbers, it refuses an offset of `0s`, and it wants the labels that `info` selects not to match nothing, as if
//! they were a selector of series. The place of a token in the original is kept by its number.

use std::borrow::Cow;

use crate::scan::{Kind, Token};

/// What [`rewrite`] adds to the label selector of `info`: it is true for each metric.
pub(crate) const ANY_NAME: &str = "__name__!=\"\"";

/// The text of some tokens for the parser.
pub(crate) fn rewrite(tokens: &[Token<'_>]) -> String {
    let mut text = String::new();
    let mut end = 0;
    // By open parenthesis: whether it is that of `info`.
    let mut calls: Vec<bool> = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        // Words that touch stay so: only blanks and comments lie between the others.
        if token.start > end {
            text.push(' ');
        }
        text.push_str(&token_text(token));
        end = token.end();
        let before = index.checked_sub(1).map(|before| &tokens[before]);
        match token.text {
            "(" => calls.push(before.is_some_and(|before| before.text == "info")),
            ")" => drop(calls.pop()),
            "{" if calls.last() == Some(&true) && before.is_some_and(|before| before.kind == Kind::Comma) => {
                let is_empty = tokens.get(index + 1).is_none_or(|next| next.is("}"));
                text.push_str(ANY_NAME);
                text.push_str(if is_empty { "" } else { "," });
            }
            _ => {}
        }
    }
    text
}

fn token_text<'a>(token: &Token<'a>) -> Cow<'a, str> {
    match token.kind {
        Kind::Text if token.text.starts_with('`') && token.text.len() > 1 && token.text.ends_with('`') => {
            Cow::Owned(quote(&token.text[1..token.text.len() - 1]))
        }
        Kind::Number
            if token.is_duration() && token.text.bytes().all(|b| b == b'0' || b.is_ascii_alphabetic()) =>
        {
            Cow::Borrowed("0")
        }
        Kind::Number if token.text.contains('_') && number(token.text).is_some() => {
            Cow::Owned(token.text.replace('_', ""))
        }
        _ => Cow::Borrowed(token.text),
    }
}

/// A text in double quotes, escaped.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// The value of a number that is no duration. Underscores may stand between digits.
pub(crate) fn number(text: &str) -> Option<f64> {
    let digits = text.as_bytes();
    let lone = |index: usize| {
        let digit = |at: Option<usize>| at.and_then(|at| digits.get(at)).is_some_and(u8::is_ascii_hexdigit);
        digits[index] == b'_' && !(digit(index.checked_sub(1)) && digit(Some(index + 1)))
    };
    if (0..digits.len()).any(lone) {
        return None;
    }
    promql_parser::util::parse_str_radix(&text.replace('_', "")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::scan;

    #[test]
    fn only_what_the_parser_does_not_know_changes() {
        let cases = [
            ("a  offset 0s # c\n+ 1", "a offset 0 + 1"),
            ("`a\\d\"` ", "\"a\\\\d\\\"\""),
            ("1_000 + 1__0", "1000 + 1__0"),
            ("a{b=\"x\\n\"}[5m:1m]", "a{b=\"x\\n\"}[5m:1m]"),
            ("info(a{}, {b=~\".*\"})", "info(a{}, {__name__!=\"\",b=~\".*\"})"),
        ];
        for (text, want) in cases {
            assert_eq!(rewrite(&scan(text)), want);
        }
    }
}
