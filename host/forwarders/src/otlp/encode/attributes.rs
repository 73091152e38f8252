//! Attributes: names with values, each name once, as OTLP demands.

use std::collections::HashMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use picket_model::{EventId, Label};

/// Attributes in the making.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    all: Vec<KeyValue>,
    /// The names that are taken, each with the number that the next of the same name may get: a plugin decides about
    /// the names, and thousands of equal ones must cost no more than as many others.
    taken: HashMap<String, u32>,
}

impl Attributes {
    /// With the name by which a receiver can drop a repeat.
    pub(super) fn of_event(id: EventId) -> Self {
        let mut attributes = Self::default();
        attributes.text("log.record.uid", id.to_string());
        attributes
    }

    /// A text.
    pub(super) fn text(&mut self, name: &str, value: impl Into<String>) {
        self.put(name, Value::StringValue(value.into()));
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, name: &str, values: impl Iterator<Item = String>) {
        let values = values.map(|value| AnyValue { value: Some(Value::StringValue(value)) }).collect();
        self.put(name, Value::ArrayValue(ArrayValue { values }));
    }

    /// A text, unless it is empty.
    pub(super) fn text_unless_empty(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.text(name, value);
        }
    }

    /// A whole number; OTLP's go to 2⁶³ - 1, and a larger one becomes that.
    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.put(name, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    /// A number.
    pub(super) fn float(&mut self, name: &str, value: f64) {
        self.put(name, Value::DoubleValue(value));
    }

    /// Where a record stands: the stream is the path of a file unless a source calls it otherwise.
    pub(super) fn stream(&mut self, stream: &str) {
        if stream.starts_with('/') {
            self.file("log.file", stream);
        } else {
            self.text_unless_empty("picket.stream", stream);
        }
    }

    /// A file's path and name.
    pub(super) fn file(&mut self, namespace: &str, path: &str) {
        self.text(&format!("{namespace}.path"), path);
        let name = path.rsplit('/').next().unwrap_or_default();
        self.text_unless_empty(&format!("{namespace}.name"), name);
    }

    /// Names and values of others, each behind a prefix. Of two equal names the second becomes `name#2`.
    pub(super) fn labels(&mut self, prefix: &str, labels: &[Label]) {
        for label in labels {
            self.text(&format!("{prefix}{}", label.name), &*label.value);
        }
    }

    /// All of them.
    pub(super) fn done(self) -> Vec<KeyValue> {
        self.all
    }

    fn put(&mut self, name: &str, value: Value) {
        let mut key = name.to_owned();
        if let Some(next) = self.taken.get(name) {
            let mut number = *next;
            key = format!("{name}#{number}");
            while self.taken.contains_key(&key) {
                number += 1;
                key = format!("{name}#{number}");
            }
            self.taken.insert(name.to_owned(), number + 1);
        }
        self.taken.insert(key.clone(), 2);
        self.all.push(KeyValue { key, value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() });
    }
}
