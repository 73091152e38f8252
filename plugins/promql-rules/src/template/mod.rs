//! Templates in labels and annotations: Go's `text/template` language with Prometheus' functions.
//!
//! [`Template::parse`] finds what is wrong without values, as `promtool` does: syntax, functions and
//! variables that do not exist. [`Template::expand`] runs one; it is bounded in steps, output and nesting.
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

use syntax::{List, Node};
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

/// A template that was read.
#[derive(Debug)]
pub(crate) struct Template {
    main: List,
    /// `{{define}}` and `{{block}}` by name.
    defined: BTreeMap<String, List>,
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

impl Template {
    /// Reads a template.
    pub(crate) fn parse(text: &str) -> Result<Self, ParseError> {
        parse::parse(text)
    }

    /// Its text with all actions carried out, or why that is not possible.
    pub(crate) fn expand(&self, data: &Data, ask: &mut dyn Ask) -> Result<String, String> {
        match self.main.as_slice() {
            [] => Ok(String::new()),
            // Most labels, and nothing to run.
            [Node::Text(text)] => Ok(text.clone()),
            _ => run::run(self, data, ask),
        }
    }
}
