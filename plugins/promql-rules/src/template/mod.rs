//! Templates in labels and annotations: Go's `text/template` language with Prometheus' functions.
//!
//! [`check`] finds what is wrong without values, as `promtool` does: syntax, functions and
//! variables that do not exist. [`expand`] runs one; it is bounded in steps, output and nesting.
//! The languages are described by the documentation of Go's package `text/template`, of its `fmt`, and by
//! Prometheus' template reference.

mod builtin;
#[cfg(test)]
mod expanded;
mod functions;
mod humanize;
mod lex;
mod number;
mod parse;
mod print;
mod printf;
mod run;
mod syntax;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod value;

use std::collections::BTreeMap;
use std::rc::Rc;

pub(crate) use text::quote;
pub(crate) use value::Sample;

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ParseError {
    /// Where, as characters from the text's beginning.
    pub(crate) offset: usize,
    pub(crate) message: String,
}

/// What a template is expanded with.
#[derive(Debug, Clone)]
pub(crate) struct Data {
    /// `$labels`.
    pub(crate) labels: Rc<BTreeMap<String, String>>,
    /// `$externalLabels`.
    pub(crate) external_labels: Rc<BTreeMap<String, String>>,
    /// `$externalURL`.
    pub(crate) external_url: Rc<str>,
    /// `$value`.
    pub(crate) value: f64,
    /// The time of the evaluation in milliseconds since 1970.
    pub(crate) now: i64,
}

/// Answers the template function `query`.
pub(crate) trait Ask {
    /// The samples of an instant vector, or of a scalar as one sample without labels.
    fn query(&mut self, expression: &str) -> Result<Vec<Sample>, String>;
}

/// Says what is wrong with a template. What is right is not kept as it was read: that takes ten times the room of the
/// text, and of most rules no alert ever holds.
pub(crate) fn check(text: &str) -> Result<(), ParseError> {
    parse::parse(text).map(drop)
}

/// A template's text with all actions carried out, or why that is not possible.
pub(crate) fn expand(text: &str, data: &Data, ask: &mut dyn Ask) -> Result<String, String> {
    // Most labels, and nothing to run.
    if !text.contains("{{") {
        return Ok(text.to_owned());
    }
    let tree = parse::parse(text).map_err(|error| error.to_string())?;
    run::run(&tree, data, ask)
}
