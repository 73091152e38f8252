//! Text from guests: cut at a bound, control characters made visible.

use std::borrow::Cow;

/// The longest prefix of at most `max` bytes that ends at a character boundary.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Shortens an owned text in place. Tells whether there was anything to cut.
pub(crate) fn cut_in_place(text: &mut String, max: usize) -> bool {
    let end = cut(text, max).len();
    let longer = end < text.len();
    text.truncate(end);
    longer
}

/// Makes control characters visible, so that a guest cannot move a terminal's cursor or start a
/// line of its own in a log.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if character.is_control() {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// A guest's message for people: cut, and with its control characters made visible.
pub(crate) fn message(text: &str, max: usize) -> String {
    escape(cut(text, max)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_a_character() {
        assert_eq!(cut("añb", 2), "a");
        assert_eq!(cut("añb", 3), "añ");
        assert_eq!(cut("ab", 9), "ab");
        let mut text = "añb".to_owned();
        assert!(cut_in_place(&mut text, 2));
        assert_eq!(text, "a");
        assert!(!cut_in_place(&mut text, 2));
    }

    #[test]
    fn control_characters_are_made_visible() {
        assert_eq!(escape("plain ü"), "plain ü");
        assert_eq!(escape("a\nb\x1b[2J\u{9b}"), "a\\nb\\u{1b}[2J\\u{9b}");
    }
}
