//! A series by its labels: `http_total{code="200"}`, `{__name__="up"}`, `{"name with spaces", "a.b"="c"}`.

use std::collections::BTreeMap;

use crate::places::NotationError;
use crate::scan::Cursor;

/// The label that holds a metric's name.
pub const NAME: &str = "__name__";

/// Labels by name; the metric's name is [`NAME`]. Empty values are left out: they are as good as absent.
pub type Labels = BTreeMap<String, String>;

/// Reads a series and nothing behind it.
pub fn parse_series(text: &str) -> Result<Labels, NotationError> {
    let mut cursor = Cursor::new(text);
    cursor.skip_blanks();
    let labels = series(&mut cursor)?;
    cursor.skip_blanks();
    match cursor.is_done() {
        true => Ok(labels),
        false => Err(cursor.error("only a metric's name and its labels are expected here")),
    }
}

/// Reads a series at the cursor.
pub(crate) fn series(cursor: &mut Cursor<'_>) -> Result<Labels, NotationError> {
    let mut labels = Labels::new();
    let name = cursor.name();
    if !name.is_empty() {
        labels.insert(NAME.to_owned(), name.to_owned());
    }
    let behind = cursor.offset();
    cursor.skip_blanks();
    // `{{` begins a native histogram.
    if cursor.rest().starts_with("{{") || !cursor.take("{") {
        if name.is_empty() {
            return Err(cursor.error("a metric's name or `{` is expected here"));
        }
        // Blanks belong to what follows.
        *cursor = cursor.at(behind);
        return Ok(labels);
    }
    cursor.skip_blanks();
    while !cursor.take("}") {
        label(cursor, &mut labels)?;
        cursor.skip_blanks();
        if !cursor.take(",") && cursor.peek() != Some('}') {
            return Err(cursor.error("`,` or `}` is expected here"));
        }
        cursor.skip_blanks();
    }
    labels.retain(|_, value| !value.is_empty());
    Ok(labels)
}

/// `name="value"`, or a metric's name in quotes.
fn label(cursor: &mut Cursor<'_>, labels: &mut Labels) -> Result<(), NotationError> {
    let start = cursor.at(cursor.offset());
    let is_quoted = matches!(cursor.peek(), Some('"' | '\'' | '`'));
    let name = if is_quoted { cursor.quoted()? } else { cursor.name().to_owned() };
    if name.is_empty() {
        return Err(cursor.error("a label's name is expected here"));
    }
    cursor.skip_blanks();
    let (name, value) = match cursor.take("=") {
        true => {
            cursor.skip_blanks();
            (name, cursor.quoted()?)
        }
        false if is_quoted => (NAME.to_owned(), name),
        false => return Err(cursor.error("`=` is expected behind a label's name")),
    };
    match labels.insert(name, value) {
        None => Ok(()),
        Some(_) => Err(start.error("this label stands twice")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn series_are_read_in_all_their_forms() {
        for (text, expected) in [
            ("up", &[(NAME, "up")][..]),
            ("a:b{}", &[(NAME, "a:b")]),
            ("{}", &[]),
            (" up { job = \"a\" , x='y', } ", &[(NAME, "up"), ("job", "a"), ("x", "y")]),
            ("{__name__=\"up\",job=``}", &[(NAME, "up")]),
            ("{\"a b\", \"c.d\"=\"e\"}", &[(NAME, "a b"), ("c.d", "e")]),
        ] {
            assert_eq!(parse_series(text), Ok(labels(expected)), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, column) in [
            ("", 1),
            ("1up", 1),
            ("up{", 4),
            ("up{job}", 7),
            ("up{job=a}", 8),
            ("up{a=\"1\" b=\"2\"}", 10),
            ("up{a=\"1\",a=\"2\"}", 10),
            ("up{__name__=\"x\"}", 4),
            ("up 1", 4),
            ("ü", 1),
        ] {
            assert_eq!(parse_series(text).unwrap_err().column, column, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}|[a-z{}=\",` ]{0,40}") {
            let _ = parse_series(&text);
        }

        #[test]
        fn what_is_written_reads_back(pairs in prop::collection::btree_map("[a-z]{1,4}", "[a-z \"]{1,6}", 0..5)) {
            let shown = crate::text::show(&pairs);
            prop_assert_eq!(parse_series(&shown), Ok(pairs));
        }
    }
}
