//! `label_replace` and `label_join`: functions of labels that look at no value.

use std::rc::Rc;

use regex::Regex;

use super::block::{Block, Row};
use super::call::text;
use super::grid::Grid;
use super::{Evaluator, Failure};
use crate::ast::Expr;
use crate::labels::{Label, METRIC_NAME};

/// The memory a regular expression may take once compiled, in bytes: enough for long lists of names.
const MAX_REGEX_BYTES: usize = 1 << 20;

impl Evaluator<'_> {
    pub(crate) fn label_replace(&mut self, arguments: &[Expr], grid: Grid) -> Result<Block, Failure> {
        let [_, target, replacement, source, pattern] = arguments else {
            return Err(Failure::Failed("label_replace takes five arguments".to_owned()));
        };
        let (target, replacement, source) = (text(target), text(replacement), text(source));
        let pattern = text(pattern);
        let regex = anchored(pattern).map_err(|_| {
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

/// A regular expression for a whole text, as all of PromQL's are.
pub(crate) fn anchored(pattern: &str) -> Result<Regex, regex::Error> {
    regex::RegexBuilder::new(&format!("^(?s:{pattern})$")).size_limit(MAX_REGEX_BYTES).build()
}
