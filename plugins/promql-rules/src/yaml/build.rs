//! From parser events to a tree. It keeps a stack of its own, so that deep input cannot exhaust the real one.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

use super::{Document, Entries, MAX_BYTES, MAX_DEPTH, Node, Position, Scalar, Style, Value, YamlError};

/// Merge keys put entries of one mapping into another; a file that merges more is an attack.
const MAX_MERGED: usize = 10_000;

/// Reads the first document of a text.
pub(crate) fn parse(text: &str) -> Result<Document, YamlError> {
    if text.len() > MAX_BYTES {
        let message = format!("the file has {} bytes, at most {MAX_BYTES} are read: split it", text.len());
        return Err(YamlError { at: Position::default(), message });
    }
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    while let Some(event) = parser.next_event() {
        let (event, span) =
            event.map_err(|error| at_marker(*error.marker(), format!("is no YAML: {}", error.info())))?;
        match event {
            Event::DocumentEnd => break,
            event => builder.take(event, span)?,
        }
    }
    // What follows is not read, so it does not matter whether it parses.
    let has_more = std::iter::from_fn(|| parser.next_event())
        .map_while(Result::ok)
        .any(|(event, _)| matches!(event, Event::DocumentStart(_)));
    Ok(Document { root: builder.root, has_more })
}

/// A collection that is not closed yet.
struct Open {
    at: Position,
    anchor: usize,
    is_mapping: bool,
    items: Vec<Rc<Node>>,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    root: Option<Rc<Node>>,
    merged: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let at = position(span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let scalar = Scalar {
                    text: text.into_owned(),
                    style: style_of(style),
                    is_text: tag.is_some_and(|tag| is_text(&tag)),
                    span: (span.start.index(), span.end.index()),
                };
                self.add(anchor, Node { at, value: Value::Scalar(scalar) });
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| error(at, "an alias inside of what it stands for"))?;
                self.place(node);
            }
            Event::SequenceStart(anchor, _) => self.enter(at, anchor, false)?,
            Event::MappingStart(anchor, _) => self.enter(at, anchor, true)?,
            Event::SequenceEnd | Event::MappingEnd => self.leave()?,
            _ => {}
        }
        Ok(())
    }

    fn enter(&mut self, at: Position, anchor: usize, is_mapping: bool) -> Result<(), YamlError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(error(at, "is nested too deep for a rule file"));
        }
        self.open.push(Open { at, anchor, is_mapping, items: Vec::new() });
        Ok(())
    }

    fn leave(&mut self) -> Result<(), YamlError> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.is_mapping {
            true => Value::Mapping(self.mapping(open.items)?),
            false => Value::Sequence(open.items),
        };
        self.add(open.anchor, Node { at: open.at, value });
        Ok(())
    }

    fn add(&mut self, anchor: usize, node: Node) {
        let node = Rc::new(node);
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.place(node);
    }

    fn place(&mut self, node: Rc<Node>) {
        match self.open.last_mut() {
            Some(open) => open.items.push(node),
            None => self.root = Some(node),
        }
    }

    /// Keys and values in turn become entries: each key a scalar and there once.
    fn mapping(&mut self, items: Vec<Rc<Node>>) -> Result<Entries, YamlError> {
        let mut entries: Entries = Vec::with_capacity(items.len() / 2);
        let mut merges = Vec::new();
        let mut first = HashMap::new();
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            let Value::Scalar(scalar) = &key.value else {
                return Err(error(key.at, format!("{} cannot be a key here", key.kind())));
            };
            if scalar.text == "<<" && scalar.style == Style::Plain {
                merges.push(value);
                continue;
            }
            if let Some(line) = first.insert(scalar.text.clone(), key.at.line) {
                let message = format!("the key `{}` is already there, in line {line}", scalar.text);
                return Err(error(key.at, message));
            }
            entries.push((key, value));
        }
        let mut known: HashSet<String> = first.into_keys().collect();
        for merge in merges {
            self.merge(&merge, &mut entries, &mut known)?;
        }
        Ok(entries)
    }

    /// Adds the entries of a mapping, or of a list of mappings, that are not there yet.
    fn merge(
        &mut self,
        from: &Rc<Node>,
        entries: &mut Entries,
        known: &mut HashSet<String>,
    ) -> Result<(), YamlError> {
        let sources = match &from.value {
            Value::Sequence(nodes) => nodes.as_slice(),
            _ => std::slice::from_ref(from),
        };
        for source in sources {
            let Value::Mapping(merged) = &source.value else {
                return Err(error(source.at, "a merge key (`<<`) takes a mapping or a list of mappings"));
            };
            self.merged += merged.len();
            if self.merged > MAX_MERGED {
                return Err(error(source.at, format!("more than {MAX_MERGED} entries are merged in")));
            }
            for (key, value) in merged {
                if known.insert(key.text().to_owned()) {
                    entries.push((Rc::clone(key), Rc::clone(value)));
                }
            }
        }
        Ok(())
    }
}

fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::SingleQuoted,
        ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
    }
}

fn is_text(tag: &Tag) -> bool {
    tag.is_yaml_core_schema() && tag.suffix == "str"
}

fn position(marker: Marker) -> Position {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Position { line: number(marker.line()), column: number(marker.col().saturating_add(1)) }
}

fn at_marker(marker: Marker, message: String) -> YamlError {
    YamlError { at: position(marker), message }
}

fn error(at: Position, message: impl Into<String>) -> YamlError {
    YamlError { at, message: message.into() }
}
