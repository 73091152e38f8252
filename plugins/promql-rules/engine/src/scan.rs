//! Splits an expression into words, only to know where things stand.
//!
//! The parser keeps no positions, neither in its tree nor in its errors, and it trusts its input. This scanner
//! finds the places to name in messages and what has to be refused before the parser sees it. It does not judge
//! the grammar: a text it splits oddly is one the parser refuses.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name or a keyword.
    Word,
    /// A number or a duration.
    Number,
    /// A quoted text.
    Text,
    /// `(`, `{` or `[`.
    Open,
    /// `)`, `}` or `]`.
    Close,
    Comma,
    /// An operator of one or two characters, `@` and `:` among them.
    Operator,
}

/// One token of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
    /// Where it begins, in bytes.
    pub(crate) start: usize,
}

impl Token<'_> {
    /// Whether it is this keyword or sign, in any case.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.text.eq_ignore_ascii_case(text)
    }

    /// Where it ends, in bytes.
    pub(crate) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Whether a number is a duration such as `5m`.
    pub(crate) fn is_duration(&self) -> bool {
        let hexadecimal = self.text.starts_with("0x") || self.text.starts_with("0X");
        self.kind == Kind::Number && !hexadecimal && self.text.ends_with(['s', 'm', 'h', 'd', 'w', 'y'])
    }
}

/// Splits a text into tokens. Blanks and comments are left out.
pub(crate) fn scan(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    let mut in_brackets = false;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (kind, len) = match first {
            c if c.is_whitespace() => (None, c.len_utf8()),
            '#' => (None, rest.find(['\n', '\r']).unwrap_or(rest.len())),
            '"' | '\'' | '`' => (Some(Kind::Text), text_len(rest, first)),
            '(' | '{' => (Some(Kind::Open), 1),
            '[' => {
                in_brackets = true;
                (Some(Kind::Open), 1)
            }
            ')' | '}' => (Some(Kind::Close), 1),
            ']' => {
                in_brackets = false;
                (Some(Kind::Close), 1)
            }
            ',' => (Some(Kind::Comma), 1),
            c if c.is_ascii_digit() || (c == '.' && rest[1..].starts_with(|d: char| d.is_ascii_digit())) => {
                (Some(Kind::Number), number_len(rest))
            }
            c if c.is_alphabetic() || c == '_' || (c == ':' && !in_brackets) => {
                (Some(Kind::Word), word_len(rest, in_brackets))
            }
            _ => (Some(Kind::Operator), operator_len(rest, first)),
        };
        if let Some(kind) = kind {
            tokens.push(Token { kind, text: &rest[..len], start: at });
        }
        at += len;
    }
    tokens
}

/// Length of a quoted text with its quotes; to the end when it is not closed.
fn text_len(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            c if c == quote => return index + 1,
            _ => {}
        }
    }
    rest.len()
}

fn number_len(rest: &str) -> usize {
    let hexadecimal = rest.starts_with("0x") || rest.starts_with("0X");
    let mut before = ' ';
    for (index, c) in rest.char_indices() {
        let sign = matches!(c, '+' | '-') && matches!(before, 'e' | 'E') && !hexadecimal;
        if !(c.is_ascii_alphanumeric() || c == '.' || c == '_' || sign) {
            return index;
        }
        before = c;
    }
    rest.len()
}

fn word_len(rest: &str, in_brackets: bool) -> usize {
    rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || (c == ':' && !in_brackets)))
        .unwrap_or(rest.len())
}

fn operator_len(rest: &str, first: char) -> usize {
    const TWO: [&str; 8] = ["==", "!=", "<=", ">=", "=~", "!~", "</", ">/"];
    if TWO.iter().any(|two| rest.starts_with(two)) { 2 } else { first.len_utf8() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn texts(text: &str) -> Vec<&str> {
        scan(text).iter().map(|token| token.text).collect()
    }

    #[test]
    fn splits_what_expressions_are_made_of() {
        let text = "sum by (a:b) (rate(x{y=~\"a\\\"b\"}[5m:1m] @ 1e-3)) >= bool 0x1f # end";
        let want =
            ["sum", "by", "(", "a:b", ")", "(", "rate", "(", "x", "{", "y", "=~", "\"a\\\"b\"", "}", "["]
                .into_iter()
                .chain(["5m", ":", "1m", "]", "@", "1e-3", ")", ")", ">=", "bool", "0x1f"])
                .collect::<Vec<_>>();
        assert_eq!(texts(text), want);
    }

    #[test]
    fn a_raw_text_has_no_escapes_and_an_open_one_ends_with_the_input() {
        assert_eq!(texts(r"`a\` b"), [r"`a\`", "b"]);
        assert_eq!(texts("\"ab"), ["\"ab"]);
    }
}
