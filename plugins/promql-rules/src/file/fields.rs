//! Fields of a mapping with their types, as Prometheus' reader takes them: any single value is a text, no
//! value is the empty one, and a key that nobody knows is an error.

use std::rc::Rc;

use super::MAX_LABELS;
use super::problem::Problem;
use crate::duration;
use crate::yaml::{Node, Position, Scalar, Value};

/// Where problems are gathered while a file is read, with the group and rule they are in.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) file: String,
    pub(super) problems: Vec<Problem>,
    pub(super) group: Option<String>,
    pub(super) rule: Option<(usize, String)>,
}

impl Report {
    /// Adds a problem of the current group and rule.
    pub(super) fn add(&mut self, at: Position, message: impl Into<String>) {
        let (file, group, rule) = (self.file.clone(), self.group.clone(), self.rule.clone());
        self.problems.push(Problem { file, at, group, rule, message: message.into() });
    }
}

/// The entries of a mapping.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    /// Where the mapping begins.
    pub(super) at: Position,
    entries: &'a [(Rc<Node>, Rc<Node>)],
}

impl<'a> Fields<'a> {
    /// Takes a mapping whose keys are all among `known`; none when it is no mapping. `what` names it.
    pub(super) fn new(node: &'a Node, what: &str, known: &[&str], report: &mut Report) -> Option<Self> {
        let Value::Mapping(entries) = &node.value else {
            report.add(node.at, format!("{what} is {}, not a mapping", node.kind()));
            return None;
        };
        for (key, _) in entries {
            if !known.contains(&key.text()) {
                let list = known.join("`, `");
                report.add(key.at, format!("{what} has no field `{}`; it has `{list}`", key.text()));
            }
        }
        Some(Self { at: node.at, entries })
    }

    /// The value of a key, unless it is no value.
    pub(super) fn get(&self, key: &str) -> Option<&'a Node> {
        let (_, value) = self.entries.iter().find(|(name, _)| name.text() == key)?;
        (!value.is_null()).then_some(value)
    }

    /// A text with its place.
    pub(super) fn scalar(&self, key: &str, report: &mut Report) -> Option<(&'a Scalar, Position)> {
        let node = self.get(key)?;
        match &node.value {
            Value::Scalar(scalar) => Some((scalar, node.at)),
            _ => {
                report.add(node.at, format!("`{key}` is {}, not a text", node.kind()));
                None
            }
        }
    }

    /// A text, empty when it is not there.
    pub(super) fn text(&self, key: &str, report: &mut Report) -> String {
        self.scalar(key, report).map(|(scalar, _)| scalar.text.clone()).unwrap_or_default()
    }

    /// A length of time in milliseconds.
    pub(super) fn duration(&self, key: &str, report: &mut Report) -> Option<u64> {
        let (scalar, at) = self.scalar(key, report)?;
        match duration::parse(&scalar.text) {
            Ok(milliseconds) => Some(milliseconds),
            Err(error) => {
                report.add(at, format!("`{key}`: `{}` {error}", scalar.text));
                None
            }
        }
    }

    /// A whole number; a bound below zero is no bound.
    pub(super) fn bound(&self, key: &str, report: &mut Report) -> u32 {
        let Some((scalar, at)) = self.scalar(key, report) else { return 0 };
        let number = scalar.text.parse::<i64>().ok();
        let number = number.or_else(|| {
            scalar.text.parse::<f64>().ok().filter(|n| n.fract() == 0.0 && n.abs() < 1e18).map(|n| n as i64)
        });
        match number {
            Some(number) if !scalar.is_text && is_plain(scalar) => {
                u32::try_from(number.max(0)).unwrap_or(u32::MAX)
            }
            _ => {
                report.add(at, format!("`{key}`: `{}` is no whole number", scalar.text));
                0
            }
        }
    }

    /// Names with texts and the texts' places, in the order of the file.
    pub(super) fn texts(&self, key: &str, report: &mut Report) -> Vec<Text<'a>> {
        let Some(node) = self.get(key) else { return Vec::new() };
        let Value::Mapping(entries) = &node.value else {
            report.add(node.at, format!("`{key}` is {}, not a mapping of names to texts", node.kind()));
            return Vec::new();
        };
        if entries.len() > MAX_LABELS {
            report.add(
                node.at,
                format!("`{key}` has {} entries, at most {MAX_LABELS} are allowed", entries.len()),
            );
        }
        let text = |(name, value): &'a (Rc<Node>, Rc<Node>)| match &value.value {
            Value::Scalar(scalar) => {
                let scalar = (!scalar.is_null()).then_some(scalar);
                Ok(Text { name: name.text(), name_at: name.at, scalar, at: value.at })
            }
            _ => Err((value.at, format!("`{}` in `{key}` is {}, not a text", name.text(), value.kind()))),
        };
        let mut texts = Vec::new();
        for entry in entries {
            match text(entry) {
                Ok(text) => texts.push(text),
                Err((at, message)) => report.add(at, message),
            }
        }
        texts
    }

    /// The items of a list; none when it is not there.
    pub(super) fn list(&self, key: &str, report: &mut Report) -> &'a [Rc<Node>] {
        let Some(node) = self.get(key) else { return &[] };
        match &node.value {
            Value::Sequence(items) => items,
            _ => {
                report.add(node.at, format!("`{key}` is {}, not a list", node.kind()));
                &[]
            }
        }
    }
}

fn is_plain(scalar: &Scalar) -> bool {
    scalar.style == crate::yaml::Style::Plain
}

/// A label or an annotation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) name: &'a str,
    pub(super) name_at: Position,
    scalar: Option<&'a Scalar>,
    pub(super) at: Position,
}

impl<'a> Text<'a> {
    /// Its text, empty when it has no value.
    pub(super) fn text(&self) -> &'a str {
        self.scalar.map_or("", |scalar| scalar.text.as_str())
    }

    /// The scalar, to find places in it.
    pub(super) fn scalar(&self) -> Option<&'a Scalar> {
        self.scalar
    }
}
