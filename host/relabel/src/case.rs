//! Small and capital letters, one character for one, as Go's `strings.ToLower` and `strings.ToUpper` change
//! them: by Unicode's *simple* case mapping (Unicode Standard, section 5.18; `UnicodeData.txt`, fields 12 and
//! 13). Rust's own follow the full one, in which `ß` becomes two characters.

/// In small letters.
pub(super) fn lower(text: &str) -> String {
    text.chars().map(|letter| only(letter.to_lowercase()).unwrap_or_else(|| simple_lower(letter))).collect()
}

/// In capital letters.
pub(super) fn upper(text: &str) -> String {
    text.chars().map(|letter| only(letter.to_uppercase()).unwrap_or_else(|| simple_upper(letter))).collect()
}

fn only(mut letters: impl Iterator<Item = char>) -> Option<char> {
    letters.next().filter(|_| letters.next().is_none())
}

/// Of the one letter whose full mapping has two characters.
fn simple_lower(letter: char) -> char {
    if letter == '\u{130}' { 'i' } else { letter }
}

/// Of letters whose full mapping has several characters: those with an iota below have a letter of their own
/// for it, the others have none and stay.
fn simple_upper(letter: char) -> char {
    let after = match letter {
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => 8,
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => 9,
        _ => 0,
    };
    char::from_u32(u32::from(letter) + after).unwrap_or(letter)
}
