//! The settings of a `file` source.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::assemble::Format;
use super::framing::Framing;
use super::multiline::{self, Multiline};
use crate::model::{ByteSize, Span};
use crate::sources::glob::{GlobError, Globs};

/// Bytes read at once. Large enough that a system call costs nothing, small enough to stay in the
/// processor's second cache while it is searched.
const BLOCK_BYTES: usize = 256 << 10;
/// A record has to fit a batch, which is at most 1 MiB.
const RECORD_BYTES: std::ops::RangeInclusive<u64> = 256..=1 << 20;
/// Folders are looked at no more often than this, however the configuration says.
const MIN_DISCOVER: Duration = Duration::from_millis(100);

/// A `file` source: log files that are followed as they grow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which files: absolute paths with `*`, `?`, `[…]`, `{…}` and `**` (any folders).
    pub include: Vec<String>,
    /// Which of them not. A pattern without a slash is compared with file names only. By default
    /// compressed files are left out.
    #[serde(default = "default_exclude")]
    pub exclude: Vec<String>,
    /// Where to begin in files that are there when a plugin first reads this source. Files that
    /// appear later are read from their beginning, and a file that was read before is gone on with.
    #[serde(default)]
    pub start: Start,
    /// How records stand in the files: `auto` (by the first line), `lines`, `cri` or `docker`.
    #[serde(default)]
    pub framing: Framing,
    /// Joins lines to records, such as stack traces.
    #[serde(default)]
    pub multiline: Option<multiline::Config>,
    /// Labels that every record of this source gets; those that the path tells (`pod`, `container`)
    /// come on top.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Bytes of a record, 256B to 1MiB. The rest of a longer one is cut off and counted.
    #[serde(default = "default_record_bytes")]
    pub max_record_bytes: ByteSize,
    /// How far a plugin that takes no records may fall behind what comes in. Its oldest records
    /// beyond that are dropped and counted. What was there when the agent started does not count.
    #[serde(default = "default_max_lag")]
    pub max_lag: ByteSize,
    /// How often to look for new files; changes of folders are noticed at once where the kernel
    /// tells them.
    #[serde(default = "default_discover")]
    pub discover: Span,
    /// How long a file that was renamed away or deleted is still read, counted from the last
    /// growth: programs go on writing to it until they open the new one.
    #[serde(default = "default_finish_after")]
    pub finish_after: Span,
    /// Files open at once. Beyond it those that have not grown for the longest are closed and opened
    /// again when they grow.
    #[serde(default = "default_max_open_files")]
    pub max_open_files: usize,
}

/// Where to begin in a file that was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// With what comes from now on.
    #[default]
    End,
    /// With what is there.
    Beginning,
}

fn default_exclude() -> Vec<String> {
    ["*.gz", "*.xz", "*.zst", "*.bz2", "*.lz4", "*.zip"].map(str::to_owned).to_vec()
}

fn default_record_bytes() -> ByteSize {
    ByteSize(256 << 10)
}

fn default_max_lag() -> ByteSize {
    ByteSize(1 << 30)
}

fn default_discover() -> Span {
    Span::seconds(5)
}

fn default_finish_after() -> Span {
    Span::seconds(30)
}

fn default_max_open_files() -> usize {
    512
}

impl Config {
    /// For some files, everything else by default.
    pub fn new(include: Vec<String>) -> Self {
        Self {
            include,
            exclude: default_exclude(),
            start: Start::default(),
            framing: Framing::default(),
            multiline: None,
            labels: BTreeMap::new(),
            max_record_bytes: default_record_bytes(),
            max_lag: default_max_lag(),
            discover: default_discover(),
            finish_after: default_finish_after(),
            max_open_files: default_max_open_files(),
        }
    }

    /// Checks everything that can be checked without the files.
    pub fn check(&self) -> Result<Checked, ConfigError> {
        let bytes = self.max_record_bytes;
        if !RECORD_BYTES.contains(&bytes.0) {
            return Err(ConfigError::RecordBytes { found: bytes });
        }
        let multiline = match &self.multiline {
            None => None,
            Some(config) => Some(Arc::new(Multiline::new(config).map_err(|error| {
                ConfigError::Multiline { pattern: config.start.clone(), reason: error.to_string() }
            })?)),
        };
        Ok(Checked {
            globs: Globs::new(&self.include, &self.exclude)?,
            start: self.start,
            format: Format {
                framing: self.framing,
                multiline,
                record_bytes: bytes.0 as usize,
                block_bytes: BLOCK_BYTES,
            },
            labels: self.labels.clone(),
            max_lag: self.max_lag.0,
            discover: self.discover.0.max(MIN_DISCOVER),
            finish_after: self.finish_after.0,
            max_open_files: self.max_open_files.max(1),
        })
    }
}

/// A setting of a `file` source cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A path pattern has a mistake.
    #[error(transparent)]
    Glob(#[from] GlobError),
    /// The bound of a record is out of bounds itself.
    #[error("`max_record_bytes` is {found}; it can be 256B to 1MiB")]
    RecordBytes {
        /// As configured.
        found: ByteSize,
    },
    /// The multi-line pattern has a mistake.
    #[error("`multiline.start` is no regular expression that can be used: `{pattern}`: {reason}")]
    Multiline {
        /// As configured.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A [`Config`] ready to use.
#[derive(Debug, Clone)]
pub struct Checked {
    /// Which files.
    pub globs: Globs,
    /// See [`Config::start`].
    pub start: Start,
    /// How records stand in them; the framing may still be [`Framing::Auto`].
    pub format: Format,
    /// See [`Config::labels`].
    pub labels: BTreeMap<String, String>,
    /// In bytes; see [`Config::max_lag`].
    pub max_lag: u64,
    /// See [`Config::discover`].
    pub discover: Duration,
    /// See [`Config::finish_after`].
    pub finish_after: Duration,
    /// At least one; see [`Config::max_open_files`].
    pub max_open_files: usize,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn settings_have_defaults_and_mistakes_are_named() {
        let check = |text: &str| toml::from_str::<Config>(text).unwrap().check();
        assert!(check("include = ['/var/log/*.log']").is_ok());
        let error = |text: &str| check(text).unwrap_err().to_string();
        assert!(error("include = ['x']").contains("`x` is not absolute"));
        assert!(error("include = ['/x']\nmultiline.start = '('").contains("multiline.start"));
        assert!(error("include = ['/x']\nmax_record_bytes = '2MiB'").contains("2MiB"));
        assert!(toml::from_str::<Config>("include = []\nincluded = 1").is_err());
    }
}
