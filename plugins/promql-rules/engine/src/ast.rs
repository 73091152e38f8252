//! The tree that is evaluated: checked, with times in milliseconds, functions resolved and places known.

use crate::functions::Function;
use crate::labels::Subset;
use crate::position::Position;
use crate::storage::Matcher;

/// An expression and where it begins.
#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) place: Position,
    pub(crate) node: Node,
}

#[derive(Debug, Clone)]
pub(crate) enum Node {
    Number(f64),
    Text(String),
    /// An instant selector.
    Selector(Selector),
    /// A range selector: the samples of the last so many milliseconds, more than none.
    Range(Selector, i64),
    Subquery(Box<Subquery>),
    Negate(Box<Expr>),
    Binary(Box<Binary>),
    Aggregate(Box<Aggregate>),
    Call(Function, Vec<Expr>),
}

/// What kind of value an expression has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Scalar,
    Text,
    Vector,
    Matrix,
}

#[derive(Debug, Clone)]
pub(crate) struct Selector {
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) shift: Shift,
    /// Counts the selectors of a query from none, in the order of the text.
    pub(crate) id: usize,
}

/// The modifiers `@` and `offset`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shift {
    pub(crate) at: Option<At>,
    pub(crate) offset_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    TimeMs(i64),
    Start,
    End,
}

#[derive(Debug, Clone)]
pub(crate) struct Subquery {
    pub(crate) expr: Expr,
    pub(crate) range_ms: i64,
    /// Absent: the default of the query's options.
    pub(crate) step_ms: Option<i64>,
    pub(crate) shift: Shift,
}

#[derive(Debug, Clone)]
pub(crate) struct Binary {
    pub(crate) op: Operator,
    pub(crate) left: Expr,
    pub(crate) right: Expr,
    pub(crate) returns_bool: bool,
    pub(crate) matching: Matching,
}

/// How the series of both sides find each other.
#[derive(Debug, Clone)]
pub(crate) struct Matching {
    pub(crate) on: Subset,
    pub(crate) cardinality: Cardinality,
    /// Labels to take from the "one" side.
    pub(crate) include: Vec<String>,
    /// What stands in for a missing series of the left and of the right side.
    pub(crate) fill_left: Option<f64>,
    pub(crate) fill_right: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cardinality {
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Arithmetic(Arithmetic),
    Comparison(Comparison),
    Set(SetOperator),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Atan2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetOperator {
    And,
    Or,
    Unless,
}

#[derive(Debug, Clone)]
pub(crate) struct Aggregate {
    pub(crate) op: Aggregation,
    pub(crate) expr: Expr,
    /// What `topk`, `bottomk`, `quantile`, `limitk`, `limit_ratio` and `count_values` take besides.
    pub(crate) parameter: Option<Expr>,
    pub(crate) by: Subset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregation {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Stddev,
    Stdvar,
    Group,
    Quantile,
    TopK,
    BottomK,
    LimitK,
    LimitRatio,
    CountValues,
}

impl Expr {
    /// The kind of value that the expression has.
    pub(crate) fn value_type(&self) -> Type {
        match &self.node {
            Node::Number(_) => Type::Scalar,
            Node::Text(_) => Type::Text,
            Node::Selector(_) | Node::Aggregate(_) => Type::Vector,
            Node::Range(..) | Node::Subquery(_) => Type::Matrix,
            Node::Negate(inner) => inner.value_type(),
            Node::Binary(binary) => match (binary.left.value_type(), binary.right.value_type()) {
                (Type::Scalar, Type::Scalar) => Type::Scalar,
                _ => Type::Vector,
            },
            Node::Call(function, _) => function.returns(),
        }
    }
}

impl Type {
    /// As Prometheus' messages name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Text => "string",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
        }
    }
}

impl Expr {
    /// Visits this expression and all below it, in the order of the text.
    pub(crate) fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        visit(self);
        match &self.node {
            Node::Number(_) | Node::Text(_) | Node::Selector(_) | Node::Range(..) => {}
            Node::Subquery(subquery) => subquery.expr.walk(visit),
            Node::Negate(inner) => inner.walk(visit),
            Node::Binary(binary) => {
                binary.left.walk(visit);
                binary.right.walk(visit);
            }
            Node::Aggregate(aggregate) => {
                aggregate.parameter.iter().for_each(|parameter| parameter.walk(visit));
                aggregate.expr.walk(visit);
            }
            Node::Call(_, arguments) => arguments.iter().for_each(|argument| argument.walk(visit)),
        }
    }
}
