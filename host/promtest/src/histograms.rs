//! Which cases of `.test` files need native histograms, so that they can be left out with that reason.
//!
//! A case needs them when its expression or its expected result writes one, or when one of its selectors may
//! match a series that was loaded with one. Selectors are looked for without understanding the expression
//! around them: a case that is left out needlessly would be a hole, so selectors are compared label by label.

use std::collections::BTreeSet;

use picket_pattern::{MAX_COMPILED_BYTES, anchored};

use crate::cases::{Case, Results};
use crate::scan::Cursor;
use crate::script::Load;
use crate::series::{Labels, NAME};
use crate::values::Point;

/// The label of a classic histogram's upper bounds.
const BOUND: &str = "le";
/// How the series of a classic histogram's buckets is called behind the histogram's name.
const BUCKET: &str = "_bucket";

/// The series that hold native histograms.
#[derive(Debug, Clone, Default)]
pub struct Histograms(BTreeSet<Labels>);

impl Histograms {
    /// Takes note of what is loaded.
    pub fn loaded(&mut self, load: &Load) {
        for series in &load.series {
            if series.points.contains(&Point::Histogram) {
                self.0.insert(series.labels.clone());
            }
            let base = series.labels.get(NAME).and_then(|name| name.strip_suffix(BUCKET));
            if let (true, Some(base)) = (load.with_nhcb && series.labels.contains_key(BOUND), base) {
                let mut labels = series.labels.clone();
                labels.remove(BOUND);
                labels.insert(NAME.to_owned(), base.to_owned());
                self.0.insert(labels);
            }
        }
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Why the case cannot be run without native histograms; none when it can.
    pub fn needed_by(&self, case: &Case) -> Option<String> {
        if case.expression.contains("{{") {
            return Some("the expression holds a native histogram".to_owned());
        }
        let rows = match &case.expected.results {
            Results::Series(rows) | Results::Matrix { rows, .. } => rows.as_slice(),
            _ => &[],
        };
        if rows.iter().any(|(_, points)| points.contains(&Point::Histogram)) {
            return Some("the expected result holds a native histogram".to_owned());
        }
        let selectors = selectors(&case.expression);
        let found =
            self.0.iter().find(|labels| selectors.iter().any(|selector| selector.may_match(labels)))?;
        Some(format!("it selects `{}`, which holds native histograms", crate::text::show(found)))
    }
}

/// A selector as far as it matters here.
#[derive(Debug, Default)]
struct Selector(Vec<Matcher>);

#[derive(Debug)]
struct Matcher {
    name: String,
    /// `=`, `!=`, `=~` or `!~`.
    operator: &'static str,
    value: String,
}

impl Selector {
    fn may_match(&self, labels: &Labels) -> bool {
        self.0.iter().all(|matcher| {
            let value = labels.get(&matcher.name).map_or("", String::as_str);
            let matches = || anchored(&matcher.value, MAX_COMPILED_BYTES).map(|regex| regex.is_match(value));
            match matcher.operator {
                "=" => value == matcher.value,
                "!=" => value != matcher.value,
                "=~" => matches().unwrap_or(true),
                _ => matches().map(|matches| !matches).unwrap_or(true),
            }
        })
    }
}

/// Everything in an expression that could be a selector. A function's name or a keyword counts as one too: no
/// series is called like that.
fn selectors(expression: &str) -> Vec<Selector> {
    let mut found = Vec::new();
    let mut cursor = Cursor::new(expression);
    while let Some(next) = cursor.peek() {
        let name = cursor.name();
        if !name.is_empty() || next == '{' {
            found.push(selector(&mut cursor, name));
        } else if matches!(next, '"' | '\'' | '`') {
            if cursor.quoted().is_err() {
                break;
            }
        } else {
            // Digits and what follows them are a number or a duration, and no name.
            let is_number = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
            match next.is_ascii_digit() {
                true => drop(cursor.take_while(is_number)),
                false => cursor = cursor.at(cursor.offset() + next.len_utf8()),
            }
        }
    }
    found
}

/// The name that was read, and the matchers behind it as far as they can be read.
fn selector(cursor: &mut Cursor<'_>, name: &str) -> Selector {
    let mut selector = Selector::default();
    if !name.is_empty() {
        selector.0.push(Matcher { name: NAME.to_owned(), operator: "=", value: name.to_owned() });
    }
    let behind = cursor.offset();
    cursor.skip_blanks();
    if !cursor.take("{") {
        *cursor = cursor.at(behind);
        return selector;
    }
    loop {
        cursor.take_while(|c| c.is_whitespace() || c == ',');
        let is_quoted = matches!(cursor.peek(), Some('"' | '\'' | '`'));
        let label = if is_quoted { cursor.quoted().unwrap_or_default() } else { cursor.name().to_owned() };
        cursor.skip_blanks();
        let operator = ["=~", "!~", "!=", "="].into_iter().find(|operator| cursor.take(operator));
        cursor.skip_blanks();
        let (name, operator, value) = match (operator, label.is_empty()) {
            (_, true) => break,
            (Some(operator), _) => (label, operator, cursor.quoted().unwrap_or_default()),
            (None, _) => (NAME.to_owned(), "=", label),
        };
        selector.0.push(Matcher { name, operator, value });
    }
    let _ = cursor.take("}");
    selector
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::script::{Command, script};
    use proptest::prelude::*;

    /// The lines of the cases that are left out.
    fn left_out(text: &str) -> Vec<usize> {
        let mut histograms = Histograms::default();
        let mut lines = Vec::new();
        for block in script(text) {
            match block.command.unwrap() {
                Command::Clear => histograms.clear(),
                Command::Load(load) => histograms.loaded(&load),
                Command::Eval(case) => lines.extend(histograms.needed_by(&case).map(|_| case.line)),
            }
        }
        lines
    }

    #[test]
    fn cases_that_touch_a_native_histogram_are_left_out_and_no_others() {
        let load = "load 1m\n  h{a=\"1\"} 1 {{sum:1}}\n  h{a=\"2\"} 1 2\n  f 1\n\n";
        for (expression, out) in [
            ("sum(h)", true),
            ("sum( h {a=\"1\"})", true),
            ("sum(h{a=\"2\"})", false),
            ("rate(f[1h])", false),
            ("{__name__=~\"h|f\"}", true),
            ("{__name__=~\"f.*\"}", false),
            ("{\"h\", a!~\"2|3\"}", true),
            ("{a!=\"1\"}", false),
            ("f * on(a) \"h\"", false),
            ("1h + f", false),
            ("{{sum:1}}", true),
        ] {
            let found = left_out(&format!("{load}eval instant at 1m {expression}\n"));
            assert_eq!(!found.is_empty(), out, "{expression}");
        }
        assert_eq!(left_out("eval instant at 1m f\n  f {{count:1}}\n"), [1]);
        assert!(left_out(&format!("{load}clear\neval instant at 1m h\n")).is_empty());
    }

    #[test]
    fn classic_histograms_are_native_ones_when_they_are_loaded_as_such() {
        let load = "load_with_nhcb 1m\n  x_bucket{le=\"1\",a=\"b\"} 1\n  x_sum 1\n\n";
        assert_eq!(left_out(&format!("{load}eval instant at 1m x{{a=\"b\"}}\n")).len(), 1);
        assert!(left_out(&format!("{load}eval instant at 1m x_bucket + x_sum\n")).is_empty());
    }

    proptest! {
        #[test]
        fn any_expression_is_looked_through(text in "\\PC{0,40}|[a-z0-9{}\"=~!, (]{0,40}") {
            let _ = selectors(&text);
        }
    }
}
