//! The cases that all places agree about, what only a search does, and quoting and classes for any character.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::testing::CASES;
use super::*;

#[test]
fn expressions_mean_what_they_mean_in_go() {
    for case in CASES {
        let found = anchored(case.pattern, MAX_COMPILED_BYTES).map(|regex| regex.is_match(case.value));
        assert_eq!(found.clone().ok(), case.expected, "{case:?}: {found:?}");
    }
}

#[test]
fn a_search_finds_its_expression_anywhere_but_in_brackets_that_are_not_its_own() {
    let found = |go: &str, text: &str| search(go, MAX_COMPILED_BYTES).map(|regex| regex.is_match(text));
    assert_eq!(found(r"\d{id}", "x5{id}y"), Ok(true));
    assert_eq!(found(r"\Q.*", "a.*b"), Ok(true));
    assert_eq!(found("a.b", "a\nb"), Ok(false));
    assert_eq!(found("^b", "ab"), Ok(false));
    assert!(found("a)(b", "").is_err());
}

#[test]
fn what_is_wrong_is_said() {
    let error = |go: &str| anchored(go, MAX_COMPILED_BYTES).unwrap_err().to_string();
    assert_eq!(error("a)(b"), "unexpected `)`");
    assert_eq!(error("(a"), "unclosed group");
    assert_eq!(error("a{1001}"), "invalid repeat count: at most 1000 are possible");
    assert_eq!(anchored("((a{1000}){1000})", 1000).unwrap_err(), PatternError::TooLarge(1000));
    assert!(anchored("[a-z]{200}", 1000).is_err() && anchored("[a-z]{200}", MAX_COMPILED_BYTES).is_ok());
}

proptest! {
    /// Whatever the text, it is an expression or an error, with anchors around it or without.
    #[test]
    fn no_text_breaks_it(go in r"[a-c0-2(){}|\[\]\\^$?*+.,:<>PpQEdwsbxi-]{0,16}") {
        let whole = anchored(&go, MAX_COMPILED_BYTES);
        let found = search(&go, MAX_COMPILED_BYTES);
        prop_assert!(whole.is_ok() == found.is_ok() || (found.is_ok() && go.contains(r"\Q")), "{whole:?} {found:?}");
    }

    /// Quoted text matches itself and nothing else.
    #[test]
    fn quoted_text_is_literal(quoted in "[^\\\\]{0,20}", other in any::<String>()) {
        let regex = anchored(&format!(r"\Q{quoted}\E"), MAX_COMPILED_BYTES).unwrap();
        prop_assert!(regex.is_match(&quoted));
        prop_assert_eq!(regex.is_match(&other), quoted == other);
    }

    /// A class of single characters matches these characters, whichever they are.
    #[test]
    fn a_class_holds_its_characters(inside in prop::collection::vec(any::<char>(), 1..8), other in any::<char>()) {
        let escape = |char: char| if char.is_ascii_punctuation() { format!("\\{char}") } else { char.to_string() };
        let class: String = inside.iter().copied().map(escape).collect();
        let regex = anchored(&format!("[{class}]"), MAX_COMPILED_BYTES).unwrap();
        for char in &inside {
            prop_assert!(regex.is_match(&char.to_string()));
        }
        prop_assert_eq!(regex.is_match(&other.to_string()), inside.contains(&other));
    }

}
