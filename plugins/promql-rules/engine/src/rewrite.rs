//! Writes tokens in the form that the parser understands.
//!
//! It differs from Prometheus in five ways: it reads escapes within raw texts, it knows no underscores within
//! numbers, it refuses an offset of `0s`, it wants the labels that `info` selects not to match nothing, as if
//! they were a selector of series, and it reads regular expressions in Rust's syntax. So it sees none: in the place
//! of each stands its token's number, by which [`pattern`] finds it again. The place of a token in the original is
//! kept by its number.

use std::borrow::Cow;

use crate::position::Position;
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
        let before = index.checked_sub(1).map(|before| &tokens[before]);
        match before.and_then(|before| stand_in(before, token, index)) {
            Some(stand_in) => text.push_str(&stand_in),
            None => text.push_str(&token_text(token)),
        }
        end = token.end();
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

/// What the parser sees of a regular expression: one that leaves it to `lower` whether the empty text matches.
fn stand_in(before: &Token<'_>, token: &Token<'_>, index: usize) -> Option<String> {
    let stand_in = match before.text {
        "=~" => format!("\"{index}\""),
        "!~" => format!("\"|{index}\""),
        _ => return None,
    };
    unquoted(token).map(|_| stand_in)
}

/// The regular expression for which a value of the parser's tree stands, and where its label is named.
pub(crate) fn pattern(stand_in: &str, tokens: &[Token<'_>]) -> Option<(Position, String)> {
    let index: usize = stand_in.strip_prefix('|').unwrap_or(stand_in).parse().ok()?;
    let [name, _, value] = tokens.get(index.checked_sub(2)?..=index)? else { return None };
    Some((Position(name.start), unquoted(value)?))
}

/// What a text is without quotes and escapes; none when it has none that are right, and the parser says so.
fn unquoted(token: &Token<'_>) -> Option<String> {
    // The function panics on a backslash before such a character.
    let (mut rest, mut is_unknown) = (token.text, false);
    while let Some((_, behind)) = rest.split_once('\\') {
        is_unknown |= behind.starts_with(|next: char| !next.is_ascii());
        rest = behind.strip_prefix('\\').unwrap_or(behind);
    }
    if token.kind != Kind::Text || (is_unknown && !token.text.starts_with('`')) {
        return None;
    }
    promql_parser::util::unquote_string(token.text).ok()
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
    fn a_regular_expression_is_found_again() {
        let tokens = scan("a{b=~\"\\\\d\\n\",c!~`\\d`}");
        assert_eq!(pattern("4", &tokens), Some((Position(2), "\\d\n".to_owned())));
        assert_eq!(pattern("|8", &tokens), Some((Position(13), "\\d".to_owned())));
        assert_eq!(pattern("0", &tokens), None);
        assert_eq!(pattern("x", &tokens), None);
        assert_eq!(pattern("4", &scan("a{b=~\"\\é\"}")), None);
        assert_eq!(pattern("4", &scan("a{b=~`\\é`}")), Some((Position(2), "\\é".to_owned())));
    }

    #[test]
    fn only_what_the_parser_does_not_know_changes() {
        let cases = [
            ("a  offset 0s # c\n+ 1", "a offset 0 + 1"),
            ("`a\\d\"` ", "\"a\\\\d\\\"\""),
            ("1_000 + 1__0", "1000 + 1__0"),
            ("a{b=\"x\\n\"}[5m:1m]", "a{b=\"x\\n\"}[5m:1m]"),
            ("info(a{}, {b=\"\"})", "info(a{}, {__name__!=\"\",b=\"\"})"),
            ("a{b=~\".*\",c!~'(',d=~\"\\q\"}", "a{b=~\"4\",c!~\"|8\",d=~\"\\q\"}"),
        ];
        for (text, want) in cases {
            assert_eq!(rewrite(&scan(text)), want);
        }
    }
}
