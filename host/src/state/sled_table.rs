//! The table in sled 0.34: its folder, lock and ballast, and what happens when sled fails.

use std::fs::{self, File};
use std::io::{Read, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use picket_journal::Position;

use super::ballast::Ballast;
use super::database::{DATABASE, Database, SUM};
use super::dump::{self, Dump};
use super::repair::{self, Repairs};
use super::{Backup, Batch, KeyValue, Room, StateError, Table, keys};

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
    /// sled has told of damage, or panicked, since the database was opened.
    suspect: AtomicBool,
    /// Facts have changed since they were last written to their file.
    facts_changed: AtomicBool,
    repairs: Mutex<Repairs>,
    _lock: File,
}

impl SledTable {
    /// Opens the table in a folder. A damaged one is repaired, or is an error unless `repairs`; without it nothing is
    /// changed in one that is there.
    pub(super) fn open(dir: &Path, cache_bytes: u64, repairs: bool) -> Result<Self, StateError> {
        let mut folder = fs::DirBuilder::new();
        folder.recursive(true).mode(0o700).create(dir).map_err(StateError::io("make the folder", dir))?;
        let lock = lock(dir)?;
        let ballast = Ballast::new(dir);
        if !dir.join(DATABASE).exists() && !make_room(dir, &ballast)? {
            return Err(StateError::Full { dir: dir.to_owned() });
        }
        let (database, repairs) = match repairs {
            true => open_or_repair(dir, cache_bytes, &ballast)?,
            false => {
                (with_room(&ballast, dir, || Database::open(dir, cache_bytes, false))?, Repairs::default())
            }
        };
        let table = Self {
            dir: dir.to_owned(),
            cache_bytes,
            database: RwLock::new(Ok(database)),
            ballast,
            room: Mutex::new(None),
            suspect: AtomicBool::new(false),
            facts_changed: AtomicBool::new(true),
            repairs: Mutex::new(repairs),
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

    /// Works with the database. A panic of sled is damage that it has met.
    fn with<T>(&self, work: impl FnOnce(&Database) -> sled::Result<T>) -> Result<T, StateError> {
        let worked = match &*self.read() {
            Ok(database) => database.caught(&self.dir, work),
            Err(reason) => return Err(StateError::Closed { reason: reason.clone() }),
        };
        if matches!(worked, Err(StateError::Damaged { .. })) {
            self.suspect.store(true, Ordering::Release);
        }
        worked
    }

    /// Writes entries under some prefixes to a file. After an error the file before it is there.
    fn dump(
        &self,
        name: &str,
        at: Position,
        prefixes: &[&[u8]],
        wanted: fn(&[u8]) -> bool,
    ) -> Result<u64, StateError> {
        let path = self.dir.join(name);
        let dumped = self.dump_to(&path, at, prefixes, wanted);
        dumped.inspect_err(|_| dump::discard(&path))
    }

    fn dump_to(
        &self,
        path: &Path,
        at: Position,
        prefixes: &[&[u8]],
        wanted: fn(&[u8]) -> bool,
    ) -> Result<u64, StateError> {
        let failed = || StateError::io("write", path);
        let mut dump = Dump::begin(path, at).map_err(failed())?;
        for prefix in prefixes {
            let mut after: Option<Vec<u8>> = None;
            loop {
                let page = self.scan(prefix, after.as_deref(), DUMP_PAGE)?;
                for (key, value) in page.iter().filter(|(key, _)| wanted(key)) {
                    dump.add(key, value).map_err(failed())?;
                }
                if page.len() < DUMP_PAGE {
                    break;
                }
                after = page.into_iter().next_back().map(|(key, _)| key);
            }
        }
        dump.finish().map_err(failed())
    }

    fn add_repairs(&self, repairs: Repairs) {
        *self.repairs.lock().unwrap_or_else(PoisonError::into_inner) += repairs;
    }

    fn looked(&self) -> MutexGuard<'_, Option<Instant>> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table for SledTable {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.with(|database| Ok(database.db.get(key)?.map(|value| value.to_vec())))
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<KeyValue>, StateError> {
        use std::ops::Bound;
        let start = match after.filter(|after| *after >= prefix) {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix),
        };
        self.with(|database| {
            let mut found = Vec::new();
            for entry in database.db.range::<&[u8], _>((start, Bound::Unbounded)) {
                let (key, value) = entry?;
                if found.len() >= limit || !key.starts_with(prefix) {
                    break;
                }
                // The sum is the table's own.
                if key[..] != *SUM {
                    found.push((key.to_vec(), value.to_vec()));
                }
            }
            Ok(found)
        })
    }

    fn apply(&self, batch: Batch) -> Result<(), StateError> {
        let facts = batch.iter().any(|(key, _)| keys::is_fact(key));
        self.with(|database| database.apply(batch))?;
        if facts {
            self.facts_changed.store(true, Ordering::Release);
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StateError> {
        if self.suspect.load(Ordering::Acquire) {
            // Whoever syncs opens it again after a failure, which finds the damage and repairs it.
            let what = format!("the database in {}", self.dir.display());
            return Err(StateError::Damaged { what });
        }
        self.with(|database| database.db.flush())?;
        let synced = match &*self.read() {
            Ok(Database { doubtful: true, .. }) => Err(std::io::Error::other("an earlier sync has failed")),
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
            let source =
                std::io::Error::other("an earlier sync has failed: check the disk and restart the agent");
            return Err(StateError::Io {
                operation: "open the database again in",
                path: self.dir.clone(),
                source,
            });
        }
        // The old one must be closed, which gives sled's lock back, before it is opened again.
        let old = std::mem::replace(&mut *database, Err("it is being opened again".into()));
        old.map_or_else(drop, Database::close);
        // Nobody takes what the ballast gives back before the database has it.
        let mut looked = self.looked();
        *looked = None;
        match open_or_repair(&self.dir, self.cache_bytes, &self.ballast) {
            Ok((opened, repairs)) => {
                *database = Ok(opened);
                self.suspect.store(false, Ordering::Release);
                self.facts_changed.store(true, Ordering::Release);
                self.add_repairs(repairs);
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
        self.with(|database| database.db.size_on_disk()).unwrap_or(0)
    }

    fn back_up(&self, at: Position) -> Result<Option<Backup>, StateError> {
        // What is left on a nearly full disk is for commits, and for whoever else uses it.
        let expected = self.backed_up().map_or_else(|| self.bytes(), |backup| backup.bytes);
        let room = Room::of(&self.dir).map_err(StateError::io("read the free room of", &self.dir))?;
        if room.free < room.needed.saturating_add(expected / 4 * 5) {
            return Err(StateError::NoRoomForBackup { free: room.free, expected });
        }
        let bytes = self.dump(repair::BACKUP, at, &[&b""[..]], |key| !keys::is_cache(key))?;
        Ok(Some(Backup { at, bytes }))
    }

    fn backed_up(&self) -> Option<Backup> {
        let path = self.dir.join(repair::BACKUP);
        let at = dump::position(&path)?;
        Some(Backup { at, bytes: fs::metadata(&path).ok()?.len() })
    }

    fn keep_facts(&self, synced: Position) -> Result<(), StateError> {
        if self.facts_changed.swap(false, Ordering::AcqRel) {
            let kept = self.dump(repair::FACTS, synced, &keys::FACTS, |_| true);
            kept.inspect_err(|_| self.facts_changed.store(true, Ordering::Release))?;
        }
        Ok(())
    }

    fn repairs(&self) -> Repairs {
        *self.repairs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Entries read at once for a dump; each has at most a few kilobytes.
const DUMP_PAGE: usize = 256;

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

/// Opens the database; one that is damaged is set aside, and a new one filled from what is kept beside it.
fn open_or_repair(
    dir: &Path,
    cache_bytes: u64,
    ballast: &Ballast,
) -> Result<(Database, Repairs), StateError> {
    let known = dir.join(DATABASE).exists();
    let kept = dir.join(repair::BACKUP).exists() || dir.join(repair::FACTS).exists();
    let damage = match known || !kept {
        true => match with_room(ballast, dir, || Database::open(dir, cache_bytes, true)) {
            Err(StateError::Damaged { what }) => what,
            opened => return Ok((opened?, Repairs::default())),
        },
        // A repair that was broken off, or somebody has removed it.
        false => format!("the database in {}: it is missing", dir.display()),
    };
    tracing::error!(
        %damage, "The state is damaged; it is set aside, and a new one is filled from its backup and the journal."
    );
    repair::set_aside(dir)?;
    with_room(ballast, dir, || repair::refill(dir, cache_bytes))
}

/// Tries again without the ballast if the disk is full with it.
fn with_room<T>(
    ballast: &Ballast,
    dir: &Path,
    work: impl Fn() -> Result<T, StateError>,
) -> Result<T, StateError> {
    match work() {
        Err(error) if error.is_full() && ballast.is_whole() => {
            ballast.release().map_err(StateError::io("delete the ballast in", dir))?;
            work()
        }
        other => other,
    }
}
