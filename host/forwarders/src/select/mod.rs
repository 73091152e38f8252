//! Which frames a forwarder gets, and under which labels: filters, then external labels, then relabelling in the
//! terms of Prometheus' `relabel_config`.
//!
//! It sends nothing and checks no format: what a receiver wants of names is the forwarder's to know.

mod config;
mod labels;

use picket_model::{Frame, FrameKind, Label};

use crate::severity;
pub use config::Config;
use picket_relabel::{self as relabel, RuleError, Rules};

#[cfg(test)]
mod tests;

/// The most labels that all results get: half of those that a series may have.
pub const MAX_EXTERNAL_LABELS: usize = 32;

/// Filters and relabels frames.
#[derive(Debug, Clone, Default)]
pub struct Select {
    filter: Config,
    external: Vec<Label>,
    rules: Rules,
}

/// What is configured cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// A relabelling rule.
    #[error("`select.relabel`: {0}")]
    Rule(#[from] RuleError),
    /// A label that all results get.
    #[error("`select.labels`: `{name}` {what}")]
    Label {
        /// Its name.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// Too many of them.
    #[error(
        "`select.labels`: there are more than {MAX_EXTERNAL_LABELS}; take those away that are not needed"
    )]
    TooManyLabels,
}

impl Select {
    /// Checks what is configured and compiles the rules.
    pub fn new(config: &Config) -> Result<Self, SelectError> {
        if config.labels.len() > MAX_EXTERNAL_LABELS {
            return Err(SelectError::TooManyLabels);
        }
        for (name, value) in &config.labels {
            let what = if !relabel::is_label_name(name) || name.starts_with("__") {
                "is no name of a label: it has letters, digits and `_` and begins with neither a digit nor `__`"
                    .to_owned()
            } else if name.len() > relabel::MAX_NAME_BYTES {
                format!("is longer than {} bytes", relabel::MAX_NAME_BYTES)
            } else if value.len() > relabel::MAX_VALUE_BYTES {
                format!("has a value of more than {} bytes", relabel::MAX_VALUE_BYTES)
            } else {
                continue;
            };
            return Err(SelectError::Label { name: shown(name), what });
        }
        let rules = Rules::new(&config.relabel)?;
        let label = |(name, value): (&String, &String)| Label { name: name.clone(), value: value.clone() };
        // An empty value is the same as no label.
        let external = config.labels.iter().filter(|(_, value)| !value.is_empty()).map(label).collect();
        Ok(Self { filter: config.clone(), external, rules })
    }

    /// Whether frames of a kind are let through at all; what the receiver can take is the forwarder's to say.
    pub fn wants(&self, kind: FrameKind) -> bool {
        self.filter.include.is_empty() || self.filter.include.contains(&kind)
    }

    /// Applies filters and rules; none when the frame is not to be sent.
    pub fn apply(&self, mut frame: Frame) -> Option<Frame> {
        if !self.wants(frame.kind()) || !self.passes(&frame) {
            return None;
        }
        labels::add(&mut frame, &self.external);
        match self.rules.is_empty() {
            true => Some(frame),
            false => labels::relabel(frame, &self.rules),
        }
    }

    /// The filters that look at more than the kind. What a frame does not tell is no reason to leave it out.
    fn passes(&self, frame: &Frame) -> bool {
        let Config { min_severity, plugins, sources, .. } = &self.filter;
        let severe = match (min_severity, severity::of(frame)) {
            (Some(least), Some(severity)) => severity >= *least,
            _ => true,
        };
        let plugin =
            frame.origin().is_none_or(|(_, origin)| plugins.is_empty() || plugins.contains(&origin.plugin));
        let source =
            labels::source(frame).is_none_or(|source| sources.is_empty() || sources.contains(source));
        severe && plugin && source
    }
}

/// A name for a message.
fn shown(name: &str) -> String {
    name.chars().take(100).flat_map(char::escape_debug).collect()
}
