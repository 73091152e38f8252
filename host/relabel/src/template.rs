//! Texts with `$1`, `${1}`, `$name` and `${name}` in them, read as Go's `Regexp.Expand` reads them: a name goes
//! on for as long as there are letters, digits and underscores, `$$` is a dollar sign, and what does not exist
//! or did not match is empty. Source: <https://pkg.go.dev/regexp#Regexp.Expand>.

use regex::Captures;

/// A text with references to groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Number(usize),
    Name(String),
}

impl Template {
    /// Every text is one: a `$` that begins no reference stands for itself.
    pub(super) fn parse(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('$') {
            plain.push_str(before);
            rest = behind;
            if let Some(behind) = rest.strip_prefix('$') {
                plain.push('$');
                rest = behind;
            } else if let Some((name, behind)) = reference(rest) {
                parts.push(Part::Text(std::mem::take(&mut plain)));
                parts.push(Part::named(name));
                rest = behind;
            } else {
                plain.push('$');
            }
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        Self(parts)
    }

    /// With what was matched; cut after `most` bytes, at the end of a character.
    pub(super) fn expand(&self, captures: &Captures<'_>, most: usize) -> String {
        let mut out = String::new();
        for part in &self.0 {
            let text = match part {
                Part::Text(text) => text.as_str(),
                Part::Number(number) => captures.get(*number).map_or("", |found| found.as_str()),
                Part::Name(name) => captures.name(name).map_or("", |found| found.as_str()),
            };
            out.push_str(cut(text, most - out.len()));
        }
        out
    }
}

impl Part {
    /// A number with a leading zero is a name.
    fn named(name: &str) -> Self {
        let is_number =
            name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
        match name.parse() {
            Ok(number) if is_number => Self::Number(number),
            _ => Self::Name(name.to_owned()),
        }
    }
}

/// Behind `$`: the name, and what comes after the reference.
fn reference(rest: &str) -> Option<(&str, &str)> {
    let (braces, inside) = match rest.strip_prefix('{') {
        Some(inside) => (true, inside),
        None => (false, rest),
    };
    let end = inside.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(inside.len());
    let (name, behind) = inside.split_at(end);
    let behind = if braces { behind.strip_prefix('}')? } else { behind };
    (!name.is_empty()).then_some((name, behind))
}

/// At most so many bytes of a text, in whole characters.
pub(super) fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
