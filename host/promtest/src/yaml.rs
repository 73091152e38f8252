//! YAML as a tree whose every node knows its place. Knows no schema.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::places::SyntaxError;

/// Nodes of one file, those that aliases repeat counted again: a file of a few lines can spell billions.
const MAX_NODES: usize = 1_000_000;
/// How deep nodes lie in each other. Unit tests go seven deep.
const MAX_DEPTH: usize = 64;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// `null`, `~`, or nothing.
    Null,
    /// As it is written, without its quotes.
    Scalar(String),
    List(Vec<Node>),
    /// In the order of the file. No key stands twice.
    Map(Vec<(Node, Node)>),
}

impl Node {
    pub(crate) fn error(&self, message: impl Into<String>) -> SyntaxError {
        SyntaxError { line: self.line, column: self.column, message: message.into() }
    }

    /// The text of a key; anything but text is none.
    pub(crate) fn key(&self) -> &str {
        match &self.value {
            Value::Scalar(text) => text,
            _ => "",
        }
    }

    fn size(&self) -> usize {
        1 + match &self.value {
            Value::List(list) => list.iter().map(Self::size).sum(),
            Value::Map(entries) => entries.iter().map(|(key, value)| key.size() + value.size()).sum(),
            _ => 0,
        }
    }
}

/// Reads a text with one document; nothing in it is `Null`.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let (line, column) = (error.marker().line(), error.marker().col() + 1);
            SyntaxError { line, column, message: format!("this is no YAML: {}", error.info()) }
        })?;
        builder.event(event, span)?;
    }
    Ok(builder.root.unwrap_or(Node { line: 1, column: 1, value: Value::Null }))
}

/// A collection that is not closed yet.
struct Open {
    anchor: usize,
    node: Node,
    /// Of a mapping: a key whose value is to come.
    key: Option<Node>,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    nodes: usize,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), SyntaxError> {
        let (line, column) = (span.start.line(), span.start.col() + 1);
        let node = |value| Node { line, column, value };
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let is_null =
                    style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let value = if is_null { Value::Null } else { Value::Scalar(text.into_owned()) };
                self.done(anchor, node(value))
            }
            Event::SequenceStart(anchor, _) => self.begin(anchor, node(Value::List(Vec::new()))),
            Event::MappingStart(anchor, _) => self.begin(anchor, node(Value::Map(Vec::new()))),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.done(open.anchor, open.node),
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).cloned();
                let known =
                    known.ok_or_else(|| node(Value::Null).error("this alias has no anchor before it"))?;
                self.nodes += known.size();
                self.done(0, Node { line, column, value: known.value })
            }
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(node(Value::Null).error("the file holds a second document; one is expected"))
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, anchor: usize, node: Node) -> Result<(), SyntaxError> {
        if self.open.len() == MAX_DEPTH {
            return Err(node.error(format!("values lie in each other more than {MAX_DEPTH} deep")));
        }
        self.open.push(Open { anchor, node, key: None });
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn done(&mut self, anchor: usize, node: Node) -> Result<(), SyntaxError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(node.error(format!("the file has more than {MAX_NODES} values")));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut open.node.value, open.key.take()) {
            (Value::List(list), _) => list.push(node),
            (Value::Map(_), None) => open.key = Some(node),
            (Value::Map(entries), Some(key)) => return insert(entries, key, node),
            _ => {}
        }
        Ok(())
    }
}

fn insert(entries: &mut Vec<(Node, Node)>, key: Node, value: Node) -> Result<(), SyntaxError> {
    if !matches!(key.value, Value::Scalar(_)) {
        return Err(key.error("a key is a text"));
    }
    if key.key() == "<<" {
        return merge(entries, value);
    }
    if entries.iter().any(|(known, _)| known.key() == key.key()) {
        return Err(key.error(format!("the key `{}` stands twice", key.key())));
    }
    entries.push((key, value));
    Ok(())
}

/// The entries of other mappings, unless their keys stand here already.
fn merge(entries: &mut Vec<(Node, Node)>, other: Node) -> Result<(), SyntaxError> {
    match other.value {
        Value::Map(others) => {
            for (key, value) in others {
                if !entries.iter().any(|(known, _)| known.key() == key.key()) {
                    entries.push((key, value));
                }
            }
            Ok(())
        }
        Value::List(list) => list.into_iter().try_for_each(|other| merge(entries, other)),
        _ => Err(other.error("`<<` takes mappings in")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn shown(node: &Node) -> String {
        match &node.value {
            Value::Null => "null".into(),
            Value::Scalar(text) => text.clone(),
            Value::List(list) => format!("[{}]", list.iter().map(shown).collect::<Vec<_>>().join(" ")),
            Value::Map(entries) => {
                let entry = |(key, value): &(Node, Node)| format!("{}:{}", key.key(), shown(value));
                format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(" "))
            }
        }
    }

    #[test]
    fn a_document_becomes_a_tree() {
        for (text, expected) in [
            ("", "null"),
            ("---\na: 1\nb:\n  - x\n  - 'null'\n  -\n", "{a:1 b:[x null null]}"),
            ("a: &x {p: 1}\nb: *x\n", "{a:{p:1} b:{p:1}}"),
            ("a: &x {p: 1, q: 2}\nb:\n  p: 3\n  <<: *x\n", "{a:{p:1 q:2} b:{p:3 q:2}}"),
            ("a: |\n  1\n  2\n", "{a:1\n2\n}"),
        ] {
            assert_eq!(shown(&parse(text).unwrap()), expected, "{text}");
        }
        let Value::Map(entries) = parse("a: 1\nb:\n  c: 2\n").unwrap().value else { panic!() };
        assert_eq!((entries[1].1.line, entries[1].1.column), (3, 3));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, line, says) in [
            ("a: 1\na: 2\n", 2, "stands twice"),
            ("a: [1\n", 2, "no YAML"),
            ("a: 1\n---\nb: 2\n", 2, "second document"),
            ("a: *x\n", 1, ""),
            ("a: {[1]: 2}\n", 1, "a key is a text"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.message.contains(says) && error.line == line, "{text}: {error}");
        }
    }

    #[test]
    fn what_a_file_expands_to_is_bounded() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let before = format!("*a{}, ", level - 1).repeat(10);
            text += &format!("a{level}: &a{level} [{}]\n", before.trim_end_matches(", "));
        }
        assert!(parse(&text).unwrap_err().message.contains("more than 1000000 values"));
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert!(parse(&deep).unwrap_err().message.contains("64 deep"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}|[a-c:\\-&*\\[\\]{}|<'\" \n]{0,60}") {
            let _ = parse(&text);
        }
    }
}
