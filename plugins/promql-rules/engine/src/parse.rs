//! From a text to a query that can be evaluated.

use crate::ast::{At, Expr, Node, Selector, Type};
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

    /// The query as if each selector and subquery that has no `@` had one with this time, for checks that compare the
    /// two. None when a function's value depends on the time of the evaluation itself.
    pub fn pinned(&self, time_ms: i64) -> Option<Self> {
        let mut pinned = self.clone();
        pin(&mut pinned.expr, At::TimeMs(time_ms)).then_some(pinned)
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

/// Sets `@` where there is none. False when that does not make the value independent of the time.
fn pin(expr: &mut Expr, at: At) -> bool {
    match &mut expr.node {
        Node::Number(_) | Node::Text(_) => true,
        Node::Selector(selector) | Node::Range(selector, _) => {
            selector.shift.at.get_or_insert(at);
            true
        }
        Node::Subquery(subquery) => {
            // All times within follow from that of the subquery.
            subquery.shift.at.get_or_insert(at);
            true
        }
        Node::Negate(inner) => pin(inner, at),
        Node::Binary(binary) => pin(&mut binary.left, at) && pin(&mut binary.right, at),
        Node::Aggregate(aggregate) => {
            aggregate.parameter.iter_mut().all(|parameter| pin(parameter, at)) && pin(&mut aggregate.expr, at)
        }
        Node::Call(function, arguments) => {
            !function.depends_on_time() && arguments.iter_mut().all(|argument| pin(argument, at))
        }
    }
}

#[cfg(test)]
mod tests;
