//! Where the leaves and the calls of the tree stand, found again from the tokens.
//!
//! The parser's tree has no positions. But its leaves and the names of its functions and aggregations come in the
//! order of the text, so walking the tree and this list side by side gives each its place.

use crate::position::Position;
use crate::scan::{Kind, Token};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Atom {
    /// A function's or an aggregation's name.
    Head,
    Selector,
    Number,
    Text,
}

/// The atoms of an expression in their order.
#[derive(Debug)]
pub(crate) struct Atoms {
    atoms: Vec<(Atom, Position)>,
    next: usize,
    last: Position,
}

impl Atoms {
    pub(crate) fn of(tokens: &[Token<'_>]) -> Self {
        let mut atoms = Vec::new();
        let mut index = 0;
        while index < tokens.len() {
            index = atom_at(tokens, index, &mut atoms);
        }
        Self { atoms, next: 0, last: Position::default() }
    }

    /// The place of the next atom, which should be of this kind. If it is not, the last known place.
    pub(crate) fn take(&mut self, want: Atom) -> Position {
        if let Some(&(atom, place)) = self.atoms.get(self.next)
            && atom == want
        {
            self.next += 1;
            self.last = place;
        }
        self.last
    }
}

/// Looks at one token, notes the atom that begins there, and gives the next token to look at.
fn atom_at(tokens: &[Token<'_>], index: usize, atoms: &mut Vec<(Atom, Position)>) -> usize {
    let token = &tokens[index];
    let followed_by = |text: &str| tokens.get(index + 1).is_some_and(|next| next.is(text));
    let mut note = |atom, place: usize| atoms.push((atom, Position(place)));
    match token.kind {
        Kind::Number => note(Atom::Number, signed_start(tokens, index)),
        Kind::Text => note(Atom::Text, token.start),
        Kind::Open if token.is("{") => {
            note(Atom::Selector, token.start);
            return behind(tokens, index, "}");
        }
        Kind::Open if token.is("[") => return behind(tokens, index, "]"),
        Kind::Operator if token.is("@") => return behind_time(tokens, index + 1),
        Kind::Word if token.is("offset") && !is_operand(tokens, index) => {
            return behind_time(tokens, index + 1);
        }
        Kind::Word if is_list_keyword(token) && followed_by("(") => return behind(tokens, index + 1, ")"),
        Kind::Word if ["group_left", "group_right", "bool"].iter().any(|word| token.is(word)) => {}
        Kind::Word if token.is("inf") || token.is("nan") => note(Atom::Number, signed_start(tokens, index)),
        Kind::Word if followed_by("(") && is_operand(tokens, index) => note(Atom::Head, token.start),
        Kind::Word if (followed_by("by") || followed_by("without")) && is_operand(tokens, index) => {
            note(Atom::Head, token.start);
        }
        Kind::Word if is_operand(tokens, index) => {
            note(Atom::Selector, token.start);
            if followed_by("{") {
                return behind(tokens, index + 1, "}");
            }
        }
        _ => {}
    }
    index + 1
}

/// Keywords before a list in parentheses that holds no expression.
fn is_list_keyword(token: &Token<'_>) -> bool {
    const KEYWORDS: [&str; 9] =
        ["by", "without", "on", "ignoring", "group_left", "group_right", "fill", "fill_left", "fill_right"];
    KEYWORDS.iter().any(|word| token.is(word))
}

/// Whether a token stands where an operand begins, so that a keyword there is a name.
fn is_operand(tokens: &[Token<'_>], index: usize) -> bool {
    let Some(before) = index.checked_sub(1).map(|before| &tokens[before]) else { return true };
    match before.kind {
        Kind::Open | Kind::Comma | Kind::Operator => true,
        Kind::Word => ["and", "or", "unless", "atan2", "bool", "group_left", "group_right"]
            .iter()
            .any(|word| before.is(word)),
        // Behind a list such as `on (…)`, and behind the one of `sum by (…)`, which is followed by `(`.
        Kind::Close => before.is(")") && list_begins_with_keyword(tokens, index - 1),
        Kind::Number | Kind::Text => false,
    }
}

fn list_begins_with_keyword(tokens: &[Token<'_>], close: usize) -> bool {
    let open = tokens[..close].iter().rposition(|token| token.kind == Kind::Open);
    let keyword = open.and_then(|open| open.checked_sub(1)).map(|before| &tokens[before]);
    keyword.is_some_and(|word| is_list_keyword(word) && !word.is("by") && !word.is("without"))
}

/// The start of the signs before a number that the parser takes as a part of it.
fn signed_start(tokens: &[Token<'_>], index: usize) -> usize {
    let mut first = index;
    while first > 0
        && (tokens[first - 1].is("-") || tokens[first - 1].is("+"))
        && is_operand(tokens, first - 1)
    {
        first -= 1;
    }
    tokens[first].start
}

/// The token behind the next one that is this sign.
fn behind(tokens: &[Token<'_>], from: usize, close: &str) -> usize {
    tokens[from..].iter().position(|token| token.is(close)).map_or(tokens.len(), |found| from + found + 1)
}

/// The token behind the time of `@` or `offset`: a number with or without a sign, or `start()` and `end()`.
fn behind_time(tokens: &[Token<'_>], from: usize) -> usize {
    let signed = tokens.get(from).is_some_and(|token| token.is("-") || token.is("+"));
    let from = from + usize::from(signed);
    let is_call = tokens.get(from + 1).is_some_and(|token| token.is("("));
    if is_call && tokens[from].kind == Kind::Word { from + 3 } else { from + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::scan;

    fn atoms(text: &str) -> Vec<(Atom, usize)> {
        Atoms::of(&scan(text)).atoms.into_iter().map(|(atom, place)| (atom, place.0)).collect()
    }

    #[test]
    fn they_come_in_the_order_of_the_text() {
        use Atom::{Head, Number, Selector, Text};
        let text = "sum by (a) (rate(x{b=\"c\"}[5m] @ start() offset -5m)) / on (a) group_left y + -1";
        let want = vec![(Head, 0), (Head, 12), (Selector, 17), (Selector, 73), (Number, 77)];
        assert_eq!(atoms(text), want);
        let text = "label_join({__name__=\"x\"}, 'a', \"b\") or topk(5, fill) unless on(z) sum";
        let want = vec![
            (Head, 0),
            (Selector, 11),
            (Text, 27),
            (Text, 32),
            (Head, 40),
            (Number, 45),
            (Selector, 48),
            (Selector, 67),
        ];
        assert_eq!(atoms(text), want);
    }
}
