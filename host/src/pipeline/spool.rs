//! The private folder in which members of containers lie while they are scanned.
//!
//! Names on disk are numbers: nothing that a container says becomes a path. What a crash leaves behind is
//! deleted at the next start. How much one container may bring is bounded in `container`; here all of them
//! together are, and the room that the disk has left: journal and state lie on it too, and without room
//! nobody's results can be committed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

/// Bytes of all spooled members together: two containers at their own bound, and an amount of disk that a
/// node can lend for a while.
const MAX_BYTES: u64 = 2 << 30;
/// Members that lie there together: their paths wait in memory, and each takes an entry of the disk.
const MAX_FILES: u64 = 20_000;
/// Bytes of the disk that members leave to the journal and the state, on a disk of usual size: some segments
/// of the journal, and time to notice that the disk is filling up.
const RESERVE: u64 = 256 << 20;
/// On a small disk a tenth of it is left, but not less than this: a segment of the journal.
const LEAST_RESERVE: u64 = 64 << 20;
/// After so many bytes the disk is looked at again, and for each member: much less than the reserve, and
/// much more than looking costs.
const LOOK_EVERY: u64 = 16 << 20;

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
    /// The disk is nearly full.
    #[error(
        "{} is on a disk with {free} bytes free, and {reserve} are left to the journal and the state; make room on it",
        .path.display()
    )]
    Reserve {
        /// The folder.
        path: PathBuf,
        /// Bytes free.
        free: u64,
        /// Bytes that stay free.
        reserve: u64,
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

impl SpoolError {
    /// A word for the metric's label `reason`.
    fn word(&self) -> &'static str {
        match self {
            Self::Full { .. } => "bytes",
            Self::Files { .. } => "members",
            Self::Reserve { .. } => "reserve",
            Self::Io { .. } => "io",
        }
    }
}

/// What lies in the folder at most, and what stays free on its disk at least.
#[derive(Debug, Clone, Copy)]
struct Limits {
    bytes: u64,
    files: u64,
    /// On a disk of usual size, and on a small one.
    reserve: (u64, u64),
}

const LIMITS: Limits = Limits { bytes: MAX_BYTES, files: MAX_FILES, reserve: (RESERVE, LEAST_RESERVE) };

/// The folder. Clones share it.
#[derive(Debug, Clone)]
pub struct Spool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    limits: Limits,
    next: AtomicU64,
    files: AtomicU64,
    used: AtomicU64,
    /// Bytes written since the disk was looked at.
    unseen: AtomicU64,
    shown: IntGauge,
    refused: IntCounterVec,
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
        Self::with_limits(folder, registry, LIMITS)
    }

    fn with_limits(folder: &Path, registry: &Registry, limits: Limits) -> Result<Self, SpoolError> {
        let failed = |source| SpoolError::Io { path: folder.to_owned(), source };
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?,
        }
        let invalid = |error: prometheus::Error| failed(io::Error::other(error));
        let help = "Bytes of members of containers that lie on disk to be scanned.";
        let shown = IntGauge::new("picket_spool_bytes", help).map_err(invalid)?;
        registry.register(Box::new(shown.clone())).map_err(invalid)?;
        let help = "Members that found no room on disk; their containers are opened again later.";
        let refused = Opts::new("picket_spool_refused_members_total", help);
        let refused = IntCounterVec::new(refused, &["reason"]).map_err(invalid)?;
        registry.register(Box::new(refused.clone())).map_err(invalid)?;
        let folder = folder.to_owned();
        let [next, files, used, unseen] = [0; 4].map(AtomicU64::new);
        Ok(Self(Arc::new(Inner { folder, limits, next, files, used, unseen, shown, refused })))
    }

    /// A new member, still empty.
    pub(super) fn create(&self) -> Result<Writing, SpoolError> {
        self.try_create().inspect_err(|error| self.count(error))
    }

    fn try_create(&self) -> Result<Writing, SpoolError> {
        let limit = self.0.limits.files;
        if self.0.files.load(Ordering::Relaxed) >= limit {
            return Err(SpoolError::Files { limit });
        }
        self.check_disk()?;
        let path = self.0.folder.join(self.0.next.fetch_add(1, Ordering::Relaxed).to_string());
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|source| SpoolError::Io { path: path.clone(), source })?;
        // From here on dropping it gives its place back. Plugins that look at once may be one too many each.
        self.0.files.fetch_add(1, Ordering::Relaxed);
        Ok(Writing { file, spooled: SpoolFile { path, bytes: 0, spool: self.clone() } })
    }

    fn count(&self, error: &SpoolError) {
        self.0.refused.with_label_values(&[error.word()]).inc();
    }

    fn take(&self, bytes: u64) -> Result<(), SpoolError> {
        let unseen = self.0.unseen.fetch_add(bytes, Ordering::Relaxed);
        if unseen.saturating_add(bytes) >= LOOK_EVERY {
            self.check_disk()?;
        }
        let limit = self.0.limits.bytes;
        let fits = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= limit);
        let taken = self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        taken.map_err(|used| SpoolError::Full { used, limit })?;
        self.0.shown.add(i64::try_from(bytes).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Looks whether the disk has more room than has to stay free.
    fn check_disk(&self) -> Result<(), SpoolError> {
        let path = || self.0.folder.clone();
        let disk = rustix::fs::statvfs(&self.0.folder);
        let disk = disk.map_err(|error| SpoolError::Io { path: path(), source: error.into() })?;
        let (usual, least) = self.0.limits.reserve;
        let reserve = (disk.f_blocks.saturating_mul(disk.f_frsize) / 10).clamp(least, usual);
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < reserve {
            return Err(SpoolError::Reserve { path: path(), free, reserve });
        }
        self.0.unseen.store(0, Ordering::Relaxed);
        Ok(())
    }
}

impl Writing {
    /// Adds bytes at the end.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        let written = self.try_write(bytes);
        written.inspect_err(|error| self.spooled.spool.count(error))
    }

    fn try_write(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
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

    /// How large it is.
    pub fn bytes(&self) -> u64 {
        self.bytes
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
        let limits = Limits { bytes: 10, files: 2, ..LIMITS };
        let spool = Spool::with_limits(folder.path(), &Registry::new(), limits).unwrap();
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

    #[test]
    fn a_disk_that_is_nearly_full_is_left_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let limits = Limits { reserve: (u64::MAX, u64::MAX), ..LIMITS };
        let full = Spool::with_limits(folder.path(), &Registry::new(), limits).unwrap();
        let error = full.create().unwrap_err();
        assert!(matches!(error, SpoolError::Reserve { reserve: u64::MAX, .. }), "{error}");
        assert_eq!(full.0.refused.with_label_values(&["reserve"]).get(), 1);

        // Room that goes while a member is written is noticed too.
        let path = folder.path().join("7");
        let file = File::create(&path).unwrap();
        let mut writing = Writing { file, spooled: SpoolFile { path, bytes: 0, spool: full.clone() } };
        writing.write(b"a little").unwrap();
        full.0.unseen.store(LOOK_EVERY, Ordering::Relaxed);
        let error = writing.write(b"more").unwrap_err();
        assert!(matches!(error, SpoolError::Reserve { .. }), "{error}");
    }
}
