//! What templates compute with.

use std::collections::BTreeMap;
use std::rc::Rc;

/// One sample of a query's result.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Sample {
    /// `.Labels`, the metric's name among them.
    pub(crate) labels: Rc<BTreeMap<String, String>>,
    /// `.Value`.
    pub(crate) value: f64,
}

/// A value. All but the simple ones are shared.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// `nil`, or what a map does not have.
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Rc<str>),
    /// Names with texts, such as `$labels`.
    Labels(Rc<BTreeMap<String, String>>),
    /// What `args` makes.
    Map(Rc<BTreeMap<String, Value>>),
    /// What `query` gives.
    Samples(Rc<Vec<Rc<Sample>>>),
    Sample(Rc<Sample>),
    /// Milliseconds since 1970.
    Time(i64),
    /// Nanoseconds.
    Duration(i64),
    /// The data itself, `$`.
    Data(Rc<Fields>),
}

/// The fields of `$`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fields {
    pub(super) labels: Rc<BTreeMap<String, String>>,
    pub(super) external_labels: Rc<BTreeMap<String, String>>,
    pub(super) external_url: Rc<str>,
    pub(super) value: f64,
}

impl Value {
    /// A text.
    pub(super) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// The type's name, as Go's messages have it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Labels(_) => "map[string]string",
            Self::Map(_) => "map[string]interface {}",
            Self::Samples(_) => "template.queryResult",
            Self::Sample(_) => "*template.sample",
            Self::Time(_) => "*time.Time",
            Self::Duration(_) => "time.Duration",
            Self::Data(_) => "struct",
        }
    }

    /// Whether `if`, `with`, `and` and `or` take it as true: all but zero, nothing and the empty.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) | Self::Duration(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Labels(labels) => !labels.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Samples(samples) => !samples.is_empty(),
            Self::Sample(_) | Self::Time(_) | Self::Data(_) => true,
        }
    }

    /// `.name` of it.
    pub(super) fn field(&self, name: &str) -> Result<Self, String> {
        let found = match self {
            Self::Labels(labels) => Some(Self::text(labels.get(name).map_or("", String::as_str))),
            Self::Map(map) => Some(map.get(name).cloned().unwrap_or(Self::Nil)),
            Self::Sample(sample) => match name {
                "Labels" => Some(Self::Labels(Rc::clone(&sample.labels))),
                "Value" => Some(Self::Float(sample.value)),
                _ => None,
            },
            Self::Data(data) => match name {
                "Labels" => Some(Self::Labels(Rc::clone(&data.labels))),
                "ExternalLabels" => Some(Self::Labels(Rc::clone(&data.external_labels))),
                "ExternalURL" => Some(Self::Text(Rc::clone(&data.external_url))),
                "Value" => Some(Self::Float(data.value)),
                _ => None,
            },
            Self::Nil => return Err(format!("nil data; no field `{name}`")),
            _ => None,
        };
        found.ok_or_else(|| format!("can't evaluate field `{name}` in a value of type {}", self.kind()))
    }
}
