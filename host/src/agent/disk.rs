//! Whether disks take what the agent writes: looked at by `check`, and asked of a start that failed. Changes
//! nothing on them.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use picket_journal::JournalError;
use rustix::fs::Access;

use crate::forwarders::drain;
use crate::pipeline::commit::CommitError;
use crate::state::StateError;

/// What is written to see whether it can be: a block of most file systems.
const TRIAL: [u8; 4096] = [0; 4096];

/// What stands in the way of writing to a folder.
#[derive(Debug)]
pub(super) struct Refused {
    /// The folder, or the nearest one above it that exists.
    pub(super) path: PathBuf,
    /// The system's words.
    pub(super) error: io::Error,
}

impl Refused {
    /// Whether it is a full disk.
    pub(super) fn is_full(&self) -> bool {
        is_full_disk(&self.error)
    }
}

/// Tries whether something can be written to a folder, or to the one that it would be made in, with a file
/// that has no name.
pub(super) fn takes(folder: &Path) -> Result<(), Refused> {
    let existing = folder.ancestors().find(|path| path.symlink_metadata().is_ok()).unwrap_or(Path::new("/"));
    let refused = |error: io::Error| Refused { path: existing.to_owned(), error };
    if !existing.metadata().map_err(refused)?.is_dir() {
        return Err(refused(io::ErrorKind::NotADirectory.into()));
    }
    rustix::fs::access(existing, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| refused(error.into()))?;
    let tried = tempfile::tempfile_in(existing)
        .and_then(|mut file| file.write_all(&TRIAL).and_then(|()| file.sync_data()));
    // Without the path of the nameless file.
    tried.map_err(|error| refused(error.kind().into()))
}

/// Whether a failed start failed on a full disk.
pub(super) fn is_full(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let state = cause.downcast_ref::<StateError>().is_some_and(StateError::is_full);
        let journal = cause.downcast_ref::<JournalError>().is_some_and(JournalError::is_full);
        let commit = cause.downcast_ref::<CommitError>().is_some_and(CommitError::is_full);
        let drain = cause.downcast_ref::<drain::StartError>().is_some_and(drain::StartError::is_full);
        state || journal || commit || drain || cause.downcast_ref::<io::Error>().is_some_and(is_full_disk)
    })
}

fn is_full_disk(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::fs;

    use super::*;

    #[test]
    fn a_trial_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        takes(&folder.path().join("to/be/made")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let refused = takes(&file.join("data")).unwrap_err();
        assert_eq!((refused.path.clone(), refused.is_full()), (file, false));
    }

    #[test]
    fn a_full_disk_is_found_behind_what_was_tried() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let path = PathBuf::from("/data");
        let errors = [
            anyhow::Error::new(StateError::Full { dir: path.clone() }),
            anyhow::Error::new(CommitError::from(StateError::Full { dir: path.clone() })),
            anyhow::Error::new(JournalError::Full { path: path.clone() }).context("the journal"),
            anyhow::Error::new(drain::StartError::State(StateError::Full { dir: path.clone() })),
            anyhow::Error::new(drain::StartError::Folder { path, source: full() }),
            anyhow::Error::new(full()).context("a folder"),
        ];
        assert!(errors.iter().all(is_full), "{errors:?}");
        assert!(!is_full(&anyhow::anyhow!("something else")));
    }
}
