//! The table in sled 0.34.

use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use super::ballast::Ballast;
use super::{Batch, KeyValue, Room, StateError, Table};

/// How often sled's own thread writes out what it buffers and collects garbage, in milliseconds. A
/// commit does not wait for it.
const FLUSH_EVERY_MS: u64 = 1000;

/// How old a look at the free room may be: a process that fills the disk faster than this meets the
/// ballast.
const ROOM_AGE: Duration = Duration::from_millis(500);

pub(super) struct SledTable {
    dir: PathBuf,
    cache_bytes: u64,
    // A read-write lock, because all threads read and only opening again replaces the database.
    database: RwLock<Result<Database, String>>,
    ballast: Ballast,
    /// When there was room, at the last look; held as long as the ballast is made or deleted.
    room: Mutex<Option<Instant>>,
    _lock: File,
}

struct Database {
    db: sled::Db,
    /// sled's own file, for the sync that sled does not do.
    file: File,
    /// A sync failed: what the disk holds is not known any more, and asking again would not tell.
    doubtful: bool,
}

impl SledTable {
    pub(super) fn open(dir: &Path, cache_bytes: u64) -> Result<Self, StateError> {
        let mut folder = fs::DirBuilder::new();
        folder.recursive(true).mode(0o700).create(dir).map_err(StateError::io("make the folder", dir))?;
        let lock = lock(dir)?;
        let ballast = Ballast::new(dir);
        if !dir.join(DATABASE).exists() && !make_room(dir, &ballast)? {
            return Err(StateError::Full { dir: dir.to_owned() });
        }
        let database = open_with_room(dir, cache_bytes, &ballast)?;
        let table = Self {
            dir: dir.to_owned(),
            cache_bytes,
            database: RwLock::new(Ok(database)),
            ballast,
            room: Mutex::new(None),
            _lock: lock,
        };
        table.ballast.fill().map_err(StateError::io("make the ballast in", dir))?;
        Ok(table)
    }

    fn read(&self) -> RwLockReadGuard<'_, Result<Database, String>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Result<Database, String>> {
        self.database.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, work: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, StateError> {
        match &*self.read() {
            Ok(database) => work(&database.db).map_err(|error| explain(&self.dir, error)),
            Err(reason) => Err(StateError::Closed { reason: reason.clone() }),
        }
    }

    fn looked(&self) -> MutexGuard<'_, Option<Instant>> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table for SledTable {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.with(|db| Ok(db.get(key)?.map(|value| value.to_vec())))
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<KeyValue>, StateError> {
        use std::ops::Bound;
        let start = match after.filter(|after| *after >= prefix) {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix),
        };
        self.with(|db| {
            let mut found = Vec::new();
            for entry in db.range::<&[u8], _>((start, Bound::Unbounded)).take(limit) {
                let (key, value) = entry?;
                if !key.starts_with(prefix) {
                    break;
                }
                found.push((key.to_vec(), value.to_vec()));
            }
            Ok(found)
        })
    }

    fn apply(&self, batch: Batch) -> Result<(), StateError> {
        let mut changes = sled::Batch::default();
        for (key, value) in batch {
            match value {
                Some(value) => changes.insert(key, value),
                None => changes.remove(key),
            }
        }
        self.with(|db| db.apply_batch(changes))
    }

    fn sync(&self) -> Result<(), StateError> {
        self.with(|db| db.flush())?;
        let synced = match &*self.read() {
            Ok(Database { doubtful: true, .. }) => Err(io::Error::other("an earlier sync has failed")),
            Ok(database) => database.file.sync_data(),
            Err(reason) => return Err(StateError::Closed { reason: reason.clone() }),
        };
        if synced.is_err()
            && let Ok(database) = &mut *self.write()
        {
            database.doubtful = true;
        }
        synced.map_err(StateError::io("sync the database in", &self.dir))
    }

    fn reopen(&self) -> Result<(), StateError> {
        let mut database = self.write();
        if matches!(&*database, Ok(Database { doubtful: true, .. })) {
            let source = io::Error::other("an earlier sync has failed: check the disk and restart the agent");
            return Err(StateError::Io {
                operation: "open the database again in",
                path: self.dir.clone(),
                source,
            });
        }
        // The old one must be closed, which gives sled's lock back, before it is opened again.
        *database = Err("it is being opened again".into());
        // Nobody takes what the ballast gives back before the database has it.
        let mut looked = self.looked();
        *looked = None;
        match open_with_room(&self.dir, self.cache_bytes, &self.ballast) {
            Ok(opened) => {
                *database = Ok(opened);
                Ok(())
            }
            Err(error) => {
                *database = Err(error.to_string());
                Err(error)
            }
        }
    }

    fn check_room(&self) -> Result<(), StateError> {
        let mut looked = self.looked();
        if looked.is_some_and(|at| at.elapsed() < ROOM_AGE) {
            return Ok(());
        }
        *looked = None;
        if !make_room(&self.dir, &self.ballast)? {
            return Err(StateError::Full { dir: self.dir.clone() });
        }
        *looked = Some(Instant::now());
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.with(|db| db.size_on_disk()).unwrap_or(0)
    }
}

/// The database's folder in the state's.
const DATABASE: &str = "db";

/// Whether there is room for commits, with the ballast made if it is missing.
fn make_room(dir: &Path, ballast: &Ballast) -> Result<bool, StateError> {
    let room = Room::of(dir).map_err(StateError::io("read the free room of", dir))?;
    Ok(room.is_enough() && ballast.fill().map_err(StateError::io("make the ballast in", dir))?)
}

/// Takes the folder for this process, and writes down which one it is.
fn lock(dir: &Path) -> Result<File, StateError> {
    let path = dir.join("lock");
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(&path).map_err(StateError::io("open the lock", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            let mut text = String::new();
            // The number is a help, not a must.
            let _ = file.take(20).read_to_string(&mut text);
            return Err(StateError::Held { dir: dir.to_owned(), holder: text.trim().parse().ok() });
        }
        Err(fs::TryLockError::Error(error)) => return Err(StateError::io("lock", &path)(error)),
    }
    // On a full disk the number stays out; the lock holds all the same.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

/// Opens the database, without the ballast if the disk is full with it.
fn open_with_room(dir: &Path, cache_bytes: u64, ballast: &Ballast) -> Result<Database, StateError> {
    match open_database(dir, cache_bytes) {
        Err(error) if error.is_full() && ballast.is_whole() => {
            ballast.release().map_err(StateError::io("delete the ballast in", dir))?;
            open_database(dir, cache_bytes)
        }
        other => other,
    }
}

/// How long a database that this process has just closed may go on holding its lock: sled's own threads end
/// a little later than the last handle. Another process cannot hold it, since the state's folder has a lock of
/// its own.
const CLOSING: Duration = Duration::from_secs(30);

/// sled tells it in words only.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

fn open_database(dir: &Path, cache_bytes: u64) -> Result<Database, StateError> {
    let folder = dir.join(DATABASE);
    remove_unfinished(&folder)?;
    let config =
        sled::Config::new().path(&folder).cache_capacity(cache_bytes).flush_every_ms(Some(FLUSH_EVERY_MS));
    let until = Instant::now() + CLOSING;
    let db = loop {
        // sled panics on some kinds of damage.
        let opened = catch_unwind(AssertUnwindSafe(|| config.open()))
            .map_err(|_| StateError::Damaged { what: format!("the database in {}", folder.display()) })?;
        match opened {
            Err(error) if is_locked(&error) && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(10));
            }
            opened => break opened.map_err(|error| explain(dir, error))?,
        }
    };
    let path = folder.join("db");
    let file = File::open(&path).map_err(StateError::io("open the database file", &path))?;
    // sled does not sync its configuration and the folders that it makes.
    for made in [&folder.join("conf"), &folder.join("blobs"), &folder, dir] {
        let synced = File::open(made).and_then(|made| made.sync_all());
        synced.map_err(StateError::io("sync", made))?;
    }
    Ok(Database { db, file, doubtful: false })
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

fn explain(dir: &Path, error: sled::Error) -> StateError {
    match error {
        sled::Error::Io(error) => StateError::io("use the database in", dir)(error),
        sled::Error::Unsupported(reason) => {
            StateError::Damaged { what: format!("the database in {} ({reason})", dir.display()) }
        }
        error => StateError::Damaged { what: format!("the database in {} ({error})", dir.display()) },
    }
}
