//! What is wrong with a configuration, and how it is shown: the fact, the place, the remedy.

use std::fmt;

use serde::Serialize;

use super::files::{Excerpt, Place};
use crate::telemetry::escape;

/// The class of a problem: stable, for scripts that read `check --output json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The text is no TOML.
    Syntax,
    /// A file or folder cannot be read.
    Unreadable,
    /// There is no such setting.
    UnknownKey,
    /// A setting is missing.
    MissingKey,
    /// The value has the wrong type.
    WrongType,
    /// The value is not allowed.
    BadValue,
    /// A name refers to nothing.
    UnknownName,
    /// A component is missing, damaged, no component, or of an unknown kind or version.
    Component,
    /// A component asks for what it is not granted.
    Ungranted,
    /// A plugin refused its configuration or an asset.
    Plugin,
    /// A source cannot be read.
    Source,
    /// The file of a forwarder cannot be written, or a certificate, a password or a template of one cannot be read.
    Forwarder,
    /// A target cannot be scraped, or the receiver of a forwarder cannot be reached, or does not take what it would be
    /// sent. Only `check --connect` finds this.
    Upstream,
    /// The data folder cannot be written, its disk is full, or it is held by another agent, of a newer version,
    /// or damaged.
    Data,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Its class.
    pub code: Code,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// The setting's path, its keys joined by dots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The line it stands in; not shown for settings that look secret.
    #[serde(skip)]
    pub excerpt: Option<Excerpt>,
}

impl Problem {
    /// A problem without a place yet.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), place: None, key: None, help: None, excerpt: None }
    }

    /// With what to do about it.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With its place.
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// In a file as a whole.
    pub fn in_file(self, file: impl Into<std::path::PathBuf>) -> Self {
        self.at(Place::Path { file: file.into() })
    }

    /// With the setting's path.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

impl fmt::Display for Problem {
    /// Several lines in the manner of compilers, without a line end behind the last one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.code, escape(&self.message))?;
        let number = match &self.place {
            Some(Place::File { line, .. }) => line.to_string(),
            _ => " ".into(),
        };
        let margin = " ".repeat(number.len());
        if let Some(place) = &self.place {
            write!(f, "\n{margin}--> {}", escape(&place.to_string()))?;
        }
        if let Some(Excerpt { line, before, width }) = &self.excerpt {
            write!(f, "\n{margin} |\n{number} | {}", escape(line))?;
            write!(f, "\n{margin} | {}{}", " ".repeat(*before), "^".repeat(*width))?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n{margin} = {}", escape(help))?;
        }
        Ok(())
    }
}

/// Everything that was found wrong: at least one problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n\n" };
            write!(f, "{gap}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Whether a setting's name says that its value should not be shown.
pub(super) fn looks_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["password", "passwd", "secret", "token", "credential", "api_key", "api-key", "apikey", "private_key"]
        .iter()
        .any(|word| key.contains(word))
}
