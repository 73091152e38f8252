//! Which frames a forwarder gets, and under which labels: filters, then relabelling.
//!
//! Relabelling has the terms of Prometheus' `relabel_config`.

use std::collections::{BTreeMap, BTreeSet};

use picket_model::{Frame, FrameKind, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[forwarders.NAME.select]`: which results are sent, and under which labels.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Which kinds, of `finding`, `verdict`, `alert`, `evidence`, `notice` and `sample`; by default all that
    /// the receiver can take.
    pub include: BTreeSet<FrameKind>,
    /// Findings that are less severe are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_severity: Option<Severity>,
    /// Labels that all samples, alerts and findings get that do not have them.
    pub labels: BTreeMap<String, String>,
}

/// Filters and relabels frames.
pub struct Select;

impl Select {
    /// Whether frames of a kind may be sent at all.
    pub fn wants(&self, _kind: FrameKind) -> bool {
        true
    }

    /// Applies filters and rules; none when the frame is not to be sent.
    pub fn apply(&self, frame: Frame) -> Option<Frame> {
        Some(frame)
    }
}
