//! What can be asked of the archive, and whether a frame is an answer to it.

use std::collections::BTreeSet;

use regex::{Regex, RegexBuilder};

use super::search::SearchError;
use crate::model::{Digest, Frame, FrameKind, Label, Severity};

/// Frames in one answer at most.
pub const MAX_LIMIT: usize = 10_000;
/// Bytes of the frames in one answer at most, as stored.
pub const MAX_ANSWER_BYTES: u64 = 16 << 20;
/// Bytes of the text to look for: longer than anything that is typed, short enough to compile.
const MAX_TEXT_BYTES: usize = 1024;

/// A question to the archive. All conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Not earlier; Unix time in nanoseconds.
    pub since: Option<u64>,
    /// Earlier; Unix time in nanoseconds.
    pub until: Option<u64>,
    /// This severity or a higher one; only findings have one.
    pub min_severity: Option<Severity>,
    /// By this plugin.
    pub plugin: Option<String>,
    /// By this generation.
    pub generation: Option<Digest>,
    /// Of this rule; only findings and alerts have one.
    pub rule: Option<String>,
    /// Only what was taken back, or only what was not.
    pub retracted: Option<bool>,
    /// With this text, in whatever case, in one of: rule, message or reason, the values of
    /// attributes, labels and annotations, record, path, stream.
    pub text: Option<String>,
    /// Of these kinds.
    pub kinds: BTreeSet<FrameKind>,
    /// The newest so many; at most [`MAX_LIMIT`].
    pub limit: usize,
}

impl Default for Query {
    /// The newest hundred findings.
    fn default() -> Self {
        Self {
            since: None,
            until: None,
            min_severity: None,
            plugin: None,
            generation: None,
            rule: None,
            retracted: None,
            text: None,
            kinds: BTreeSet::from([FrameKind::Finding]),
            limit: 100,
        }
    }
}

/// A query that is ready to be put to many frames.
pub(super) struct Filter<'a> {
    query: &'a Query,
    text: Option<Regex>,
}

impl<'a> Filter<'a> {
    pub(super) fn new(query: &'a Query) -> Result<Self, SearchError> {
        let text = query.text.as_deref().filter(|text| !text.is_empty()).map(compile).transpose()?;
        Ok(Self { query, text })
    }

    /// Whether a frame of times in a range can match.
    pub(super) fn may_match(&self, oldest: u64, newest: u64) -> bool {
        self.query.since.is_none_or(|since| newest >= since)
            && self.query.until.is_none_or(|until| oldest < until)
    }

    /// Whether a frame is an answer, apart from whether it was taken back.
    pub(super) fn matches(&self, frame: &Frame) -> bool {
        let query = self.query;
        query.kinds.contains(&frame.kind())
            && self.may_match(frame.time(), frame.time())
            && query
                .min_severity
                .is_none_or(|least| severity(frame).is_some_and(|severity| severity >= least))
            && query
                .plugin
                .as_ref()
                .is_none_or(|plugin| frame.origin().is_some_and(|(_, origin)| origin.plugin == *plugin))
            && query
                .generation
                .is_none_or(|digest| frame.origin().is_some_and(|(_, origin)| origin.generation == digest))
            && query.rule.as_ref().is_none_or(|wanted| rule(frame).is_some_and(|rule| rule == wanted))
            && self.text.as_ref().is_none_or(|text| has_text(frame, text))
    }
}

/// Case by the Unicode simple folding, as `regex` does it.
fn compile(text: &str) -> Result<Regex, SearchError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(SearchError::LongText { bytes: text.len(), limit: MAX_TEXT_BYTES });
    }
    let built = RegexBuilder::new(&regex::escape(text)).case_insensitive(true).build();
    Ok(built.expect("an escaped kilobyte is a small regular expression"))
}

fn severity(frame: &Frame) -> Option<Severity> {
    match frame {
        Frame::Finding(finding) => Some(finding.severity),
        _ => None,
    }
}

fn rule(frame: &Frame) -> Option<&str> {
    match frame {
        Frame::Finding(finding) => Some(&finding.rule),
        Frame::Alert(alert) => Some(&alert.rule),
        _ => None,
    }
}

fn has_text(frame: &Frame, text: &Regex) -> bool {
    let is = |field: &str| text.is_match(field);
    let any = |labels: &[Label]| labels.iter().any(|label| is(&label.value));
    match frame {
        Frame::Finding(finding) => {
            is(&finding.rule)
                || is(&finding.message)
                || any(&finding.attributes)
                || finding.record.as_deref().is_some_and(is)
                || is(&finding.stream)
        }
        Frame::Verdict(verdict) => is(&verdict.reason) || is(&verdict.path),
        Frame::Alert(alert) => is(&alert.rule) || any(&alert.labels) || any(&alert.annotations),
        Frame::Evidence(evidence) => {
            is(&evidence.reason) || is(&evidence.stream) || is(&String::from_utf8_lossy(&evidence.record))
        }
        Frame::Notice(notice) => is(&notice.reason),
        Frame::Retraction(retraction) => is(&retraction.reason),
        Frame::Sample(sample) => is(&sample.name),
    }
}
