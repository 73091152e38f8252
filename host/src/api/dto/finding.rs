//! Findings, in the shape that the `file` forwarder writes.

use serde::{Deserialize, Serialize};

use super::Time;
use crate::model::{Digest, EventId, Finding, Label, RetractedBy, Severity};

/// The answer of `/api/v1/findings`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// The newest first.
    pub findings: Vec<FindingView>,
    /// Whether there are more than the limit.
    pub truncated: bool,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FindingView {
    /// Unique name; the same when the record is processed again by the same generation.
    pub id: EventId,
    /// When it happened.
    pub timestamp: Time,
    /// Who found it.
    pub plugin: String,
    /// The generation that found it.
    pub generation: Digest,
    /// The plugin's rule.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// One sentence.
    pub message: String,
    /// The particulars.
    pub attributes: Pairs,
    /// The source's name; empty when no source is behind it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// The path of the log or of the scanned file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stream: String,
    /// Where the record starts in the stream, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The start of the record's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// How it was taken back; it was wrong then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retracted: Option<RetractedView>,
}

/// How a finding was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetractedView {
    /// When.
    pub timestamp: Time,
    /// Who did it: `operator` or `agent`.
    pub by: RetractedBy,
    /// Why.
    pub reason: String,
}

impl From<Finding> for FindingView {
    fn from(finding: Finding) -> Self {
        Self {
            id: finding.id,
            timestamp: Time(finding.time),
            plugin: finding.origin.plugin,
            generation: finding.origin.generation,
            rule: finding.rule,
            severity: finding.severity,
            message: finding.message,
            attributes: Pairs(finding.attributes),
            source: finding.source,
            stream: finding.stream,
            offset: finding.offset,
            record: finding.record,
            retracted: None,
        }
    }
}

/// Labels as one JSON object. A name that stands there for the second time becomes `name#2`, because
/// most readers keep only one of two equal names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pairs(pub Vec<Label>);

impl Serialize for Pairs {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries = self.0.iter().enumerate().map(|(index, label)| {
            let before = self.0[..index].iter().filter(|earlier| earlier.name == label.name).count();
            let name = match before {
                0 => label.name.clone(),
                more => format!("{}#{}", label.name, more + 1),
            };
            (name, &label.value)
        });
        serializer.collect_map(entries)
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs = std::collections::BTreeMap::<String, String>::deserialize(deserializer)?;
        Ok(Self(pairs.into_iter().map(|(name, value)| Label { name, value }).collect()))
    }
}
