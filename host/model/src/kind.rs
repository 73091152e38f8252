//! What all frames have in common, for those that sort them without looking inside.

use serde::{Deserialize, Serialize};

use super::{EventId, Frame, Origin};

/// Which kind a frame is of; the word that stands as `kind` in JSON.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum FrameKind {
    /// A [`super::Finding`].
    Finding,
    /// A [`super::Verdict`].
    Verdict,
    /// An [`super::AlertEvent`].
    Alert,
    /// A [`super::Sample`].
    Sample,
    /// An [`super::Evidence`].
    Evidence,
    /// A [`super::Notice`].
    Notice,
    /// A [`super::Retraction`].
    Retraction,
}

impl FrameKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Finding,
        Self::Verdict,
        Self::Alert,
        Self::Sample,
        Self::Evidence,
        Self::Notice,
        Self::Retraction,
    ];
}

impl Frame {
    /// Its kind.
    pub fn kind(&self) -> FrameKind {
        match self {
            Self::Finding(_) => FrameKind::Finding,
            Self::Verdict(_) => FrameKind::Verdict,
            Self::Alert(_) => FrameKind::Alert,
            Self::Sample(_) => FrameKind::Sample,
            Self::Evidence(_) => FrameKind::Evidence,
            Self::Notice(_) => FrameKind::Notice,
            Self::Retraction(_) => FrameKind::Retraction,
        }
    }

    /// Its time: Unix time in nanoseconds.
    pub fn time(&self) -> u64 {
        match self {
            Self::Finding(finding) => finding.time,
            Self::Verdict(verdict) => verdict.time,
            Self::Alert(alert) => alert.time,
            Self::Sample(sample) => sample.time,
            Self::Evidence(evidence) => evidence.time,
            Self::Notice(notice) => notice.time,
            Self::Retraction(retraction) => retraction.time,
        }
    }

    /// Its unique name and who made it. Samples have neither.
    pub fn origin(&self) -> Option<(EventId, &Origin)> {
        match self {
            Self::Finding(finding) => Some((finding.id, &finding.origin)),
            Self::Verdict(verdict) => Some((verdict.id, &verdict.origin)),
            Self::Alert(alert) => Some((alert.id, &alert.origin)),
            Self::Sample(_) => None,
            Self::Evidence(evidence) => Some((evidence.id, &evidence.origin)),
            Self::Notice(notice) => Some((notice.id, &notice.origin)),
            Self::Retraction(retraction) => Some((retraction.id, &retraction.origin)),
        }
    }
}
