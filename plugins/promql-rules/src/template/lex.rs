//! Splits a template into text and the words of its actions.

use super::ParseError;
use super::text::unquote;

/// A word of an action, or what stands between actions.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// What stands outside of actions.
    Text(String),
    /// `{{`
    Open,
    /// `}}`
    Close,
    /// A function, a keyword, `true`, `false`, `nil`.
    Word(String),
    /// `.name`
    Field(String),
    /// `$name` or `$`.
    Variable(String),
    Dot,
    Int(i64),
    Float(f64),
    Quoted(String),
    Pipe,
    Left,
    Right,
    Comma,
    /// `:=`
    Declare,
    /// `=`
    Assign,
}

/// A token, where it stands in bytes, and whether a blank stands before it.
#[derive(Debug, Clone)]
pub(super) struct Lexed {
    pub(super) token: Token,
    pub(super) at: usize,
    pub(super) spaced: bool,
}

/// Splits a template.
pub(super) fn lex(source: &str) -> Result<Vec<Lexed>, ParseError> {
    let mut lexer = Lexer { source, at: 0, tokens: Vec::new() };
    let mut trims = false;
    while lexer.at < source.len() {
        let rest = &source[lexer.at..];
        let text = rest.split("{{").next().unwrap_or_default();
        let opens = text.len() < rest.len();
        let after = &rest[text.len()..];
        let trims_before = opens && after.strip_prefix("{{-").is_some_and(starts_blank);
        let mut shown = if trims { text.trim_start_matches(is_blank) } else { text };
        if trims_before {
            shown = shown.trim_end_matches(is_blank);
        }
        if !shown.is_empty() {
            lexer.push(Token::Text(shown.to_owned()), false);
        }
        lexer.at += text.len();
        if !opens {
            break;
        }
        let start = lexer.at;
        lexer.at += if trims_before { 3 } else { 2 };
        let inside = &source[lexer.at..];
        let skipped = if trims_before { inside.len() - inside.trim_start_matches(is_blank).len() } else { 0 };
        trims = match inside[skipped..].starts_with("/*") {
            true => lexer.comment(start, skipped)?,
            false => {
                lexer.tokens.push(Lexed { token: Token::Open, at: start, spaced: false });
                lexer.action(start)?
            }
        };
    }
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    tokens: Vec<Lexed>,
}

impl Lexer<'_> {
    fn push(&mut self, token: Token, spaced: bool) {
        self.tokens.push(Lexed { token, at: self.at, spaced });
    }

    /// A comment; whether blanks behind it are cut.
    fn comment(&mut self, start: usize, skipped: usize) -> Result<bool, ParseError> {
        let inside = &self.source[self.at + skipped..];
        let end = inside.find("*/").ok_or_else(|| error(self.source, start, "the comment has no end"))?;
        self.at += skipped + end + 2;
        let rest = &self.source[self.at..];
        let trimmed = rest.trim_start_matches(is_blank);
        let (len, trims) = if rest.starts_with("}}") {
            (2, false)
        } else if trimmed.len() < rest.len() && trimmed.starts_with("-}}") {
            (rest.len() - trimmed.len() + 3, true)
        } else {
            return Err(error(self.source, start, "a comment ends with `*/}}`"));
        };
        self.at += len;
        Ok(trims)
    }

    /// The words of an action up to its end; whether blanks behind it are cut.
    fn action(&mut self, start: usize) -> Result<bool, ParseError> {
        loop {
            let rest = &self.source[self.at..];
            let trimmed = rest.trim_start_matches(is_blank);
            let spaced = trimmed.len() < rest.len();
            self.at += rest.len() - trimmed.len();
            if spaced && trimmed.starts_with("-}}") {
                self.push(Token::Close, true);
                self.at += 3;
                return Ok(true);
            }
            if trimmed.starts_with("}}") {
                self.push(Token::Close, spaced);
                self.at += 2;
                return Ok(false);
            }
            if trimmed.is_empty() {
                return Err(error(self.source, start, "the action has no end: `}}` is missing"));
            }
            let (token, len) = self.word(trimmed)?;
            self.push(token, spaced);
            self.at += len;
        }
    }

    fn word(&self, rest: &str) -> Result<(Token, usize), ParseError> {
        let first = rest.chars().next().unwrap_or(' ');
        let wrong = |message: String| Err(error(self.source, self.at, message));
        let name = |rest: &str| rest.len() - rest.trim_start_matches(is_name).len();
        let second_is_digit = rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        let token = match first {
            '|' => (Token::Pipe, 1),
            '(' => (Token::Left, 1),
            ')' => (Token::Right, 1),
            ',' => (Token::Comma, 1),
            '=' => (Token::Assign, 1),
            ':' if rest.starts_with(":=") => (Token::Declare, 2),
            '"' | '`' | '\'' => return self.quoted(rest, first),
            '0'..='9' | '+' | '-' => return self.number(rest),
            '.' if second_is_digit => return self.number(rest),
            '.' => match name(&rest[1..]) {
                0 => (Token::Dot, 1),
                len => (Token::Field(rest[1..=len].to_owned()), len + 1),
            },
            '$' => {
                let len = 1 + name(&rest[1..]);
                (Token::Variable(rest[..len].to_owned()), len)
            }
            first if is_name(first) => (Token::Word(rest[..name(rest)].to_owned()), name(rest)),
            other => return wrong(format!("`{}` has no place in an action", other.escape_debug())),
        };
        Ok(token)
    }

    fn quoted(&self, rest: &str, quote: char) -> Result<(Token, usize), ParseError> {
        let mut escaped = false;
        let end = rest.char_indices().skip(1).find(|&(_, c)| {
            let ends = c == quote && !escaped;
            escaped = c == '\\' && !escaped && quote != '`';
            ends
        });
        let unended = || error(self.source, self.at, "the text has no closing quote");
        let (end, _) = end.ok_or_else(unended)?;
        let inner = &rest[1..end];
        if quote == '`' {
            return Ok((Token::Quoted(inner.to_owned()), end + 1));
        }
        let text = (!inner.contains('\n')).then(|| unquote(inner)).flatten();
        let text =
            text.ok_or_else(|| error(self.source, self.at, format!("{} is no text", &rest[..=end])))?;
        if quote == '"' {
            return Ok((Token::Quoted(text), end + 1));
        }
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(one), None) => Ok((Token::Int(i64::from(u32::from(one))), end + 1)),
            _ => Err(error(
                self.source,
                self.at,
                "single quotes hold one character: use double quotes for a text",
            )),
        }
    }

    fn number(&self, rest: &str) -> Result<(Token, usize), ParseError> {
        let mut before = ' ';
        let is_part = |c: char| {
            let sign = matches!(c, '+' | '-') && (before == ' ' || matches!(before, 'e' | 'E'));
            before = c;
            sign || c == '.' || is_name(c)
        };
        let text = &rest[..rest.len() - rest.trim_start_matches(is_part).len()];
        let token = number(&text.replace('_', ""));
        let token = token.ok_or_else(|| error(self.source, self.at, format!("`{text}` is no number")))?;
        Ok((token, text.len()))
    }
}

fn number(text: &str) -> Option<Token> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let radix = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => 16,
        Some("0o") => 8,
        Some("0b") => 2,
        _ => 10,
    };
    if radix != 10 {
        return i64::from_str_radix(&digits[2..], radix).ok().map(|number| Token::Int(sign * number));
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    match text.parse() {
        Ok(number) => Some(Token::Int(number)),
        Err(_) => text.parse().ok().map(Token::Float),
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn starts_blank(text: &str) -> bool {
    text.starts_with(is_blank)
}

fn is_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// An error at a place in bytes.
pub(super) fn error(source: &str, at: usize, message: impl Into<String>) -> ParseError {
    let offset = source.get(..at).unwrap_or(source).chars().count();
    ParseError { offset, message: message.into() }
}
