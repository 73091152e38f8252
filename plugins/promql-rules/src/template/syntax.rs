//! What a template consists of once it is read.

use std::collections::BTreeMap;

/// A template that was read.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) main: List,
    /// `{{define}}` and `{{block}}` by name.
    pub(super) defined: BTreeMap<String, List>,
}

/// Nodes one after the other.
pub(super) type List = Vec<Node>;

/// Text or an action.
#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    /// `{{pipeline}}`; prints nothing when it declares a variable.
    Action(Pipe),
    /// `{{if}}`
    If(Branch),
    /// `{{with}}`
    With(Branch),
    /// `{{range}}`
    Range(Branch),
    /// `{{template "name" pipeline}}`
    Template(String, Option<Pipe>),
    Break,
    Continue,
}

/// What `if`, `with` and `range` have in common.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) pipe: Pipe,
    pub(super) then: List,
    pub(super) otherwise: List,
}

/// Commands, each of which has the one before as its last argument.
#[derive(Debug)]
pub(super) struct Pipe {
    /// Variables it sets, with their `$`; two only in a `range`.
    pub(super) variables: Vec<String>,
    /// `=` instead of `:=`.
    pub(super) is_assignment: bool,
    pub(super) commands: Vec<Command>,
}

/// An operand alone, or a function with its arguments. Never empty.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) words: Vec<Operand>,
}

/// Something with a value.
#[derive(Debug)]
pub(super) enum Operand {
    /// `.`
    Dot,
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// `.A.B`
    Field(Vec<String>),
    /// `$x.A.B`, `$` being the data itself.
    Variable(String, Vec<String>),
    Function(String),
    /// `(pipeline).A.B`
    Inner(Box<Pipe>, Vec<String>),
}
