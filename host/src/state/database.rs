//! One opened database of sled: opening it, seeing that nothing is missing from it, and changing it.
//!
//! What sled 0.34.7 does with damage (read in its source): a page that is needed and fails its checksum is an
//! error or a panic, at the opening or at a later read; a damaged page table or header of the log is an error.
//! But a damaged piece of the log behind the last page table, and a damaged header of a segment, are passed over
//! silently, so that keys are missing or have old values. A wrong value does not come back, for all pieces have
//! checksums. Hence the [`Sum`], which every opening compares with all entries.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::sum::Sum;
use super::{Batch, StateError, dump, keys, repair, value};

/// The database's folder in the state's.
pub(super) const DATABASE: &str = "db";

/// The key of the sum, which no key of the state begins with.
pub(super) const SUM: &[u8] = b"!";

/// How often sled's own thread writes out what it buffers and collects garbage, in milliseconds. A
/// commit does not wait for it.
const FLUSH_EVERY_MS: u64 = 1000;

pub(super) struct Database {
    pub(super) db: sled::Db,
    /// sled's own file, for the sync that sled does not do.
    pub(super) file: File,
    /// A sync failed: what the disk holds is not known any more, and asking again would not tell.
    pub(super) doubtful: bool,
    // Held by whoever changes the database; there is one at a time anyway.
    sum: Mutex<Sum>,
}

impl Database {
    /// Opens the database in a state's folder and looks through all of it. One that has no sum yet gets one when it is
    /// opened `to_write`.
    pub(super) fn open(dir: &Path, cache_bytes: u64, to_write: bool) -> Result<Self, StateError> {
        let database = Self::open_unchecked(dir, cache_bytes)?;
        match database.check(dir, to_write) {
            Ok(()) => Ok(database),
            Err(error) => {
                database.close();
                Err(error)
            }
        }
    }

    /// Opens it as it is.
    pub(super) fn open_unchecked(dir: &Path, cache_bytes: u64) -> Result<Self, StateError> {
        let folder = dir.join(DATABASE);
        remove_unfinished(&folder)?;
        let config = sled::Config::new()
            .path(&folder)
            .cache_capacity(cache_bytes)
            .flush_every_ms(Some(FLUSH_EVERY_MS));
        let until = Instant::now() + CLOSING;
        let db = loop {
            // sled panics on some kinds of damage.
            let opened =
                catch_unwind(AssertUnwindSafe(|| config.open())).map_err(|_| damaged(dir, "sled panics"))?;
            match opened {
                Err(error) if is_locked(&error) && Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(sled::Error::Unsupported(reason)) if is_other_version(&folder) => {
                    return Err(StateError::Io {
                        operation: "use the database in",
                        path: folder,
                        source: io::Error::new(io::ErrorKind::Unsupported, reason),
                    });
                }
                opened => break opened.map_err(|error| explain_damage(dir, error))?,
            }
        };
        let path = folder.join("db");
        let file = File::open(&path).map_err(StateError::io("open the database file", &path))?;
        // sled does not sync its configuration and the folders that it makes.
        for made in [&folder.join("conf"), &folder.join("blobs"), &folder, dir] {
            let synced = File::open(made).and_then(|made| made.sync_all());
            synced.map_err(StateError::io("sync", made))?;
        }
        Ok(Self { db, file, doubtful: false, sum: Mutex::default() })
    }

    /// Works with sled, whose panics are taken for damage.
    pub(super) fn caught<T>(
        &self,
        dir: &Path,
        work: impl FnOnce(&Self) -> sled::Result<T>,
    ) -> Result<T, StateError> {
        match catch_unwind(AssertUnwindSafe(|| work(self))) {
            Ok(worked) => worked.map_err(|error| explain(dir, error)),
            Err(_) => Err(damaged(dir, "sled panics")),
        }
    }

    /// Closes it, which writes out what sled buffers.
    pub(super) fn close(self) {
        // It may be a damaged one, and sled panics about that once more.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(self)));
    }

    /// Applies a batch together with the sum behind it.
    pub(super) fn apply(&self, batch: Batch) -> sled::Result<()> {
        let mut known = self.sum.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sum = *known;
        let mut changes = sled::Batch::default();
        for (key, value) in batch {
            if let Some(before) = self.db.get(&key)? {
                sum.remove(&key, &before);
            }
            match value {
                Some(value) => {
                    sum.add(&key, &value);
                    changes.insert(key, value);
                }
                None => changes.remove(key),
            }
        }
        changes.insert(SUM, sum.encode());
        self.db.apply_batch(changes)?;
        *known = sum;
        Ok(())
    }

    /// Ends the filling of an empty database: from now on it counts as whole.
    pub(super) fn begin_with(&self, sum: Sum, mut last: sled::Batch) -> sled::Result<()> {
        last.insert(SUM, sum.encode());
        self.db.apply_batch(last)?;
        self.db.flush()?;
        *self.sum.lock().unwrap_or_else(PoisonError::into_inner) = sum;
        Ok(())
    }

    /// Reads something; unless the system refuses, it is damage that keeps it from being read.
    fn looked_up<T>(&self, dir: &Path, read: impl FnOnce(&Self) -> sled::Result<T>) -> Result<T, StateError> {
        match catch_unwind(AssertUnwindSafe(|| read(self))) {
            Ok(found) => found.map_err(|error| explain_damage(dir, error)),
            Err(_) => Err(damaged(dir, "sled panics")),
        }
    }

    /// Looks through all entries: whether sled can read them, whether one is missing or old, and whether they are
    /// as new as they were once known to be.
    fn check(&self, dir: &Path, to_write: bool) -> Result<(), StateError> {
        let format = self.looked_up(dir, |database| database.db.get(keys::format()))?;
        if is_newer(format.as_deref()) {
            // Told by who reads the format; what a newer version keeps there is not judged.
            return Ok(());
        }
        let (stored, found) = self.looked_up(dir, Self::add_up)?;
        // Up to where commits were durable, as far as the files beside it say.
        let beside = [repair::BACKUP, repair::FACTS].map(|name| dir.join(name));
        let synced = beside.iter().filter_map(|path| dump::position(path)).max();
        match stored {
            Some(stored) if stored == Some(found) => {}
            Some(_) => return Err(damaged(dir, "entries are missing")),
            None if beside.iter().any(|path| path.exists()) => {
                return Err(damaged(dir, "it is not complete"));
            }
            // It is new, or a version wrote it that kept no sum.
            None if to_write => {
                self.caught(dir, |database| database.begin_with(found, sled::Batch::default()))?;
            }
            None => {}
        }
        *self.sum.lock().unwrap_or_else(PoisonError::into_inner) = found;
        let applied = self.looked_up(dir, |database| database.db.get(keys::applied()))?;
        match value::applied(applied.as_deref())? {
            applied if synced.is_some_and(|synced| applied < synced) => {
                Err(damaged(dir, "the last of what was synced is missing"))
            }
            _ => Ok(()),
        }
    }

    /// The stored sum (`Some(None)`: one that means nothing), and what the entries add up to.
    fn add_up(&self) -> sled::Result<(Option<Option<Sum>>, Sum)> {
        let stored = self.db.get(SUM)?.map(|stored| Sum::decode(&stored));
        let mut found = Sum::default();
        for entry in self.db.iter() {
            let (key, value) = entry?;
            if key[..] != *SUM {
                found.add(&key, &value);
            }
        }
        Ok((stored, found))
    }
}

/// How long a database that this process has just closed may go on holding its lock: sled's own threads end
/// a little later than the last handle. Another process cannot hold it, since the state's folder has a lock of
/// its own.
const CLOSING: Duration = Duration::from_secs(30);

/// sled tells it in words only.
const LOCKED: &str = "could not acquire lock";

fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains(LOCKED))
}

/// How long a damaged database may go on holding its lock. A panic of sled may have left something that never
/// lets go; it does not write any more.
const LETTING_GO: Duration = Duration::from_secs(5);

/// Waits until nobody holds the database in a folder any more: an old one that still writes would write into
/// what takes its place. Says whether it came to that.
pub(super) fn wait_until_closed(folder: &Path) -> bool {
    let path = folder.join("db");
    let until = Instant::now() + LETTING_GO;
    loop {
        // What is not there, or cannot be asked, is not held.
        let Ok(file) = File::open(&path) else { return true };
        match file.try_lock() {
            Err(fs::TryLockError::WouldBlock) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(fs::TryLockError::WouldBlock) => return false,
            Ok(()) | Err(fs::TryLockError::Error(_)) => return true,
        }
    }
}

/// Removes what sled leaves behind when it is stopped while it writes a copy of its page table, or
/// when the disk is full: it would take the piece for the newest copy, and call the database corrupt.
fn remove_unfinished(folder: &Path) -> Result<(), StateError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(StateError::io("list", folder))?,
    };
    for entry in entries {
        let path = entry.map_err(StateError::io("list", folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(&path).map_err(StateError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Whether a stored format version is above the one that is known here.
fn is_newer(stored: Option<&[u8]>) -> bool {
    let found = stored.and_then(|stored| stored.try_into().ok()).map(u32::from_le_bytes);
    found.is_some_and(|found| found > super::FORMAT_VERSION)
}

/// Whether sled's own configuration is whole, so that what does not suit this sled was written by another one.
/// sled itself goes on with a configuration that fails its checksum.
fn is_other_version(folder: &Path) -> bool {
    let Ok(bytes) = fs::read(folder.join("conf")) else { return false };
    let Some((text, crc)) = bytes.split_last_chunk::<4>() else { return false };
    crc32fast::hash(text) == u32::from_le_bytes(*crc)
}

fn damaged(dir: &Path, how: &str) -> StateError {
    StateError::Damaged { what: format!("the database in {} ({how})", dir.display()) }
}

fn explain(dir: &Path, error: sled::Error) -> StateError {
    match error {
        sled::Error::Io(error) => StateError::io("use the database in", dir)(error),
        sled::Error::Unsupported(reason) => damaged(dir, &reason),
        error => damaged(dir, &error.to_string()),
    }
}

/// As [`explain`], where the database is only read: what the system does not refuse for a reason of its own is
/// damage, a file that is too short and a sector that cannot be read included.
fn explain_damage(dir: &Path, error: sled::Error) -> StateError {
    match error {
        sled::Error::Io(error) if !is_refusal(&error) => damaged(dir, &error.to_string()),
        other => explain(dir, other),
    }
}

/// Whether the system has refused an operation, whatever the files hold.
fn is_refusal(error: &io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    let by_kind = matches!(
        error.kind(),
        Kind::StorageFull
            | Kind::QuotaExceeded
            | Kind::PermissionDenied
            | Kind::ReadOnlyFilesystem
            | Kind::OutOfMemory
            | Kind::Interrupted
    );
    let too_many_files = matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE));
    by_kind || too_many_files || error.to_string().contains(LOCKED)
}
