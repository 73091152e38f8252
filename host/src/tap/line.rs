//! What a tap shows: one line of JSON for each thing that passes, with a summary that a person can read. It is no
//! copy of a frame; whoever needs every field reads the results.

use serde::{Deserialize, Serialize};

use crate::model::{Frame, FrameKind, Label};

/// Longer texts are cut: a line is for the eye.
pub const MAX_TEXT: usize = 1 << 10;

/// A part of the way from a record to a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Records, as they are routed to plugins.
    Source,
    /// Frames, as a plugin has committed them.
    Plugin,
    /// Frames, as a forwarder has handed them over.
    Forwarder,
}

impl Way {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Plugin => "plugin",
            Self::Forwarder => "forwarder",
        }
    }
}

/// What became of a frame that was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The receiver has it; or is one that refused some frames and did not say which.
    Accepted,
    /// The receiver will never take it: it is set aside.
    Refused,
    /// It waits, and is handed over again.
    Failed,
}

/// One thing that passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Unix time in nanoseconds at which it passed.
    pub time: u64,
    /// Which part of the way it passed.
    pub point: Way,
    /// The name of the source, plugin or forwarder.
    pub name: String,
    /// Of records: the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// Of records: where it starts in the file, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Of frames.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<FrameKind>,
    /// Of frames that were handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The record's text, or a frame in a few words: at most [`MAX_TEXT`] bytes, invalid UTF-8 replaced.
    pub text: String,
}

/// What was not shown before the next line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Lines.
    pub dropped: u64,
}

impl Line {
    /// A record; the time is for whoever shows it to set.
    pub(super) fn of_record(source: &str, stream: &str, offset: u64, bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_TEXT)]).into_owned();
        Self {
            time: 0,
            point: Way::Source,
            name: source.to_owned(),
            stream: Some(stream.to_owned()),
            offset: Some(offset),
            kind: None,
            outcome: None,
            text: cut(text),
        }
    }

    /// A frame; the time is for whoever shows it to set.
    pub(super) fn of_frame(point: Way, name: &str, frame: &Frame, outcome: Option<Outcome>) -> Self {
        let (kind, text) = (Some(frame.kind()), cut(summary(frame)));
        Self { time: 0, point, name: name.to_owned(), stream: None, offset: None, kind, outcome, text }
    }
}

/// A frame in a few words.
fn summary(frame: &Frame) -> String {
    let word = |word: &dyn std::fmt::Debug| format!("{word:?}").to_lowercase();
    match frame {
        Frame::Finding(finding) => {
            let (severity, rule) = (word(&finding.severity), &finding.rule);
            format!("{severity} {rule}: {} ({})", finding.message, finding.stream)
        }
        Frame::Verdict(verdict) => format!("{} {} {}", word(&verdict.verdict), verdict.path, verdict.reason),
        Frame::Alert(alert) => {
            format!("{} {}{} {}", word(&alert.state), alert.rule, labels(&alert.labels), alert.value)
        }
        Frame::Sample(sample) => format!("{}{} {}", sample.name, labels(&sample.labels), sample.value),
        Frame::Evidence(evidence) => format!("{}:{} {}", evidence.stream, evidence.offset, evidence.reason),
        Frame::Notice(notice) => {
            format!("{} {} {}", word(&notice.event), notice.origin.plugin, notice.reason)
        }
        Frame::Retraction(retraction) => {
            let (count, plugin) = (retraction.retracts.len(), &retraction.origin.plugin);
            format!("{count} results of {plugin} taken back: {}", retraction.reason)
        }
    }
}

/// As in Prometheus' notation; nothing for none.
fn labels(labels: &[Label]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let pairs: Vec<String> = labels.iter().map(|label| format!("{}={:?}", label.name, label.value)).collect();
    format!("{{{}}}", pairs.join(","))
}

/// At most [`MAX_TEXT`] bytes of it: replaced bytes are longer than they were.
fn cut(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
    }
    text
}
