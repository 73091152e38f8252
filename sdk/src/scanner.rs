//! Scanners: a look at one file, and a verdict.

use crate::{Object, Plugin, Report, Result};

/// Looks at files.
pub trait Scanner: Plugin {
    /// Looks at one object and says what it thinks of it; findings and metrics go into the report.
    /// An error (or a panic) discards the instance, and the object is tried once more on a fresh
    /// one. A file that is broken is no error: say [`Verdict::Skipped`] and why.
    fn scan(&mut self, object: &Object<'_>, report: &mut Report) -> Result<Verdict>;
}

/// What a scanner thinks of an object. The text says why, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Not looked at.
    Skipped(String),
    /// Looked at, nothing wrong.
    Clean,
    /// A person should look.
    Suspicious(String),
    /// It does harm.
    Malicious(String),
}

impl Verdict {
    /// Why; empty for [`Verdict::Clean`].
    pub fn reason(&self) -> &str {
        match self {
            Self::Clean => "",
            Self::Skipped(reason) | Self::Suspicious(reason) | Self::Malicious(reason) => reason,
        }
    }
}
