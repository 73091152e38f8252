//! What is known of a plugin: which generation serves, why another does not, how it is doing.

use serde::{Deserialize, Serialize};

use super::Time;
use crate::model::Digest;

/// The answer of `/api/v1/plugins`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plugins {
    /// By name.
    pub plugins: Vec<PluginView>,
}

/// How a plugin is doing, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PluginState {
    /// A first generation is being made.
    Starting,
    /// It serves.
    Active,
    /// It fails and rests before it is tried again.
    Resting,
    /// Its thread ended by a bug of the agent; another one serves after a rest.
    Ended,
    /// No generation serves: the only ones were rejected.
    Rejected,
    /// It was removed and finishes its work.
    Draining,
}

/// One plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PluginView {
    /// Its name in the configuration.
    pub name: String,
    /// What it exports: `analyzer`, `scanner`, `unpacker`, `alert-rule`, `query`.
    pub kinds: Vec<String>,
    /// In one word.
    pub state: PluginState,
    /// The generation that serves; none when there is none.
    pub active: Option<GenerationView>,
    /// Why the last change is not active. Gone once a later one is.
    pub rejected: Option<Rejection>,
    /// Whether it rests.
    pub circuit: Circuit,
    /// The sources it reads.
    pub sources: Vec<String>,
    /// What it did since the agent started.
    pub counts: PluginCounts,
    /// The last record that it could not process.
    pub blame: Option<Blame>,
}

/// A generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationView {
    /// Of component, configuration and assets.
    pub digest: Digest,
    /// Of the component alone.
    pub component: Digest,
    /// The component's file.
    pub file: String,
    /// The plugin's own version.
    pub version: String,
    /// Since when it serves.
    pub since: Time,
}

/// A generation that failed a step of its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// Its digest, if it had come so far.
    pub generation: Option<Digest>,
    /// The step: `staged`, `compiled`, `linked`, `configured`, `restored`.
    pub step: String,
    /// What is wrong, where, and what would be right.
    pub reason: String,
    /// When.
    pub time: Time,
}

/// Whether a plugin is called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circuit {
    /// Open: it rests.
    pub open: bool,
    /// Failures in a row, or ends of its thread.
    pub failures: u32,
    /// When it is tried again.
    pub until: Option<Time>,
}

/// What a plugin did since the agent started, all its generations together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PluginCounts {
    /// Records it was handed.
    pub records: u64,
    /// Records that held none of its literals.
    pub passed_over: u64,
    /// Files it scanned.
    pub scans: u64,
    /// Findings it made.
    pub findings: u64,
    /// Calls that failed.
    pub failures: u64,
    /// Log lines above its rate.
    pub log_lines_dropped: u64,
    /// Time its guest code ran.
    pub cpu_seconds: f64,
    /// Linear memory of its instance now.
    pub memory_bytes: u64,
    /// Records that wait for it.
    pub waiting_bytes: u64,
    /// What it keeps in `state`.
    pub state_bytes: u64,
}

/// A record that a generation failed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blame {
    /// Which generation.
    pub generation: Digest,
    /// The record's digest; the record itself is stored as evidence.
    pub digest: Digest,
    /// The source and stream it came from.
    pub source: String,
    /// The path of the log or of the file.
    pub stream: String,
    /// Where it starts there, in bytes.
    pub offset: u64,
    /// Why the call failed.
    pub reason: String,
    /// When.
    pub time: Time,
}
