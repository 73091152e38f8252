//! The configuration as one tree of values, each of which knows where it was written.
//!
//! Files, the environment and flags all become such trees; [`merge`] lays one over the other.
//! What a value should be is not known here: that is `decode`'s business.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Where a key or a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// In a file: its number in [`Files`](super::files::Files), and the bytes.
    File { file: usize, span: Range<usize> },
    /// In the environment variable of that name.
    Variable(Arc<str>),
    /// By the flag of that name.
    Flag(Arc<str>),
}

/// A value and its origins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    /// Of the value.
    pub(super) origin: Origin,
    /// Of the key before it; of the value for elements of a list.
    pub(super) key: Origin,
}

/// Tables are sorted by key: what comes first in a file does not matter.
pub(super) type Table = BTreeMap<String, Node>;

/// What can stand in TOML, and text whose type is open.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// A date or a time, as written.
    Datetime(String),
    Array(Vec<Node>),
    Table(Table),
    /// From the environment or a flag: becomes what is asked for.
    Open(String),
}

impl Node {
    /// A table without entries.
    pub(super) fn empty(origin: Origin) -> Self {
        Self { value: Value::Table(Table::new()), key: origin.clone(), origin }
    }

    /// The value below some keys; a number is the index in a list.
    pub(super) fn find<'a>(&self, keys: impl IntoIterator<Item = &'a str>) -> Option<&Self> {
        keys.into_iter().try_fold(self, |node, key| node.child(key))
    }

    /// The value of one key, or the element of that number.
    pub(super) fn child(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Table(table) => table.get(key),
            Value::Array(list) => list.get(key.parse::<usize>().ok()?),
            _ => None,
        }
    }

    /// The entries, if it is a table.
    pub(super) fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// Takes the value of a path of table keys out; an element of a list takes its list with it, since
    /// a list without one of its elements means something else.
    pub(super) fn remove(&mut self, path: &[String]) -> bool {
        let Some((key, rest)) = path.split_first() else { return false };
        let Value::Table(table) = &mut self.value else { return false };
        match table.get_mut(key) {
            Some(child) if !rest.is_empty() && matches!(child.value, Value::Table(_)) => child.remove(rest),
            Some(_) => table.remove(key).is_some(),
            None => false,
        }
    }

    /// Puts a value below some keys, making the tables on the way.
    pub(super) fn insert(&mut self, path: &[String], node: Self) {
        let Some((key, rest)) = path.split_first() else {
            *self = node;
            return;
        };
        if !matches!(self.value, Value::Table(_)) {
            self.value = Value::Table(Table::new());
            self.origin = node.origin.clone();
        }
        if let Value::Table(table) = &mut self.value {
            let origin = node.origin.clone();
            table.entry(key.clone()).or_insert_with(|| Self::empty(origin)).insert(rest, node);
        }
    }
}

/// Lays one tree over the other: tables are joined, everything else is replaced.
pub(super) fn merge(base: &mut Node, over: Node) {
    match (&mut base.value, over.value) {
        (Value::Table(base), Value::Table(over)) => {
            for (key, node) in over {
                match base.get_mut(&key) {
                    Some(existing) => merge(existing, node),
                    None => {
                        base.insert(key, node);
                    }
                }
            }
        }
        (_, value) => *base = Node { value, origin: over.origin, key: over.key },
    }
}
