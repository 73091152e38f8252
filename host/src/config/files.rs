//! The texts the configuration was read from, kept so that every message can show its place.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::tree::Origin;

/// A place that a person can go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Place {
    /// In a file.
    File {
        /// Its path.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
        /// In characters, counted from 1.
        column: usize,
    },
    /// The whole file.
    Path {
        /// Its path.
        file: PathBuf,
    },
    /// An environment variable.
    Variable {
        /// Its name.
        variable: String,
    },
    /// A flag on the command line.
    Flag {
        /// Its name, with the dashes.
        flag: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line, column } => write!(f, "{}:{line}:{column}", file.display()),
            Self::Path { file } => write!(f, "{}", file.display()),
            Self::Variable { variable } => write!(f, "environment variable {variable}"),
            Self::Flag { flag } => write!(f, "flag {flag}"),
        }
    }
}

/// The line of a file that a message is about, with the part that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The line without its end, cut at a bound.
    pub line: String,
    /// Characters before the part.
    pub before: usize,
    /// Characters of the part, at least 1.
    pub width: usize,
}

/// Longer lines are cut for display.
const MAX_EXCERPT: usize = 160;

/// The files of one load, in the order they were read.
#[derive(Debug, Clone, Default)]
pub(super) struct Files(Vec<(PathBuf, String)>);

impl Files {
    /// Takes a text in; the number is what [`Origin::File`] holds.
    pub(super) fn add(&mut self, path: PathBuf, text: String) -> usize {
        self.0.push((path, text));
        self.0.len() - 1
    }

    pub(super) fn text(&self, file: usize) -> &str {
        self.0.get(file).map_or("", |(_, text)| text)
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|(path, _)| path.as_path())
    }

    /// The folder that relative paths in a value of this origin count from.
    pub(super) fn folder(&self, origin: &Origin) -> Option<&Path> {
        match origin {
            Origin::File { file, .. } => self.0.get(*file)?.0.parent(),
            Origin::Variable(_) | Origin::Flag(_) => None,
        }
    }

    pub(super) fn place(&self, origin: &Origin) -> Place {
        match origin {
            Origin::Variable(name) => Place::Variable { variable: name.to_string() },
            Origin::Flag(name) => Place::Flag { flag: name.to_string() },
            Origin::File { file, span } => {
                let (path, text) = &self.0[*file];
                let start = line_start(text, span.start);
                let before = floor(text, span.start);
                Place::File {
                    file: path.clone(),
                    line: text[..start].matches('\n').count() + 1,
                    column: text[start..before].chars().count() + 1,
                }
            }
        }
    }

    pub(super) fn excerpt(&self, origin: &Origin) -> Option<Excerpt> {
        let Origin::File { file, span } = origin else { return None };
        let text = &self.0.get(*file)?.1;
        let start = line_start(text, span.start);
        let line = text[start..].lines().next().unwrap_or_default();
        let from = floor(text, span.start);
        let to = floor(text, span.end.max(from)).min(start + line.len()).max(from);
        let before = text[start..from].chars().count();
        let line: String = line.chars().take(MAX_EXCERPT).map(|c| if c == '\t' { ' ' } else { c }).collect();
        let room = line.chars().count().saturating_sub(before).max(1);
        Some(Excerpt { line, before, width: text[from..to].chars().count().clamp(1, room) })
    }
}

/// The last character boundary at or before a position.
fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

fn line_start(text: &str, at: usize) -> usize {
    text[..floor(text, at)].rfind('\n').map_or(0, |newline| newline + 1)
}
