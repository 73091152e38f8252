//! How long and how much the archive keeps.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{ByteSize, Span};

/// The smallest archive: below it, a burst of findings would expel itself.
const MIN_BYTES: u64 = 1 << 20;
/// A segment is a thirty-second of all, so that at most that much goes early.
const SEGMENTS: u64 = 32;
/// Small enough that a search reads one in a tenth of a second.
const MAX_SEGMENT_BYTES: u64 = 32 << 20;

/// `[archive]`: findings that are kept for `picket findings` and the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long a finding is kept after it was found. By default 30 days.
    pub max_age: Span,
    /// How large the archive may become; then the oldest findings go. At least 1 MiB, by default
    /// 1 GiB.
    pub max_bytes: ByteSize,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_age: Span(Duration::from_secs(30 * 24 * 60 * 60)), max_bytes: ByteSize(1 << 30) }
    }
}

impl Config {
    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.max_bytes.0.max(MIN_BYTES)
    }

    /// Bytes at which a segment is full.
    pub(super) fn segment_bytes(&self) -> u64 {
        (self.bytes() / SEGMENTS).min(MAX_SEGMENT_BYTES)
    }

    /// How long a segment is written to, in nanoseconds: what is in it goes late by no more.
    pub(super) fn segment_age(&self) -> u64 {
        self.max_age.as_nanos() / SEGMENTS
    }
}
