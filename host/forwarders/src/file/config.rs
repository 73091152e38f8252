//! What the `file` forwarder can be told.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::select;
use picket_model::{ByteSize, FrameKind};

/// The smallest file that is put aside: below it an agent under load would do little else.
pub const MIN_ROTATE_BYTES: u64 = 64 << 10;
/// The most files that are kept beside the one being written: putting one aside renames all.
pub const MAX_KEEP: u32 = 1000;

/// `[forwarders.<name>]` with `kind = "file"`: writes results as NDJSON, one JSON object a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file. Its folder is made when missing; a new file can be read by the agent's user and
    /// group only (mode 0640). It may be moved away at any time: the next results begin a new one.
    pub path: PathBuf,
    /// Which results are written, of `finding`, `verdict`, `alert`, `evidence`, `notice`,
    /// `sample` and `retraction`. By default all but `sample`.
    #[serde(default = "include")]
    pub include: BTreeSet<FrameKind>,
    /// Which of these results are written, and under which labels.
    #[serde(default)]
    pub select: select::Config,
    /// When the file has grown to this size it becomes `<path>.1`, and a new one is begun. At
    /// least 64 KiB. By default 64 MiB.
    #[serde(default = "rotate_bytes")]
    pub rotate_bytes: ByteSize,
    /// How many such files are kept, `<path>.1` being the newest; at most 1000. With 0 the file
    /// is begun anew and what was in it is gone. By default 5.
    #[serde(default = "keep")]
    pub keep: u32,
}

impl Config {
    /// With everything but the path by default.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            include: include(),
            select: select::Config::default(),
            rotate_bytes: rotate_bytes(),
            keep: keep(),
        }
    }
}

fn include() -> BTreeSet<FrameKind> {
    use FrameKind::{Alert, Evidence, Finding, Notice, Retraction, Verdict};
    BTreeSet::from([Finding, Verdict, Alert, Evidence, Notice, Retraction])
}

fn rotate_bytes() -> ByteSize {
    ByteSize(64 << 20)
}

fn keep() -> u32 {
    5
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn only_the_path_is_needed() {
        let config: Config = toml::from_str(r#"path = "/var/log/picket.ndjson""#).unwrap();
        assert_eq!(config, Config::new("/var/log/picket.ndjson"));
        assert!(!config.include.contains(&FrameKind::Sample));
    }

    #[test]
    fn everything_can_be_set_and_nothing_else() {
        let text = "path = 'x'\ninclude = ['sample', 'alert']\nrotate_bytes = '1MiB'\nkeep = 0";
        let config: Config = toml::from_str(text).unwrap();
        assert_eq!(config.include, BTreeSet::from([FrameKind::Alert, FrameKind::Sample]));
        assert_eq!((config.rotate_bytes, config.keep), (ByteSize(1 << 20), 0));
        assert!(toml::from_str::<Config>("path = 'x'\ncompress = true").is_err());
        assert!(toml::from_str::<Config>("path = 'x'\ninclude = ['log']").is_err());
    }
}
