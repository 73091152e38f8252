//! Texts with placeholders: `{{value}}`, `{{threshold}}`, and any label's name.

use serde::de::{self, Deserialize, Deserializer};

use crate::rows::Labels;
use crate::rule::Unit;

/// A text with placeholders, taken apart once.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Value,
    Threshold,
    Label(String),
}

/// What placeholders stand for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) value: f64,
    pub(crate) threshold: f64,
    pub(crate) unit: Unit,
    pub(crate) labels: &'a Labels,
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("{{") {
            let Some((name, after)) = behind.split_once("}}") else {
                return Err(format!("`{text}` has a placeholder without its `}}}}`"));
            };
            parts.push(Part::Text(before.to_owned()));
            parts.push(match name.trim() {
                "value" => Part::Value,
                "threshold" => Part::Threshold,
                label if is_label(label) => Part::Label(label.to_owned()),
                other => {
                    return Err(format!(
                        "`{{{{{other}}}}}` is no placeholder: write `value`, `threshold` or a label's name"
                    ));
                }
            });
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self { parts })
    }

    /// A text without placeholders.
    pub(crate) fn plain(text: &str) -> Self {
        Self { parts: vec![Part::Text(text.to_owned())] }
    }

    pub(crate) fn render(&self, facts: Facts<'_>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Value => text.push_str(&facts.unit.show(facts.value)),
                Part::Threshold => text.push_str(&facts.unit.show(facts.threshold)),
                Part::Label(name) => text.push_str(facts.labels.get(name)),
            }
        }
        text
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(reader)?).map_err(de::Error::custom)
    }
}

fn is_label(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
