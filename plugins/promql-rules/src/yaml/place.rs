//! Where a character of a scalar's text stands in the file.
//!
//! Folding, indentation and escapes change blanks but keep all other characters in their order. So the place
//! is found by counting those: the n-th character of the text that is no blank is the n-th in the file,
//! behind the quote or the block's header.

use super::{Position, Scalar, Style};

/// The place of the character `offset` (in characters) of a scalar's text in the file it came from; the next
/// one that is no blank where it is a blank, or the last where there is none.
pub(crate) fn of(file: &str, scalar: &Scalar, offset: usize) -> Option<Position> {
    let file = file.strip_prefix('\u{feff}').unwrap_or(file);
    let before = scalar.text.chars().take(offset).filter(|c| !c.is_whitespace()).count();
    let in_all = scalar.text.chars().filter(|c| !c.is_whitespace()).count();
    let wanted = before.min(in_all.checked_sub(1)?);
    let (start, end) = scalar.span;
    let raw: Vec<char> = file.chars().skip(start).take(end.checked_sub(start)?).collect();
    let at = marks(&raw, scalar.style).nth(wanted)?;
    // One line may begin before the scalar does, so the column is counted over the whole file.
    let (mut line, mut column) = (1, 1);
    for c in file.chars().take(start + at) {
        (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
    }
    Some(Position { line, column })
}

/// Where in the raw text the characters are that are no blanks.
fn marks(raw: &[char], style: Style) -> impl Iterator<Item = usize> {
    let start = properties(raw);
    let behind = raw.get(start..).unwrap_or_default();
    let mut at = start
        + match style {
            Style::Plain => 0,
            Style::SingleQuoted | Style::DoubleQuoted => 1,
            // The header (`|-`, `>2`, a comment) ends with its line. Depending on how the scanner counts,
            // the span begins with the header or behind it.
            Style::Block => match behind.first() {
                Some('|' | '>') => behind.iter().position(|&c| c == '\n').map_or(behind.len(), |end| end + 1),
                _ => 0,
            },
        };
    std::iter::from_fn(move || {
        loop {
            let start = at;
            let c = *raw.get(at)?;
            let (len, is_mark) = match (style, c) {
                (Style::SingleQuoted, '\'') if raw.get(at + 1) == Some(&'\'') => (2, true),
                (Style::DoubleQuoted, '\\') => escape(raw.get(at + 1).copied().unwrap_or('\n')),
                _ => (1, !c.is_whitespace()),
            };
            at += len;
            if is_mark {
                return Some(start);
            }
        }
    })
}

/// How long a tag and an anchor before a scalar are, which its span begins with.
fn properties(raw: &[char]) -> usize {
    let mut at = 0;
    while matches!(raw.get(at), Some('!' | '&')) {
        at += raw[at..].iter().take_while(|c| !c.is_whitespace()).count();
        at += raw[at..].iter().take_while(|c| c.is_whitespace()).count();
    }
    at
}

/// How long an escape is in a double quoted scalar, and whether it stands for something other than a blank.
fn escape(name: char) -> (usize, bool) {
    match name {
        'x' => (4, true),
        'u' => (6, true),
        'U' => (10, true),
        'n' | 't' | 'r' | 'v' | 'f' | ' ' | '\t' | '\n' | '_' | 'N' | 'L' | 'P' => (2, false),
        _ => (2, true),
    }
}
