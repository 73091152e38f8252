//! How much the lanes keep for readers that lag.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{ByteSize, Lane, Span};

/// The section `[lanes]`: what waits for forwarders and the archive, events (findings, verdicts, alerts, evidence
/// and notices) apart from samples. Beyond these bounds the oldest is expelled, and each forwarder that had not
/// sent it counts what it has lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How much disk space waiting events may take, 4MiB or more. Expelled in pieces of up to a sixteenth of it.
    pub events_bytes: ByteSize,
    /// How long events may wait, a minute or more.
    pub events_age: Span,
    /// How much disk space waiting samples may take, 4MiB or more. Expelled in pieces of up to a sixteenth of it.
    pub samples_bytes: ByteSize,
    /// How long samples may wait, a minute or more. Most receivers take none that are older than a day.
    pub samples_age: Span,
}

impl Default for Config {
    /// A gigabyte each: a million findings, or ten million samples. Events are worth sending a week later.
    fn default() -> Self {
        let days = |days: u64| Span(Duration::from_secs(days * 24 * 3600));
        Self {
            events_bytes: ByteSize(1 << 30),
            events_age: days(7),
            samples_bytes: ByteSize(1 << 30),
            samples_age: days(1),
        }
    }
}

impl Config {
    pub(super) fn of(&self, lane: Lane) -> Bounds {
        match lane {
            Lane::Events => Bounds { max_bytes: self.events_bytes.0, max_age: self.events_age.0 },
            Lane::Samples => Bounds { max_bytes: self.samples_bytes.0, max_age: self.samples_age.0 },
        }
    }
}

/// Of one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) max_bytes: u64,
    pub(super) max_age: Duration,
}

/// Segments of lanes: whole ones are expelled, and one stays when all has been read.
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = (256 << 10)..=(8 << 20);

impl Bounds {
    pub(super) fn segment_bytes(&self) -> u64 {
        (self.max_bytes / 16).clamp(*SEGMENT_BYTES.start(), *SEGMENT_BYTES.end())
    }

    /// A segment is left for a new one at this age, so that age expels in pieces as size does.
    pub(super) fn segment_age(&self) -> Duration {
        self.max_age / 16
    }
}
