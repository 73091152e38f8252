//! Generations on disk: what is active now and what was before it.
//!
//! After a restart the agent can serve a plugin although its files have become bad or are gone:
//! a generation is kept as one file, named by its digest, from before it becomes active until two
//! younger ones have served. Knows nothing of why a generation is good.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::staged::Staged;
use super::trusted::{self, TrustError};
use crate::model::Digest;

/// The first byte of every file; a newer agent may write another one.
const VERSION: u8 = 1;

/// Why a generation cannot be kept or read back.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refuses.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The folder is not the agent's alone, so that others could have put something there.
    #[error(transparent)]
    Folder(#[from] TrustError),
    /// The file was written by a newer agent or is damaged.
    #[error("{path} is not a generation that this agent can read: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// A folder of generations.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// Opens the folder and makes it if it is not there, for the agent's user alone. What is found there
    /// is trusted without asking who wrote it, so a folder of anybody else's is an error.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|source| StoreError::Io { path: folder.to_owned(), source })?;
        trusted::judge_private(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{digest}.generation"))
    }

    /// Keeps a generation; does nothing when it is there already. A file of it that is damaged is replaced.
    pub fn save(&self, staged: &Staged) -> Result<(), StoreError> {
        let path = self.path(&staged.digest);
        let temporary = path.with_extension("new");
        if path.exists() {
            match self.load(&staged.digest) {
                Ok(_) => return Ok(()),
                Err(error) => tracing::warn!(%error, "A kept generation is damaged and is written again."),
            }
        }
        let failed = |source| StoreError::Io { path: path.clone(), source };
        let packed = rmp_serde::to_vec_named(staged)
            .map_err(|error| StoreError::Unreadable { path: path.clone(), reason: error.to_string() })?;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(failed)?;
        file.write_all(&[VERSION]).and_then(|()| file.write_all(&packed)).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        fs::rename(&temporary, &path).map_err(failed)?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }

    /// Reads a generation back.
    pub fn load(&self, digest: &Digest) -> Result<Staged, StoreError> {
        let path = self.path(digest);
        let bytes = fs::read(&path).map_err(|source| StoreError::Io { path: path.clone(), source })?;
        let unreadable = |reason: String| StoreError::Unreadable { path: path.clone(), reason };
        let (version, packed) = bytes.split_first().ok_or_else(|| unreadable("it is empty".into()))?;
        if *version != VERSION {
            return Err(unreadable(format!("its version is {version}, this agent knows {VERSION}")));
        }
        let staged: Staged = rmp_serde::from_slice(packed).map_err(|error| unreadable(error.to_string()))?;
        if staged.digest != *digest {
            return Err(unreadable(format!("it holds generation {}", staged.digest)));
        }
        let found = staged.recomputed();
        if found != *digest {
            return Err(unreadable(format!("what it holds has the digest {found}: it was changed")));
        }
        Ok(staged)
    }

    /// Deletes every generation but those named; gives how many went.
    pub fn keep_only(&self, digests: &BTreeSet<Digest>) -> Result<usize, StoreError> {
        let failed = |source| StoreError::Io { path: self.folder.clone(), source };
        let keep: BTreeSet<PathBuf> = digests.iter().map(|digest| self.path(digest)).collect();
        let mut gone = 0;
        for entry in self.folder.read_dir().map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if !keep.contains(&path) {
                fs::remove_file(&path).map_err(|source| StoreError::Io { path, source })?;
                gone += 1;
            }
        }
        Ok(gone)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::lifecycle::config::{GrantsConfig, LimitsConfig, Plugin};

    fn staged(folder: &Path) -> Staged {
        let (component, assets) = (folder.join("p.wasm"), folder.join("assets"));
        fs::write(&component, "component").unwrap();
        fs::create_dir(&assets).unwrap();
        fs::write(assets.join("rules"), "one rule").unwrap();
        let section = Plugin {
            name: "p".into(),
            component,
            sources: vec!["s".into()],
            assets: Some(assets),
            grants: GrantsConfig::default(),
            limits: LimitsConfig::default(),
            config: serde_json::json!({"level": 0.1, "names": ["a", null]}),
        };
        Staged::read(&section).unwrap()
    }

    #[test]
    fn a_generation_reads_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (store, staged) = (Store::open(&folder.path().join("kept")).unwrap(), staged(folder.path()));
        store.save(&staged).unwrap();
        assert_eq!(store.load(&staged.digest).unwrap(), staged);
    }

    #[test]
    fn a_generation_that_was_changed_is_not_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let (store, good) = (Store::open(&folder.path().join("kept")).unwrap(), staged(folder.path()));
        let changes: [fn(&mut Staged); 3] = [
            |staged| staged.component.push(0),
            |staged| staged.section.config = serde_json::json!({"level": 0.2}),
            |staged| staged.assets.clear(),
        ];
        for change in changes {
            let mut bad = good.clone();
            change(&mut bad);
            fs::remove_file(store.path(&good.digest)).ok();
            store.save(&bad).unwrap();
            let error = store.load(&good.digest).unwrap_err().to_string();
            assert!(error.contains("it was changed"), "{error}");
        }
    }

    #[test]
    fn a_damaged_file_is_replaced_when_the_generation_is_kept_again() {
        let folder = tempfile::tempdir().unwrap();
        let (store, staged) = (Store::open(&folder.path().join("kept")).unwrap(), staged(folder.path()));
        store.save(&staged).unwrap();
        let whole = fs::read(store.path(&staged.digest)).unwrap();
        for cut in [0, 1, whole.len() / 2] {
            fs::write(store.path(&staged.digest), &whole[..cut]).unwrap();
            assert!(store.load(&staged.digest).is_err());
            store.save(&staged).unwrap();
            assert_eq!(store.load(&staged.digest).unwrap(), staged);
        }
    }

    #[test]
    fn a_folder_that_others_can_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        let error = Store::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("chmod go-w"), "{error}");
    }
}
