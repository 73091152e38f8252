//! What a reload did.

use serde::{Deserialize, Serialize};

use crate::model::Digest;

/// The answer of `POST /-/reload`. It is a success only when the configuration was loaded and no plugin's
/// change was rejected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// What is wrong with the configuration; then nothing of it became active.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<ConfigProblem>,
    /// Every plugin, by name, with the generation that is active now.
    pub plugins: Vec<ReloadedPlugin>,
}

impl ReloadReport {
    /// Whether everything that was asked for is active now.
    pub fn is_success(&self) -> bool {
        self.problems.is_empty() && self.plugins.iter().all(|plugin| plugin.outcome != Outcome::Rejected)
    }
}

/// What became of one plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadedPlugin {
    /// Its name.
    pub plugin: String,
    /// What happened.
    pub outcome: Outcome,
    /// The generation that is active now; none when there is none.
    pub active: Option<Digest>,
    /// Why its change is not active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a reload did to a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing of it had changed.
    Unchanged,
    /// It is new.
    Added,
    /// A new generation serves.
    Swapped,
    /// It is gone.
    Removed,
    /// Its change was rejected; what served before still does.
    Rejected,
}

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigProblem {
    /// Its class, such as `unknown-key`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// Where: a file with line and column, or a variable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What would be right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}
