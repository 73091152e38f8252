//! Text from outside, made safe for terminals and log lines.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with control characters (line ends and escape sequences among them) and characters that
/// reorder or hide others written as `\n`, `\u{1b}` and the like. Text without them is not copied.
///
/// A log line or a file name that an attacker wrote can so neither colour the terminal, nor move its
/// cursor, nor begin a line of its own.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            harmful if is_harmful(harmful) => {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "\\u{{{:x}}}", u32::from(harmful));
            }
            plain => escaped.push(plain),
        }
    }
    Cow::Owned(escaped)
}

/// Control characters, and the format characters that make text look like another (bidirectional
/// overrides and isolates, zero-width ones, the byte order mark; <https://www.unicode.org/reports/tr36/>).
fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_characters_become_visible() {
        for (text, expected) in [
            ("plain – ümläut 日本", "plain – ümläut 日本"),
            ("a\x1b[31mb", "a\\u{1b}[31mb"),
            ("one\ntwo\r\n\tthree", "one\\ntwo\\r\\n\\tthree"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("exe\u{202e}txt", "exe\\u{202e}txt"),
            ("\0\u{7f}", "\\u{0}\\u{7f}"),
        ] {
            assert_eq!(escape(text), expected);
        }
    }

    proptest! {
        #[test]
        fn nothing_harmful_is_left(text in any::<String>()) {
            prop_assert!(!escape(&text).chars().any(is_harmful));
        }
    }
}
