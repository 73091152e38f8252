//! How the agent as a whole is doing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Time;

/// The answer of `/api/v1/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The agent's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Since when it runs.
    pub started: Time,
    /// Whether it does its work: absent when it does, else what keeps it from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_ready: Option<String>,
    /// Its data folder.
    pub data_dir: String,
    /// The configuration that is active.
    pub config: ConfigStatus,
    /// Plugins by their state.
    pub plugins: BTreeMap<String, u64>,
    /// By name.
    pub sources: Vec<SourceStatus>,
    /// By name.
    pub forwarders: Vec<ForwarderStatus>,
    /// What was committed and not carried everywhere.
    pub journal: JournalStatus,
    /// Recent samples.
    pub series: SeriesStatus,
    /// Of all plugins together.
    #[serde(default)]
    pub rules: RulesStatus,
    /// Of all plugins together.
    pub memory: MemoryStatus,
}

/// The configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigStatus {
    /// The files it was read from.
    pub files: Vec<String>,
    /// Rises with each configuration that became active.
    pub generation: u64,
    /// When it became active.
    pub loaded: Time,
    /// Why the last attempt to load another failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// A source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Files that are followed, or that the last walk found.
    pub streams: u64,
    /// By plugin: bytes between where it is and the end of its files.
    pub lag_bytes: BTreeMap<String, u64>,
    /// What cannot be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<SourceProblem>,
}

/// Something that a source cannot read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceProblem {
    /// What.
    pub path: String,
    /// The operating system's words.
    pub error: String,
    /// What an operator can do.
    pub remedy: String,
}

/// A forwarder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ForwarderStatus {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Bytes of the journal that it has not carried yet.
    pub queued_bytes: u64,
    /// Results of them, those included that it leaves out.
    pub queued_frames: u64,
    /// Age of the oldest of them in seconds.
    pub oldest_seconds: f64,
    /// Results that its receiver accepted since the agent started.
    pub sent_frames: u64,
    /// Results that its receiver refused for good since the agent started. They are set aside.
    pub refused_frames: u64,
    /// Results that were never sent, since the agent started: expelled at the journal's bounds, or damaged.
    pub dropped_frames: u64,
    /// It fails, and is tried only now and then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub circuit_open: bool,
    /// Where what was refused is set aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_file: Option<String>,
    /// What keeps it from carrying them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The answer of `/api/v1/forwarders`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Forwarders {
    /// By name.
    pub forwarders: Vec<ForwarderStatus>,
}

/// The journal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalStatus {
    /// What it holds.
    pub bytes: u64,
    /// Where it ends, as `segment:offset`.
    pub end: String,
    /// What keeps it from being written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The series store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesStatus {
    /// Series it holds.
    pub series: u64,
    /// Samples it holds.
    pub samples: u64,
}

/// The rules of all plugins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesStatus {
    /// Groups of rules.
    pub groups: u64,
    /// Rules of all groups.
    pub rules: u64,
    /// Rules whose last evaluation failed.
    pub failing: u64,
    /// One of them, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The memory of all plugins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryStatus {
    /// Taken now.
    pub used_bytes: u64,
    /// The budget.
    pub limit_bytes: u64,
}
