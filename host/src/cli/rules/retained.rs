//! The samples that the node has kept. An agent may be running and has its folder for itself, so a copy of the
//! folder is opened; what the agent writes at this moment may be missing at its end.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use picket_sandbox::SeriesReader;
use picket_series::Store;
use prometheus::Registry;
use tempfile::TempDir;

use crate::agent::StoreReader;
use crate::model::now_nanos;

/// The folder of the series below the data folder.
const FOLDER: &str = "series";
/// What is copied at most: eight times what an agent keeps by default.
const MAX_BYTES: u64 = 4 << 30;
/// How deep below the folder files are.
const MAX_DEPTH: usize = 4;
/// Of the copy nothing is given up: whatever the agent kept is read.
const MAX_SERIES: usize = 1_000_000;
const MAX_MEMORY: u64 = 2 << 30;
const MAX_AGE: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// A copy of an agent's samples; it goes away with this.
pub(super) struct Retained {
    pub(super) reader: Arc<dyn SeriesReader>,
    _copy: TempDir,
}

impl Retained {
    /// Reads what the agent of a data folder has kept.
    pub(super) fn open(data_dir: &Path) -> anyhow::Result<Self> {
        let folder = data_dir.join(FOLDER);
        if !folder.is_dir() {
            bail!(
                "{} does not exist: no agent has kept samples there; name its data folder with --data",
                folder.display()
            );
        }
        let copy = tempfile::tempdir().context("no temporary folder can be made")?;
        let mut left = MAX_BYTES;
        copy_folder(&folder, copy.path(), MAX_DEPTH, &mut left)?;
        let config = picket_series::Config {
            max_series: MAX_SERIES,
            max_bytes: MAX_MEMORY,
            max_age: MAX_AGE,
            max_disk_bytes: MAX_BYTES,
            ..picket_series::Config::default()
        };
        let metrics = picket_series::Metrics::new(&Registry::new())?;
        let (store, _) = Store::open(Some(copy.path()), config, Arc::new(now_nanos), metrics)
            .with_context(|| format!("the samples in {} cannot be read", folder.display()))?;
        Ok(Self { reader: Arc::new(StoreReader(Arc::new(store))), _copy: copy })
    }
}

fn copy_folder(from: &Path, to: &Path, depth: usize, left: &mut u64) -> anyhow::Result<()> {
    let shown = || format!("{} cannot be read; run this as the agent's user", from.display());
    for entry in from.read_dir().with_context(shown)? {
        let entry = entry.with_context(shown)?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            ensure!(depth > 0, "{} lies too deep for a folder of series", path.display());
            fs::create_dir(&target)?;
            copy_folder(&path, &target, depth - 1, left)?;
            continue;
        }
        match fs::copy(&path, &target) {
            Ok(bytes) => {
                *left = left
                    .checked_sub(bytes)
                    .with_context(|| format!("{} holds more than {MAX_BYTES} bytes", from.display()))?;
            }
            // The agent has deleted it meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("{} cannot be copied", path.display())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_folder_is_copied_as_a_whole_or_refused() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(from.path().join("below")).unwrap();
        fs::write(from.path().join("below/a"), "12345").unwrap();
        let mut left = 5;
        copy_folder(from.path(), to.path(), 1, &mut left).unwrap();
        assert_eq!(fs::read(to.path().join("below/a")).unwrap(), b"12345");
        let copied = |depth, mut left| {
            let to = tempfile::tempdir().unwrap();
            copy_folder(from.path(), to.path(), depth, &mut left)
        };
        assert!(copied(1, 4).is_err() && copied(0, 5).is_err());
    }
}
