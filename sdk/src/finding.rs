//! Making findings.

use crate::Timestamp;
use crate::analyzer::Record;
use crate::types::{Finding, Label, Severity};

impl Finding {
    /// A finding of a rule (a stable name of 1 to 128 bytes of `[a-z0-9._-]`), with one sentence
    /// that says what happened.
    pub fn new(rule: impl Into<String>, severity: Severity, message: impl Into<String>) -> Self {
        let (rule, message) = (rule.into(), message.into());
        Self { rule, severity, message, attributes: Vec::new(), record: None, time: None }
    }

    /// Adds a particular, such as an address or a user. At most 64.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.attributes.push(Label { name: name.into(), value: value.to_string() });
        self
    }

    /// Names the record that made it. The host adds the record's place, time and start of text.
    #[must_use]
    pub fn of(mut self, record: &Record<'_>) -> Self {
        self.record = Some(record.index);
        self
    }

    /// Says when it happened, if that is known better than by the record's time.
    #[must_use]
    pub fn at(mut self, time: Timestamp) -> Self {
        self.time = Some(time);
        self
    }
}

impl Label {
    /// A name and its value.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// Labels from pairs.
pub(crate) fn labels_of(pairs: &[(&str, &str)]) -> Vec<Label> {
    pairs.iter().map(|(name, value)| Label::new(*name, *value)).collect()
}
