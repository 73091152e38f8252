//! From TOML text to a tree. Any text gives a tree, or errors with their places; nothing panics.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::files::Files;
use super::problem::{Code, Problem, looks_secret};
use super::tree::{Node, Origin, Table, Value};

/// More errors than this in one file are not shown: they follow from each other.
const MAX_ERRORS: usize = 20;

/// Reads one file of `files`.
pub(super) fn parse(files: &Files, file: usize, problems: &mut Vec<Problem>) -> Node {
    let text = files.text(file);
    let whole = Origin::File { file, span: 0..0 };
    let (document, errors) = DeTable::parse_recoverable(text);
    let failed = !errors.is_empty();
    for error in errors.into_iter().take(MAX_ERRORS) {
        let origin = Origin::File { file, span: error.span().unwrap_or(0..0) };
        let message = error.message().replace('\n', ", ");
        let mut problem = Problem::new(Code::Syntax, format!("this is no TOML: {message}"))
            .at(files.place(&origin))
            .help("the syntax is described at https://toml.io");
        problem.excerpt = files.excerpt(&origin);
        problems.push(problem);
    }
    if failed {
        // What could be read of a broken file would only cause errors that are not there.
        return Node::empty(whole);
    }
    let mut reader = Reader { files, file, problems };
    Node { value: Value::Table(reader.table(document.into_inner())), origin: whole.clone(), key: whole }
}

/// A single value as it would stand behind `key = `, if it is one.
pub(super) fn parse_value(text: &str, origin: &Origin) -> Option<Node> {
    let line = format!("value = {text}");
    let mut files = Files::default();
    let file = files.add("value".into(), line);
    let mut problems = Vec::new();
    let mut tree = parse(&files, file, &mut problems);
    let Value::Table(table) = &mut tree.value else { return None };
    let mut node = table.remove("value").filter(|_| table.is_empty() && problems.is_empty())?;
    move_to(&mut node, origin);
    Some(node)
}

fn move_to(node: &mut Node, origin: &Origin) {
    node.origin = origin.clone();
    node.key = origin.clone();
    match &mut node.value {
        Value::Array(list) => list.iter_mut().for_each(|node| move_to(node, origin)),
        Value::Table(table) => table.values_mut().for_each(|node| move_to(node, origin)),
        _ => {}
    }
}

struct Reader<'a> {
    files: &'a Files,
    file: usize,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn table(&mut self, table: DeTable<'_>) -> Table {
        let mut entries = Table::new();
        for (key, value) in table {
            let origin = Origin::File { file: self.file, span: key.span() };
            let key = key.into_inner().into_owned();
            let node = self.node(value, &key, Some(origin));
            entries.insert(key, node);
        }
        entries
    }

    /// `name` is the nearest key, which tells whether the value may be shown.
    fn node(&mut self, value: Spanned<DeValue<'_>>, name: &str, key: Option<Origin>) -> Node {
        let origin = Origin::File { file: self.file, span: value.span() };
        let value = match value.into_inner() {
            DeValue::String(text) => Value::String(text.into_owned()),
            DeValue::Boolean(value) => Value::Boolean(value),
            DeValue::Datetime(time) => Value::Datetime(time.to_string()),
            DeValue::Array(list) => {
                Value::Array(list.into_iter().map(|value| self.node(value, name, None)).collect())
            }
            DeValue::Table(table) => Value::Table(self.table(table)),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => self.number(&origin, name, "a whole number that fits 64 bits", Value::Integer(0)),
            },
            DeValue::Float(number) => match number.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() => Value::Float(number),
                _ => self.number(&origin, name, "a finite number", Value::Float(0.0)),
            },
        };
        Node { value, key: key.unwrap_or_else(|| origin.clone()), origin }
    }

    fn number(&mut self, origin: &Origin, name: &str, expected: &str, instead: Value) -> Value {
        let mut problem =
            Problem::new(Code::BadValue, format!("the number is not allowed: write {expected}"))
                .at(self.files.place(origin));
        if !looks_secret(name) {
            problem.excerpt = self.files.excerpt(origin);
        }
        self.problems.push(problem);
        instead
    }
}
