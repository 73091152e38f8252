//! The settings of a `directory` source.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{ByteSize, Span};
use crate::sources::glob::{GlobError, Globs};

/// Hardly anything is scanned with less, and a mistyped `0` would stop everything.
const MIN_CPU: f64 = 0.01;

/// A `directory` source: files that are given to scanners when they change and on schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which files: absolute paths with `*`, `?`, `[…]`, `{…}` and `**` (any folders). A folder, with or
    /// without `/**` behind it, means all files below it. Symbolic links are not followed.
    pub include: Vec<String>,
    /// Which of them not. A pattern without a slash is compared with file names only.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// How often all files are looked at again. Those that are unchanged since the same generation of
    /// a scanner judged them are passed over. What is not looked at for a month is forgotten: with a time
    /// of more than three weeks, unchanged files may be scanned again.
    #[serde(default = "default_rescan")]
    pub rescan: Span,
    /// A file is scanned when it has not changed for this long, so that half-written ones wait. One that
    /// changes again and again waits for ten times as long, a minute at least, and is scanned as it is then.
    #[serde(default = "default_settle")]
    pub settle: Span,
    /// Larger files are not read and are reported as skipped.
    #[serde(default = "default_max_file_bytes")]
    pub max_file_bytes: ByteSize,
    /// Share of one processor for reading files during a rescan, 0.01 to 1. Files that changed a
    /// moment ago are not delayed.
    #[serde(default = "default_cpu")]
    pub cpu: f64,
}

fn default_rescan() -> Span {
    Span::seconds(24 * 3600)
}

fn default_settle() -> Span {
    Span::seconds(2)
}

fn default_max_file_bytes() -> ByteSize {
    ByteSize(100 << 20)
}

fn default_cpu() -> f64 {
    0.25
}

impl Config {
    /// For some files, everything else by default.
    pub fn new(include: Vec<String>) -> Self {
        Self {
            include,
            exclude: Vec::new(),
            rescan: default_rescan(),
            settle: default_settle(),
            max_file_bytes: default_max_file_bytes(),
            cpu: default_cpu(),
        }
    }

    /// Checks everything that can be checked without the files.
    pub fn check(&self) -> Result<Checked, ConfigError> {
        if !(MIN_CPU..=1.0).contains(&self.cpu) {
            return Err(ConfigError::Cpu { found: self.cpu });
        }
        if self.rescan.0 < Duration::from_secs(1) {
            return Err(ConfigError::Rescan { found: self.rescan });
        }
        Ok(Checked {
            globs: Globs::new(&with_folders(&self.include), &self.exclude)?,
            rescan: self.rescan.0,
            settle: self.settle.0,
            max_file_bytes: self.max_file_bytes.0,
            cpu: self.cpu,
        })
    }
}

/// A pattern whose last name has no wildcard may name a folder: then everything below it is meant too.
fn with_folders(include: &[String]) -> Vec<String> {
    let is_literal = |pattern: &&String| {
        let last = pattern.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        !last.contains(['*', '?', '[', '{', '\\'])
    };
    let below = include.iter().filter(is_literal).map(|path| format!("{}/**", path.trim_end_matches('/')));
    include.iter().cloned().chain(below).collect()
}

/// A setting of a `directory` source cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A path pattern has a mistake.
    #[error(transparent)]
    Glob(#[from] GlobError),
    /// The share of a processor is none.
    #[error("`cpu` is {found}; it can be 0.01 to 1")]
    Cpu {
        /// As configured.
        found: f64,
    },
    /// The schedule is too tight.
    #[error("`rescan` is {found}; it can be 1s or longer")]
    Rescan {
        /// As configured.
        found: Span,
    },
}

/// A [`Config`] ready to use.
#[derive(Debug, Clone)]
pub struct Checked {
    /// Which files.
    pub globs: Globs,
    /// See [`Config::rescan`].
    pub rescan: Duration,
    /// See [`Config::settle`].
    pub settle: Duration,
    /// In bytes; see [`Config::max_file_bytes`].
    pub max_file_bytes: u64,
    /// See [`Config::cpu`].
    pub cpu: f64,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_folder_means_everything_below_it() {
        let checked = Config::new(vec!["/srv/uploads".into(), "/srv/*.zip".into()]).check().unwrap();
        let matches = |path: &str| checked.globs.matches(std::path::Path::new(path));
        assert!(matches("/srv/uploads/a/b.txt") && matches("/srv/uploads") && matches("/srv/x.zip"));
        assert!(!matches("/srv/x.zip/y") && !matches("/srv/uploads2"));
    }

    #[test]
    fn settings_have_defaults_and_mistakes_are_named() {
        let check = |text: &str| toml::from_str::<Config>(text).unwrap().check();
        assert!(check("include = ['/srv/uploads/**']").is_ok());
        let error = |text: &str| check(text).unwrap_err().to_string();
        assert!(error("include = ['/x']\ncpu = 0.0").contains("`cpu`"));
        assert!(error("include = ['/x']\nrescan = '1ms'").contains("`rescan`"));
        assert!(error("include = ['x']").contains("absolute"));
    }
}
