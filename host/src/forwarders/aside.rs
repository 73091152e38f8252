//! What receivers refused for good: set aside with the reason, as NDJSON that people can read and send again.
//!
//! One file for each forwarder, `refused/NAME.ndjson` in the data folder, and the one before it. Nothing in the
//! agent reads them. A frame that cannot be set aside is counted and logged all the same.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use picket_forwarders::file::encode::Line;
use serde::Serialize;

use crate::model::{Frame, now_nanos};

/// A file of this size becomes `NAME.ndjson.1`: enough for some ten thousand frames, and no danger to the disk.
const MAX_BYTES: u64 = 8 << 20;

/// The folder. Clones write to the same.
#[derive(Debug, Clone)]
pub struct Aside {
    folder: PathBuf,
}

/// A line of the file.
#[derive(Serialize)]
struct Set<'a> {
    /// Unix time in nanoseconds at which it was refused.
    refused: u64,
    reason: &'a str,
    frame: Line<'a>,
}

impl Aside {
    /// In this folder, which is made when it is needed.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Where a forwarder's refused frames stand.
    pub fn path(&self, forwarder: &str) -> PathBuf {
        self.folder.join(format!("{forwarder}.ndjson"))
    }

    /// Adds frames with their reasons.
    pub(super) fn put<'a>(
        &self,
        forwarder: &str,
        refused: impl Iterator<Item = (&'a Frame, &'a str)>,
    ) -> io::Result<()> {
        let mut lines = Vec::new();
        let now = now_nanos();
        for (frame, reason) in refused {
            serde_json::to_writer(&mut lines, &Set { refused: now, reason, frame: Line(frame) })?;
            lines.push(b'\n');
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let path = self.path(forwarder);
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
        file.write_all(&lines)?;
        if file.metadata()?.len() >= MAX_BYTES {
            fs::rename(&path, path.with_extension("ndjson.1"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::model::Sample;

    #[test]
    fn refused_frames_stand_there_with_their_reason_within_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let aside = Aside::new(&folder.path().join("refused"));
        let frame =
            |name: &str| Frame::Sample(Sample { name: name.into(), labels: vec![], time: 1, value: 0.5 });
        aside.put("x", [(&frame("a"), "too old")].into_iter()).unwrap();
        let text = fs::read_to_string(aside.path("x")).unwrap();
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["reason"], &line["frame"]["name"]), (&"too old".into(), &"a".into()));
        let large = frame(&"n".repeat(1 << 20));
        for _ in 0..20 {
            aside.put("x", [(&large, "no")].into_iter()).unwrap();
        }
        let sizes: Vec<u64> = fs::read_dir(folder.path().join("refused"))
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .collect();
        assert!(sizes.len() <= 2 && sizes.iter().all(|size| *size < MAX_BYTES + (2 << 20)), "{sizes:?}");
    }
}
