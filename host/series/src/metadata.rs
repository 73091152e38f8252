//! What is known of metrics beside their samples: kind, help and unit, as scrapes tell it. In memory only: the next
//! scrape tells it again.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

/// Metrics with a description: more than the busiest node has names.
pub const MAX_DESCRIBED: usize = 20_000;
/// Bytes of a help text that are kept; a paragraph.
pub const MAX_HELP_BYTES: usize = 1024;
/// Bytes of a unit that are kept; a word.
const MAX_UNIT_BYTES: usize = 64;

/// What a metric is, as in OpenMetrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Kind {
    /// It only grows, but for restarts.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts in buckets.
    Histogram,
    /// Counts in buckets that go up and down.
    GaugeHistogram,
    /// Quantiles.
    Summary,
    /// Labels that tell something; the value is 1.
    Info,
    /// One of several states is 1.
    StateSet,
    /// Nobody said.
    #[default]
    Unknown,
}

impl Kind {
    /// The word for it in the text formats and in the query API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
            Self::Unknown => "unknown",
        }
    }
}

/// The description of a metric.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// What it is.
    pub kind: Kind,
    /// What it means, in a sentence; cut at [`MAX_HELP_BYTES`].
    pub help: String,
    /// The unit of its values; often empty.
    pub unit: String,
}

/// Descriptions by the metrics' names.
#[derive(Default)]
pub(crate) struct Descriptions(RwLock<BTreeMap<String, Metadata>>);

impl Descriptions {
    /// Keeps one; says whether there was room for it.
    pub(crate) fn set(&self, name: &str, mut metadata: Metadata) -> bool {
        if name.len() > crate::MAX_NAME_BYTES {
            return false;
        }
        cut(&mut metadata.help, MAX_HELP_BYTES);
        cut(&mut metadata.unit, MAX_UNIT_BYTES);
        let same = self.0.read().unwrap_or_else(PoisonError::into_inner).get(name) == Some(&metadata);
        if same {
            return true;
        }
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_DESCRIBED && !all.contains_key(name) {
            return false;
        }
        all.insert(name.to_owned(), metadata);
        true
    }

    pub(crate) fn all(&self, max: usize) -> Vec<(String, Metadata)> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().take(max).map(|(name, metadata)| (name.clone(), metadata.clone())).collect()
    }
}

fn cut(text: &mut String, most: usize) {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.truncate(end);
    text.shrink_to_fit();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_bounded_in_number_and_length() {
        let all = Descriptions::default();
        let long = Metadata { help: "ä".repeat(MAX_HELP_BYTES), ..Metadata::default() };
        for number in 0..MAX_DESCRIBED {
            assert!(all.set(&format!("m{number}"), Metadata::default()));
        }
        assert!(!all.set("one_more", Metadata::default()));
        assert!(all.set("m0", long));
        assert_eq!(all.all(2).len(), 2);
        assert_eq!(all.all(1)[0].1.help.len(), MAX_HELP_BYTES);
    }
}
