//! What is refused, or written differently, before the parser sees an expression.
//!
//! The parser trusts its input: it recurses without a bound, panics on durations that are too long, takes digits
//! it cannot hold as zero, and does not know all that Prometheus does. So this module
//! - bounds length and depth,
//! - checks every number that stands for a duration,
//! - names the place of syntax that is not supported,
//! - and writes tokens in the form that the parser understands ([`rewrite`]).

use crate::limits::{MAX_DEPTH, MAX_DURATION_MS, MAX_EXPRESSION_BYTES};
use crate::position::Position;
use crate::scan::{Kind, Token, scan};

/// What is wrong with an expression and where.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) place: Position,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(place: Position, message: impl Into<String>) -> Self {
        Self { place, message: message.into() }
    }

    fn at(token: &Token<'_>, message: impl Into<String>) -> Self {
        Self::new(Position(token.start), message)
    }
}

/// The tokens of an expression that the parser may see.
pub(crate) fn check(text: &str) -> Result<Vec<Token<'_>>, Fault> {
    if text.len() > MAX_EXPRESSION_BYTES {
        let message =
            format!("the expression has {} bytes, more than {MAX_EXPRESSION_BYTES}: split it", text.len());
        return Err(Fault::new(Position(0), message));
    }
    let tokens = scan(text);
    if tokens.is_empty() {
        return Err(Fault::new(Position(0), "no expression found in input"));
    }
    check_depth(&tokens)?;
    for index in 0..tokens.len() {
        check_token(&tokens, index)?;
    }
    check_brackets(&tokens)?;
    Ok(tokens)
}

/// An upper bound of the tree's depth: brackets, and all signs and operators since the bracket or comma before.
fn check_depth(tokens: &[Token<'_>]) -> Result<(), Fault> {
    let mut levels = vec![0usize];
    let mut depth = 0usize;
    for token in tokens {
        match token.kind {
            Kind::Open => {
                levels.push(1);
                depth += 1;
            }
            Kind::Close => depth -= if levels.len() > 1 { levels.pop().unwrap_or(0) } else { 0 },
            Kind::Comma => {
                let level = levels.last_mut().expect("the outermost level is never closed");
                depth -= level.saturating_sub(1);
                *level = (*level).min(1);
            }
            Kind::Operator | Kind::Word if is_operator(token) => {
                *levels.last_mut().expect("the outermost level is never closed") += 1;
                depth += 1;
            }
            _ => {}
        }
        if depth > MAX_DEPTH {
            let message = format!(
                "the expression nests more than {MAX_DEPTH} levels of brackets, signs and operators: split it"
            );
            return Err(Fault::at(token, message));
        }
    }
    Ok(())
}

fn is_operator(token: &Token<'_>) -> bool {
    match token.kind {
        Kind::Operator => !["@", ":", "=", "=~", "!~"].contains(&token.text),
        _ => ["and", "or", "unless", "atan2"].iter().any(|word| token.is(word)),
    }
}

fn check_token(tokens: &[Token<'_>], index: usize) -> Result<(), Fault> {
    let token = &tokens[index];
    let before = index.checked_sub(1).map(|before| &tokens[before]);
    match token.kind {
        Kind::Operator if token.is("</") || token.is(">/") => {
            Err(Fault::at(token, format!("{} trims native histograms, which are not supported", token.text)))
        }
        Kind::Open if token.is("{") && tokens.get(index + 1).is_some_and(|next| next.is("{")) => {
            Err(Fault::at(token, "native histograms are not supported"))
        }
        Kind::Word if token.is("anchored") || token.is("smoothed") => {
            let after_selector = before.is_some_and(|t| t.kind == Kind::Close || t.kind == Kind::Word);
            if after_selector {
                return Err(Fault::at(token, format!("the modifier {} is not supported", token.text)));
            }
            Ok(())
        }
        Kind::Word if (token.is("inf") || token.is("nan")) && follows_offset(tokens, index) => {
            Err(Fault::at(token, "duration out of range"))
        }
        Kind::Text => check_escapes(token),
        Kind::Number if token.is_duration() => check_duration(token),
        Kind::Number if follows_offset(tokens, index) => check_seconds(token),
        Kind::Word | Kind::Open if before.is_some_and(|t| t.is("offset")) && is_computed(tokens, index) => {
            Err(Fault::at(
                token,
                "durations that are computed are not supported, write a number with its unit",
            ))
        }
        _ => Ok(()),
    }
}

/// Whether `offset` stands before a token, with a sign between them or not.
fn follows_offset(tokens: &[Token<'_>], index: usize) -> bool {
    let before = |steps: usize| index.checked_sub(steps).map(|at| &tokens[at]);
    let signed = before(1).is_some_and(|t| t.is("-") || t.is("+"));
    before(if signed { 2 } else { 1 }).is_some_and(|t| t.is("offset"))
}

/// Whether what stands behind `offset` is a computed duration and `offset` not just a metric's name.
fn is_computed(tokens: &[Token<'_>], index: usize) -> bool {
    let token = &tokens[index];
    let behind_selector = index >= 2 && matches!(tokens[index - 2].kind, Kind::Word | Kind::Close);
    behind_selector
        && (token.is("(") || ["step", "range", "min_of", "max_of"].iter().any(|word| token.is(word)))
}

/// Within `[…]` only numbers and one colon are known.
fn check_brackets(tokens: &[Token<'_>]) -> Result<(), Fault> {
    let mut inside = false;
    for token in tokens {
        match token.kind {
            Kind::Open if token.is("[") => inside = true,
            Kind::Close if token.is("]") => inside = false,
            Kind::Number if inside && !token.is_duration() => check_seconds(token)?,
            Kind::Operator if inside && token.is(":") => {}
            Kind::Operator | Kind::Word | Kind::Open if inside => {
                let message = "durations that are computed are not supported, write a number with its unit";
                return Err(Fault::at(token, message));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The parser takes an escaped byte for the character of that number. Beyond ASCII that is another text.
fn check_escapes(token: &Token<'_>) -> Result<(), Fault> {
    if token.text.starts_with('`') {
        return Ok(());
    }
    let mut rest = token.text;
    while let Some(at) = rest.find('\\') {
        let escape = &rest[at + 1..];
        let (digits, radix) = match escape.chars().next() {
            Some('x') => (escape.get(1..3), 16),
            Some('0'..='7') => (escape.get(..3), 8),
            _ => (None, 10),
        };
        if digits.is_some_and(|digits| u32::from_str_radix(digits, radix).is_ok_and(|byte| byte > 0x7f)) {
            let message = "escaped bytes beyond ASCII are not supported, write the character itself";
            return Err(Fault::at(token, message));
        }
        rest = escape.strip_prefix('\\').unwrap_or(escape);
    }
    Ok(())
}

/// The parser takes a part of a duration that does not fit into 32 bits as zero.
fn check_duration(token: &Token<'_>) -> Result<(), Fault> {
    let mut groups = token.text.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    if groups.any(|digits| digits.parse::<u32>().is_err()) {
        return Err(Fault::at(token, "duration out of range"));
    }
    Ok(())
}

/// Seconds without a unit. The parser panics on those that no duration holds.
fn check_seconds(token: &Token<'_>) -> Result<(), Fault> {
    let seconds = crate::rewrite::number(token.text);
    match seconds {
        Some(seconds) if (0.0..=(MAX_DURATION_MS / 1_000) as f64).contains(&seconds) => Ok(()),
        Some(_) => Err(Fault::at(token, "duration out of range")),
        None => Err(Fault::at(token, format!("bad number or duration syntax: {:?}", token.text))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn fault(text: &str) -> (usize, String) {
        let fault = check(text).unwrap_err();
        (fault.place.0, fault.message)
    }

    #[test]
    fn the_bounds_hold_and_what_is_at_them_passes() {
        let nested = |levels: usize| "(".repeat(levels) + "1" + &")".repeat(levels);
        assert!(check(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(fault(&nested(MAX_DEPTH + 1)).0, MAX_DEPTH);
        assert!(check(&"-".repeat(MAX_DEPTH + 1)).is_err());
        assert!(check(&"a or ".repeat(MAX_DEPTH + 1)).is_err());
        assert!(check(&format!("f({})", "a + b,".repeat(4 * MAX_DEPTH))).is_ok());
        assert!(check(&" ".repeat(MAX_EXPRESSION_BYTES + 1)).is_err());
        assert!(check("))))").is_ok(), "the parser's to refuse");
    }

    #[test]
    fn what_the_parser_would_take_wrongly_is_refused_with_its_place() {
        assert_eq!(fault("a[99999999999s]"), (2, "duration out of range".into()));
        assert_eq!(fault("a offset 1e300"), (9, "duration out of range".into()));
        assert_eq!(fault("a[inf]").0, 2);
        assert_eq!(fault("a offset - Inf").0, 11);
        assert_eq!(fault("a offset nan").0, 9);
        assert_eq!(fault(r#"f(a, "\\xzz\xc3")"#).0, 5);
        assert!(check(r#""\\xff" + '\x41' + `\xff`"#).is_ok());
    }
}
