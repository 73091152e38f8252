//! Settings of parts that know nothing of configuration files: the agent as a whole, the journal,
//! the state, the series store.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{ByteSize, Span};

/// The agent as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AgentConfig {
    /// Memory of all plugins together. An instance that would go over it fails instead of growing.
    pub memory: ByteSize,
    /// How long a stop waits for plugins to finish what they hold. What they did not finish is read
    /// again after the next start.
    pub drain: Span,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self { memory: ByteSize(512 << 20), drain: Span::seconds(10) }
    }
}

/// The journal: what was committed and not yet carried everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JournalConfig {
    /// The size at which a segment file is closed. Space is given back by whole segments.
    pub segment_bytes: ByteSize,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self { segment_bytes: ByteSize(64 << 20) }
    }
}

/// The store of plugin state, checkpoints, cursors and alerts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StateConfig {
    /// Memory for what was read last.
    pub cache: ByteSize,
}

impl Default for StateConfig {
    fn default() -> Self {
        Self { cache: ByteSize(32 << 20) }
    }
}

/// The store of recent samples, for alert rules and queries.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SeriesConfig {
    /// Series that are kept at once. Samples of further ones are dropped and counted.
    pub max_series: u32,
    /// How long samples are kept: what rules, queries and backtests can look back. From 1s to 10days.
    pub max_age: Span,
    /// Memory of series and recent samples. Near it, samples go to the disk early; at it a new series is dropped and
    /// counted.
    pub max_memory: ByteSize,
    /// Files of samples in the data folder. Beyond it the oldest half hour goes.
    pub max_disk: ByteSize,
}

impl Default for SeriesConfig {
    fn default() -> Self {
        Self {
            max_series: 100_000,
            max_age: Span::seconds(24 * 3600),
            max_memory: ByteSize(96 << 20),
            max_disk: ByteSize(512 << 20),
        }
    }
}
