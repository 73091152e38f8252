//! From a text to a query that can be evaluated.

use crate::ast::{Expr, Node, Selector, Type};
use crate::guard::{self, Fault};
use crate::labels::METRIC_NAME;
use crate::storage::{MatchOp, Matcher};
use crate::{locate, lower, rewrite};

/// Why a text is not an expression, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: parse error: {message}")]
pub struct ParseError {
    /// What is wrong, without the place.
    pub message: String,
    /// From one.
    pub line: u32,
    /// In bytes from one.
    pub column: u32,
}

/// A checked expression.
#[derive(Debug, Clone)]
pub struct Query {
    pub(crate) text: String,
    pub(crate) expr: Expr,
}

/// Parses and checks an expression.
///
/// # Errors
/// [`ParseError`] for what is no expression, for syntax that is not supported and for what is beyond the bounds
/// [`crate::limits::MAX_EXPRESSION_BYTES`] and [`crate::limits::MAX_DEPTH`].
pub fn parse(text: &str) -> Result<Query, ParseError> {
    let expr = tree(text).map_err(|fault| {
        let (line, column) = fault.place.line_and_column(text);
        ParseError { message: fault.message, line, column }
    })?;
    Ok(Query { text: text.to_owned(), expr })
}

fn tree(text: &str) -> Result<Expr, Fault> {
    let tokens = guard::check(text)?;
    let parsed = promql_parser::parser::parse(&rewrite::rewrite(&tokens));
    match parsed {
        Ok(tree) => lower::lower(&tree, &tokens),
        Err(message) => Err(locate::locate(&tokens, &message)),
    }
}

/// What kind of value a query has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// A number at each time.
    Scalar,
    /// A text.
    Text,
    /// Series with one value at each time.
    Vector,
    /// Series with the samples of a window.
    Matrix,
}

impl Query {
    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What kind of value the query has. A rule's must be a scalar or a vector.
    pub fn value_type(&self) -> ValueType {
        match self.expr.value_type() {
            Type::Scalar => ValueType::Scalar,
            Type::Text => ValueType::Text,
            Type::Vector => ValueType::Vector,
            Type::Matrix => ValueType::Matrix,
        }
    }

    /// Whether each selector names its metric, by the name or by an equality of `__name__`.
    pub fn has_metric_name(&self) -> bool {
        let named = |m: &Matcher| m.name == METRIC_NAME && m.op == MatchOp::Equal && !m.value.is_empty();
        self.selectors().iter().all(|selector| selector.matchers.iter().any(named))
    }

    /// The matchers of each selector in the order of the text.
    pub fn matchers(&self) -> Vec<&[Matcher]> {
        self.selectors().into_iter().map(|selector| selector.matchers.as_slice()).collect()
    }

    fn selectors(&self) -> Vec<&Selector> {
        let mut found = Vec::new();
        self.expr.walk(&mut |expr| {
            if let Node::Selector(selector) | Node::Range(selector, _) = &expr.node {
                found.push(selector);
            }
        });
        found
    }
}
