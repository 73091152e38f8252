//! Finds the place of what the parser refuses, as it names none.
//!
//! A text is refused because of one token: all before it could still have become an expression. So the tokens are
//! bisected for the first one with which that is no longer so. Whether a beginning can still become an expression
//! is tried with a handful of endings.

use crate::guard::Fault;
use crate::position::Position;
use crate::rewrite::rewrite;
use crate::scan::{Kind, Token};

/// What the parser says of a text that does not follow its grammar.
const SYNTAX: &str = "invalid promql query";

/// What the parser refused with a message, with its place.
pub(crate) fn locate(tokens: &[Token<'_>], message: &str) -> Fault {
    if let Some(fault) = unbalanced(tokens) {
        return fault;
    }
    let (mut good, mut bad) = (0, tokens.len() + 1);
    while bad - good > 1 {
        let middle = good.midpoint(bad);
        if middle <= tokens.len() && !is_refused(&tokens[..middle], message) {
            good = middle
        } else {
            bad = middle
        }
    }
    let Some(token) = tokens.get(bad - 1) else {
        let end = tokens.last().map_or(0, Token::end);
        let message = if message == SYNTAX { "unexpected end of input" } else { message };
        return Fault::new(Position(end), message);
    };
    if message == SYNTAX {
        return Fault::new(Position(token.start), format!("unexpected {}", describe(token)));
    }
    Fault::new(Position(beginning(tokens, bad - 1)), in_prometheus_words(message))
}

/// The parser names types otherwise: `matrix` for a range vector and `vector` for an instant vector.
fn in_prometheus_words(message: &str) -> String {
    let Some(types) = message.strip_prefix("expected type ") else { return message.to_owned() };
    let name = |word: &str| match word {
        "matrix" => "range vector".to_owned(),
        "vector" => "instant vector".to_owned(),
        word => word.replace('\'', "\""),
    };
    let words: Vec<String> = types.split(' ').map(name).collect();
    format!("expected type {}", words.join(" "))
}

/// A bracket without its partner, or a text without its end.
fn unbalanced(tokens: &[Token<'_>]) -> Option<Fault> {
    let mut open: Vec<&Token<'_>> = Vec::new();
    for token in tokens {
        let place = Position(token.start);
        match token.kind {
            Kind::Open => open.push(token),
            Kind::Close if open.pop().is_none_or(|opened| partner(opened) != token.text) => {
                return Some(Fault::new(place, format!("unexpected {}", describe(token))));
            }
            Kind::Text if !token.text[1..].ends_with(&token.text[..1]) => {
                return Some(Fault::new(place, "unterminated quoted string"));
            }
            _ => {}
        }
    }
    let opened = open.first()?;
    // Something else may be wrong within the bracket that was never closed; it is the first thing to mend anyway.
    Some(Fault::new(Position(opened.start), format!("{:?} is never closed", opened.text)))
}

fn partner(open: &Token<'_>) -> &'static str {
    match open.text {
        "(" => ")",
        "[" => "]",
        _ => "}",
    }
}

/// Whether no ending makes an expression of these tokens, or each gives the message that is looked for.
fn is_refused(tokens: &[Token<'_>], message: &str) -> bool {
    let begin = rewrite(tokens);
    let mut open: Vec<&Token<'_>> = Vec::new();
    for token in tokens {
        match token.kind {
            Kind::Open => open.push(token),
            Kind::Close => drop(open.pop()),
            _ => {}
        }
    }
    let outer: String = open.iter().rev().skip(1).map(|token| partner(token)).collect();
    let inner = open.last().map_or("", |token| partner(token));
    let mut viable = false;
    for ending in endings(open.last().map_or("", |token| token.text)) {
        for behind in if inner == ")" { &["", " x", "(x)"][..] } else { &[""] } {
            match promql_parser::parser::parse(&format!("{begin}{ending}{inner}{behind}{outer}")) {
                Err(found) if found == message && message != SYNTAX => return true,
                Err(found) if is_syntax(&found) => {}
                _ => viable = true,
            }
        }
    }
    !viable
}

/// What may be missing at the end of a beginning, by the bracket that is still open there.
fn endings(open: &str) -> &'static [&'static str] {
    match open {
        "{" => &["", "=\"a\"", "\"a\"", "a=\"a\""],
        "[" => &["", "5m", "1m"],
        _ => &["", " x", " 1", " 5m", "(x)", "()", "(1) x", "(a) (x)"],
    }
}

/// Whether the parser says that the text itself is malformed and not what it means.
fn is_syntax(message: &str) -> bool {
    message == SYNTAX || message.starts_with("unexpected") || message.starts_with("bad number")
}

/// Where the call or the bracket begins that a closing bracket ends, else the token itself.
fn beginning(tokens: &[Token<'_>], index: usize) -> usize {
    let mut depth = 0usize;
    for at in (0..=index).rev() {
        match tokens[at].kind {
            Kind::Close => depth += 1,
            Kind::Open => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            let head = at.checked_sub(1).map(|before| &tokens[before]);
            let is_call = tokens[at].is("(") && head.is_some_and(|head| head.kind == Kind::Word);
            return if is_call { tokens[at - 1].start } else { tokens[at].start };
        }
    }
    tokens[index].start
}

fn describe(token: &Token<'_>) -> String {
    let what = match token.kind {
        Kind::Word => "identifier ",
        Kind::Number => "number ",
        Kind::Text => "string ",
        Kind::Open | Kind::Close | Kind::Comma | Kind::Operator => "",
    };
    format!("{what}{:?}", token.text)
}
