//! `label_replace` and `label_join`: functions of labels that look at no value.

use std::rc::Rc;

use picket_pattern::{MAX_COMPILED_BYTES, anchored};

use super::block::{Block, Row};
use super::call::text;
use super::grid::Grid;
use super::{Evaluator, Failure};
use crate::ast::Expr;
use crate::labels::{Label, METRIC_NAME};

impl Evaluator<'_> {
    pub(crate) fn label_replace(&mut self, arguments: &[Expr], grid: Grid) -> Result<Block, Failure> {
        let [_, target, replacement, source, pattern] = arguments else {
            return Err(Failure::Failed("label_replace takes five arguments".to_owned()));
        };
        let (target, replacement, source) = (text(target), text(replacement), text(source));
        let pattern = text(pattern);
        let regex = anchored(pattern, MAX_COMPILED_BYTES).map_err(|_| {
            Failure::Failed(format!("invalid regular expression in label_replace(): {pattern}"))
        })?;
        if target.is_empty() {
            return Err(Failure::Failed(format!(
                "invalid destination label name in label_replace(): {target}"
            )));
        }
        let mut block = self.vector(&arguments[0], grid)?;
        for row in &mut block.rows {
            let labels = Rc::clone(&row.labels);
            let Some(found) = regex.captures(labels.get(source)) else { continue };
            let mut value = String::new();
            found.expand(replacement, &mut value);
            set(row, target, &value);
        }
        Ok(block.merge()?)
    }

    pub(crate) fn label_join(&mut self, arguments: &[Expr], grid: Grid) -> Result<Block, Failure> {
        let [_, target, separator, sources @ ..] = arguments else {
            return Err(Failure::Failed("label_join takes three arguments and more".to_owned()));
        };
        let (target, separator) = (text(target), text(separator));
        let sources: Vec<&str> = sources.iter().map(text).collect();
        if let Some(bad) = sources.iter().find(|name| name.is_empty()) {
            return Err(Failure::Failed(format!("invalid source label name in label_join(): {bad}")));
        }
        if target.is_empty() {
            return Err(Failure::Failed(format!("invalid destination label name in label_join(): {target}")));
        }
        let mut block = self.vector(&arguments[0], grid)?;
        for row in &mut block.rows {
            let values: Vec<&str> = sources.iter().map(|name| row.labels.get(name)).collect();
            let joined = values.join(separator);
            set(row, target, &joined);
        }
        Ok(block.merge()?)
    }
}

/// A name that is set anew stays.
fn set(row: &mut Row, target: &str, value: &str) {
    let mut labels = row.labels.edit();
    labels.set(Label::new(target, value));
    row.labels = Rc::new(labels.finish());
    if target == METRIC_NAME {
        row.drop_name = false;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use picket_pattern::testing::CASES;

    use crate::{Options, Request, Series, Storage, StorageError, Value, parse};

    struct Nothing;

    impl Storage for Nothing {
        fn select(&mut self, requests: &[Request]) -> Result<Vec<Vec<Series>>, StorageError> {
            Ok(vec![Vec::new(); requests.len()])
        }
    }

    /// Whether `label_replace` finds the pattern in a label with this value; none when it refuses it.
    fn found(pattern: &str, value: &str) -> Option<bool> {
        let inner = format!("label_replace(vector(1), \"a\", {value:?}, \"\", \"\")");
        let text = format!("label_replace({inner}, \"found\", \"yes\", \"a\", {pattern:?})");
        let answer = parse(&text).unwrap().instant(0, &mut Nothing, &Options::default()).ok()?;
        let Value::Vector(samples) = answer.value else { panic!("{text}: {:?}", answer.value) };
        Some(samples[0].labels.get("found") == "yes")
    }

    #[test]
    fn regular_expressions_are_those_of_prometheus() {
        for case in CASES {
            // In a text `\u{a0}` is written otherwise than in Rust.
            if case.value != "\u{a0}" {
                assert_eq!(found(case.pattern, case.value), case.expected, "{case:?}");
            }
        }
    }
}
