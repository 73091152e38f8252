//! The rules by name: how urgent each is, and what it makes of the file unless the configuration says
//! otherwise.

use std::collections::BTreeMap;

use picket_sdk::Severity;
use serde::Deserialize;

/// What the plugin finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The content is of another type than the name says.
    TypeMismatch,
    /// The name says a type, and the content is of none that is known: damaged or encrypted.
    TypeUnknown,
    /// A program where none belongs.
    Program,
    /// A script where none belongs.
    Script,
    /// Runs with the rights of its owner or group, and is not on the list of those that may.
    SetId,
    /// Everybody may write to it.
    WorldWritable,
    /// A name with two extensions of which one is to deceive.
    DoubleExtension,
    /// A name that looks like another one.
    DeceptiveName,
    /// A program or script that listings leave out.
    HiddenProgram,
    /// Larger than the limit.
    TooLarge,
    /// An archive at the end of a file of another type.
    EmbeddedArchive,
    /// A program inside a picture or document.
    EmbeddedProgram,
    /// A script for a web server inside a picture.
    EmbeddedScript,
    /// A document that runs something when it is opened.
    ActiveContent,
}

impl Rule {
    /// The rule's name in findings and in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::TypeMismatch => "type-mismatch",
            Self::TypeUnknown => "type-unknown",
            Self::Program => "program",
            Self::Script => "script",
            Self::SetId => "set-id",
            Self::WorldWritable => "world-writable",
            Self::DoubleExtension => "double-extension",
            Self::DeceptiveName => "deceptive-name",
            Self::HiddenProgram => "hidden-program",
            Self::TooLarge => "too-large",
            Self::EmbeddedArchive => "embedded-archive",
            Self::EmbeddedProgram => "embedded-program",
            Self::EmbeddedScript => "embedded-script",
            Self::ActiveContent => "active-content",
        }
    }

    /// What the rule makes of a file by default.
    pub fn action(self) -> Action {
        match self {
            Self::TypeUnknown | Self::WorldWritable | Self::TooLarge | Self::ActiveContent => Action::Report,
            _ => Action::Suspicious,
        }
    }

    /// How urgent its findings are.
    pub fn severity(self) -> Severity {
        match self {
            Self::SetId | Self::EmbeddedProgram | Self::EmbeddedScript | Self::DoubleExtension => {
                Severity::High
            }
            Self::Program | Self::DeceptiveName | Self::HiddenProgram => Severity::High,
            Self::TypeMismatch | Self::Script | Self::EmbeddedArchive | Self::WorldWritable => {
                Severity::Medium
            }
            Self::ActiveContent => Severity::Medium,
            Self::TypeUnknown | Self::TooLarge => Severity::Low,
        }
    }
}

/// What a rule makes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The rule is not looked at.
    Off,
    /// A finding; the verdict stays what it is.
    Report,
    /// A finding, and the verdict is "suspicious" at least.
    Suspicious,
    /// A finding, and the verdict is "malicious".
    Malicious,
}

/// The actions that the operator chose.
pub type Actions = BTreeMap<Rule, Action>;

/// What a rule makes of a file.
pub fn action(rule: Rule, chosen: &Actions) -> Action {
    chosen.get(&rule).copied().unwrap_or(rule.action())
}
