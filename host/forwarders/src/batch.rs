//! How much is handed over at once.

use std::time::Duration;

use picket_model::{ByteSize, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[forwarders.NAME.batch]`: how much is sent at once. Left out, each is what suits the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BatchConfig {
    /// At most so many results, 1 to 20000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_frames: Option<u32>,
    /// At most so many bytes, as they stand in the journal; 4KiB to 16MiB. One result that is larger goes alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<ByteSize>,
    /// How long to wait for more once there is something; at most 5m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_wait: Option<Span>,
}

/// How much is handed over at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Frames.
    pub frames: usize,
    /// Bytes of the journal.
    pub bytes: usize,
    /// The wait for more.
    pub wait: Duration,
}

impl BatchConfig {
    /// What is set, and else what suits the receiver, within the bounds.
    pub fn or(&self, suits: BatchLimits) -> BatchLimits {
        let bytes = self.max_bytes.map_or(suits.bytes as u64, |bytes| bytes.0);
        BatchLimits {
            frames: self.max_frames.map_or(suits.frames, |frames| frames as usize).clamp(1, 20_000),
            bytes: usize::try_from(bytes).unwrap_or(usize::MAX).clamp(4 << 10, 16 << 20),
            wait: self.max_wait.map_or(suits.wait, |wait| wait.0).min(Duration::from_secs(300)),
        }
    }
}
