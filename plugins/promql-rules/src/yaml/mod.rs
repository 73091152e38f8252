//! YAML as a tree in which every node knows its line and column, over the events of `saphyr-parser`.
//!
//! It gives scalars as they are written and no types: a rule file's reader knows which type it wants. Only
//! the first document is read, as Prometheus does. Anchors, aliases and merge keys (`<<`) work; an alias
//! shares its node, so that it costs nothing to repeat.

mod build;
pub(crate) mod place;

use std::rc::Rc;

pub(crate) use build::parse;

/// Bytes of one rule file. The largest public collections of rules have 2 MiB; a file is held in memory with
/// its tree, at about eight times its size, while it is read.
pub(crate) const MAX_BYTES: usize = 4 << 20;
/// How deep nodes may lie in each other. A rule file needs six.
pub(crate) const MAX_DEPTH: usize = 64;

/// A place in a file: line and column, both counted from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Position {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct YamlError {
    pub(crate) at: Position,
    pub(crate) message: String,
}

/// The first document of a file.
#[derive(Debug)]
pub(crate) struct Document {
    /// None in a file without content.
    pub(crate) root: Option<Rc<Node>>,
    /// Whether more documents follow, which are not read.
    pub(crate) has_more: bool,
}

/// A node and where it begins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) value: Value,
}

/// Keys with their values.
pub(crate) type Entries = Vec<(Rc<Node>, Rc<Node>)>;

/// What a node holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Scalar(Scalar),
    Sequence(Vec<Rc<Node>>),
    /// Keys are scalars, each there once, in the order of the file; merged ones come last.
    Mapping(Entries),
}

/// A text as it stands in the file once quotes, escapes and folding are gone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) style: Style,
    /// Tagged as text, such as `!!str 5`.
    pub(crate) is_text: bool,
    /// Where it stands in the file, as characters from its beginning.
    pub(crate) span: (usize, usize),
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    /// `|` and `>`.
    Block,
}

impl Scalar {
    /// Whether it stands for no value: empty, `~` or `null` without quotes.
    pub(crate) fn is_null(&self) -> bool {
        let plain = self.style == Style::Plain && !self.is_text;
        plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

impl Node {
    /// What kind of node it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Scalar(_) => "a single value",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }

    /// Its text, when it is a key.
    pub(crate) fn text(&self) -> &str {
        match &self.value {
            Value::Scalar(scalar) => &scalar.text,
            _ => "",
        }
    }

    /// Whether it stands for no value.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.is_null())
    }
}

#[cfg(test)]
mod tests;
