//! Taking results back: what is asked, and what came of it.

use serde::{Deserialize, Serialize};

use super::Time;
use crate::model::{Digest, EventId, FrameKind};

/// The body of `POST /api/v1/findings/retract`: findings and verdicts of a plugin are taken back that match all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetractRequest {
    /// Whose.
    pub plugin: String,
    /// Only those of this generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<Digest>,
    /// Only findings of this rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Not earlier than this: a time or how long ago, as in the parameters of `/api/v1/findings`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Earlier than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Why, in one sentence; receivers get it.
    pub reason: String,
    /// Only say what would be taken back.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was taken back, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetractReport {
    /// Nothing was done.
    pub dry_run: bool,
    /// How many were taken back now, or would be.
    pub retracted: u64,
    /// How many match and had been taken back before: they were left out.
    pub already: u64,
    /// There are more than one request takes back: ask again.
    pub more: bool,
    /// The archive shows them as taken back. It does so a moment later otherwise; what is asked before that may take
    /// back the same once more, which does no harm.
    pub archived: bool,
    /// Some of the newest of them.
    pub examples: Vec<RetractExample>,
}

/// One of the results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetractExample {
    /// Its name.
    pub id: EventId,
    /// When it happened.
    pub timestamp: Time,
    /// `finding` or `verdict`.
    pub kind: FrameKind,
    /// The generation that made it.
    pub generation: Digest,
    /// Of findings, the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// A finding's message; a verdict's word and path.
    pub text: String,
}
