//! Events apart from samples: what is kept, bounded and lost by itself.

use serde::{Deserialize, Serialize};

use super::FrameKind;

/// A lane of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Findings, verdicts, alerts, evidence, notices and retractions.
    Events,
    /// Samples.
    Samples,
}

impl Lane {
    /// Both, in the order of [`index`](Self::index).
    pub const ALL: [Self; 2] = [Self::Events, Self::Samples];

    /// The lane that a kind of frame belongs to.
    pub fn of(kind: FrameKind) -> Self {
        match kind {
            FrameKind::Sample => Self::Samples,
            FrameKind::Finding
            | FrameKind::Verdict
            | FrameKind::Alert
            | FrameKind::Evidence
            | FrameKind::Notice
            | FrameKind::Retraction => Self::Events,
        }
    }

    /// Its place in arrays of both.
    pub fn index(self) -> usize {
        match self {
            Self::Events => 0,
            Self::Samples => 1,
        }
    }

    /// Its name: that of its folder, its section of the configuration, and its label in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Samples => "samples",
        }
    }
}
