//! The private folder in which members of containers lie while they are scanned.
//!
//! Names on disk are numbers: nothing that a container says becomes a path. What a crash leaves behind is
//! deleted at the next start. How much one container may bring is bounded in `container`; here all of them
//! together are.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::{IntGauge, Registry};

/// Bytes of all spooled members together: two containers at their own bound, and an amount of disk that a
/// node can lend for a while.
const MAX_BYTES: u64 = 2 << 30;
/// Members that lie there together: their paths wait in memory, and each takes an entry of the disk.
const MAX_FILES: u64 = 20_000;

/// A member cannot be spooled. It is no fault of the container: what held it is looked at again later.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// All members that lie there together are too many bytes.
    #[error("the spool folder holds {used} of {limit} bytes; what is in it has to be scanned first")]
    Full {
        /// Bytes in it.
        used: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// There are too many of them.
    #[error("the spool folder holds {limit} members; they have to be scanned first")]
    Files {
        /// Members allowed.
        limit: u64,
    },
    /// The system refused.
    #[error("{}: {source}; see that the data folder can be written and has room", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
}

/// The folder. Clones share it.
#[derive(Debug, Clone)]
pub struct Spool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    limit: u64,
    file_limit: u64,
    next: AtomicU64,
    files: AtomicU64,
    used: AtomicU64,
    shown: IntGauge,
}

/// A member on disk; it is deleted when this is dropped.
#[derive(Debug)]
pub struct SpoolFile {
    path: PathBuf,
    bytes: u64,
    spool: Spool,
}

/// A member that is being written.
#[derive(Debug)]
pub(super) struct Writing {
    file: File,
    spooled: SpoolFile,
}

impl Spool {
    /// Empties the folder, or makes it for this user alone.
    pub fn open(folder: &Path, registry: &Registry) -> Result<Self, SpoolError> {
        Self::with_limits(folder, registry, MAX_BYTES, MAX_FILES)
    }

    fn with_limits(
        folder: &Path,
        registry: &Registry,
        limit: u64,
        file_limit: u64,
    ) -> Result<Self, SpoolError> {
        let failed = |source| SpoolError::Io { path: folder.to_owned(), source };
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?,
        }
        let help = "Bytes of members of containers that lie on disk to be scanned.";
        let invalid = |error: prometheus::Error| failed(io::Error::other(error));
        let shown = IntGauge::new("picket_spool_bytes", help).map_err(invalid)?;
        registry.register(Box::new(shown.clone())).map_err(invalid)?;
        let folder = folder.to_owned();
        let [next, files, used] = [0; 3].map(AtomicU64::new);
        Ok(Self(Arc::new(Inner { folder, limit, file_limit, next, files, used, shown })))
    }

    /// A new member, still empty.
    pub(super) fn create(&self) -> Result<Writing, SpoolError> {
        let limit = self.0.file_limit;
        if self.0.files.load(Ordering::Relaxed) >= limit {
            return Err(SpoolError::Files { limit });
        }
        let path = self.0.folder.join(self.0.next.fetch_add(1, Ordering::Relaxed).to_string());
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|source| SpoolError::Io { path: path.clone(), source })?;
        // From here on dropping it gives its place back. Plugins that look at once may be one too many each.
        self.0.files.fetch_add(1, Ordering::Relaxed);
        Ok(Writing { file, spooled: SpoolFile { path, bytes: 0, spool: self.clone() } })
    }

    fn take(&self, bytes: u64) -> Result<(), SpoolError> {
        let limit = self.0.limit;
        let fits = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= limit);
        let taken = self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        taken.map_err(|used| SpoolError::Full { used, limit })?;
        self.0.shown.add(i64::try_from(bytes).unwrap_or(i64::MAX));
        Ok(())
    }
}

impl Writing {
    /// Adds bytes at the end.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        let length = bytes.len() as u64;
        self.spooled.spool.take(length)?;
        self.spooled.bytes += length;
        let path = &self.spooled.path;
        self.file.write_all(bytes).map_err(|source| SpoolError::Io { path: path.clone(), source })
    }

    /// Bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.spooled.bytes
    }

    /// The member is complete.
    pub(super) fn finish(self) -> SpoolFile {
        self.spooled
    }
}

impl SpoolFile {
    /// Opens it for reading.
    pub fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        // What cannot be deleted now is deleted at the next start; the room counts as taken until then.
        if fs::remove_file(&self.path).is_ok() {
            self.spool.0.files.fetch_sub(1, Ordering::Relaxed);
            self.spool.0.used.fetch_sub(self.bytes, Ordering::Relaxed);
            self.spool.0.shown.sub(i64::try_from(self.bytes).unwrap_or(i64::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::io::Read as _;

    use super::*;

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn members_live_as_long_as_somebody_holds_them_and_a_start_finds_none() {
        let folder = tempfile::tempdir().unwrap();
        let spool_folder = folder.path().join("spool");
        fs::create_dir(&spool_folder).unwrap();
        fs::write(spool_folder.join("7"), "left by a crash").unwrap();
        let spool = Spool::open(&spool_folder, &Registry::new()).unwrap();
        assert_eq!(names(&spool_folder), 0);
        let mut writing = spool.create().unwrap();
        writing.write(b"ab").unwrap();
        writing.write(b"c").unwrap();
        let file = writing.finish();
        let mut text = String::new();
        file.open().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), names(&spool_folder), spool.0.shown.get()), ("abc", 1, 3));
        drop(file);
        assert_eq!((names(&spool_folder), spool.0.shown.get()), (0, 0));
    }

    #[test]
    fn all_members_together_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::with_limits(folder.path(), &Registry::new(), 10, 2).unwrap();
        let mut first = spool.create().unwrap();
        first.write(b"12345678").unwrap();
        let mut second = spool.create().unwrap();
        let error = second.write(b"123").unwrap_err();
        assert!(matches!(error, SpoolError::Full { used: 8, limit: 10 }), "{error}");
        let error = spool.create().unwrap_err();
        assert!(matches!(error, SpoolError::Files { limit: 2 }), "{error}");
        drop(first);
        second.write(b"123").unwrap();
    }
}
