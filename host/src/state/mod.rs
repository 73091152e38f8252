//! What the agent remembers over a restart, in sled. No other module opens sled.
//!
//! Everything here is either *applied* from a commit that is already durable in the journal
//! ([`State::apply`], called by [`crate::pipeline::commit`] alone), or a small fact outside of
//! commits ([`State::meta_put`]), or can be made again (sweeps). So nothing needs a sync of its own:
//! after a crash the state is some moments old, [`State::applied`] says how old, and the journal is
//! replayed from there.
//!
//! What is remembered of files (`remembered`) is the one kind of entry that is a mere cache: it carries the
//! day of its last use and goes when it is not used for long.
//!
//! One tree holds it all, so that one batch is atomic over plugin state, checkpoints and the
//! applied position. Keys begin with a letter for their namespace (`keys`); values are MessagePack
//! behind a version byte (`value`), and a version that is newer than this agent is an error, not a
//! guess. Values of more than 4 KiB are stored in pieces, because sled keeps entries together in
//! pages, and writes pages of more than 128 KiB to files that it never syncs.
//!
//! A damaged database is set aside at the opening, and when sled meets the damage later; a new one is filled from
//! a copy beside it (`repair`), and the journal is kept from that copy on.
//!
//! Where sled needs help (measured with 0.34.7): its `flush` does not sync the disk, so the database
//! file is synced behind it; a full disk makes it fail for good and it cannot be opened again
//! without some space, so a ballast file is kept that can be deleted, and no database is begun without
//! room for one; it knows no version of ours and no clear word for a locked folder, so both are checked before;
//! and it passes over some damage silently, so a sum over all entries is kept and compared (`database`).

mod apply;
mod ballast;
mod bytes;
mod database;
mod dump;
mod error;
mod facts;
mod keys;
mod memory;
mod read;
mod remembered;
mod repair;
mod room;
mod sled_table;
mod sum;
mod sweep;
mod table;
mod value;
mod write;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use picket_journal::Position;

pub use error::StateError;
pub use memory::MemoryTable;
pub use read::{Checkpoints, Snapshot};
pub use remembered::{DUE_DAYS, KEPT_DAYS, Place, Remembered};
pub use repair::Repairs;
pub use room::Room;
pub use table::{Backup, Batch, KeyValue, Table};
pub use write::{MAX_KEY_BYTES, MAX_NAME_BYTES, Write, WriteError};

use value::Versioned;

/// How much memory sled may use for its cache unless the configuration says otherwise, in bytes.
pub const DEFAULT_CACHE_BYTES: u64 = 32 << 20;

/// The version of the keys' layout. A folder with a higher one is refused. Since 2 the table keeps a sum over
/// its entries, which an older agent would leave as it is.
const FORMAT_VERSION: u32 = 2;

/// The agent's state. Cheap to clone; clones are the same one.
#[derive(Clone)]
pub struct State {
    inner: Arc<Inner>,
}

struct Inner {
    table: Arc<dyn Table>,
    // A mutex around every read-modify-write of the table: accounting and expiry would go wrong if a
    // sweep came between the reads and the batch of a commit. Reads do not take it.
    writer: Mutex<()>,
    facts: Mutex<facts::Facts>,
    /// The table has lost commits that the journal has. Reading it now would show the past.
    behind: AtomicBool,
}

/// The applied position as it is stored.
#[derive(serde::Serialize, serde::Deserialize)]
struct Applied {
    segment: u64,
    offset: u64,
}

impl Applied {
    fn position(&self) -> Position {
        Position { segment: self.segment, offset: self.offset }
    }
}

impl Versioned for Applied {
    const KIND: &'static str = "applied position";
    const VERSION: u8 = 1;
}

impl State {
    /// Opens the state in a folder, which is made when missing. At most `cache_bytes` of memory are
    /// used for sled's cache.
    ///
    /// Fails when another agent holds the folder, when a newer version has written it, when the disk
    /// is full even without the ballast, or when the system fails. Damage is repaired: see [`repairs`](Self::repairs).
    pub fn open(dir: &Path, cache_bytes: u64) -> Result<Self, StateError> {
        Self::with_table(Arc::new(sled_table::SledTable::open(dir, cache_bytes, true)?))
    }

    /// Fails as [`open`](Self::open) would, and with [`StateError::Damaged`] where that would repair: nothing is
    /// set aside. One of an older version stays as it is, so that the older agent can go on with it.
    pub fn inspect(dir: &Path, cache_bytes: u64) -> Result<(), StateError> {
        let table = sled_table::SledTable::open(dir, cache_bytes, false)?;
        format_of(&table).map(|_| ())
    }

    /// The state in any table: tests use [`MemoryTable`].
    pub fn with_table(table: Arc<dyn Table>) -> Result<Self, StateError> {
        let inner = Inner {
            table,
            writer: Mutex::default(),
            facts: Mutex::default(),
            behind: AtomicBool::new(false),
        };
        let state = Self { inner: Arc::new(inner) };
        state.check_format()?;
        Ok(state)
    }

    /// Up to where the journal's commits are in here; [`Position::ZERO`] in a new state.
    pub fn applied(&self) -> Result<Position, StateError> {
        let found = value::load::<Applied>(self.table(), &keys::applied())?;
        Ok(found.map_or(Position::ZERO, |found| found.position()))
    }

    /// Applies the writes of one or more commits, in order, together with the journal position behind
    /// them: all or nothing. Not durable before the next [`sync`](Self::sync).
    pub fn apply<'a>(
        &self,
        writes: impl IntoIterator<Item = &'a Write>,
        upto: Position,
    ) -> Result<(), StateError> {
        let _writer = self.lock();
        let mut changes = apply::Changes::new(self.table());
        for write in writes {
            changes.write(write)?;
        }
        let applied = Applied { segment: upto.segment, offset: upto.offset };
        changes.store(keys::applied(), &applied)?;
        self.inner.table.apply(changes.into_batch())
    }

    /// Makes everything applied and put so far survive a power cut. Returns the applied position that
    /// is now durable.
    pub fn sync(&self) -> Result<Position, StateError> {
        let applied = self.applied()?;
        let facts = self.facts().last();
        self.inner.table.sync()?;
        self.facts().synced(facts);
        let _writer = self.lock();
        if let Err(error) = self.inner.table.keep_facts(applied) {
            // Needed only if the table is damaged before the next sync.
            tracing::warn!(%error, "Cursors and other facts cannot be copied for a repair of the state now.");
        }
        Ok(applied)
    }

    /// Keeps a copy of what is applied, from which the table is filled when it is damaged; the journal must be
    /// kept from there on. None when the table keeps no copies.
    pub(crate) fn back_up(&self) -> Result<Option<Backup>, StateError> {
        let _writer = self.lock();
        self.inner.table.back_up(self.applied()?)
    }

    /// The last copy, also of an earlier run.
    pub(crate) fn backed_up(&self) -> Option<Backup> {
        self.inner.table.backed_up()
    }

    /// What was repaired since the state was opened.
    pub fn repairs(&self) -> Repairs {
        self.inner.table.repairs()
    }

    /// Whether there is room to go on: fails with [`StateError::Full`] when the disk is so full that
    /// applying what a commit adds might fail. Cheap enough to ask before each commit.
    pub fn check_room(&self) -> Result<(), StateError> {
        self.inner.table.check_room()
    }

    /// Opens the table again after a failure of [`apply`](Self::apply) or [`sync`](Self::sync). It may
    /// then be older than it was: facts outside commits are put again, and the journal has to be replayed
    /// from [`applied`](Self::applied).
    pub(crate) fn reopen(&self) -> Result<(), StateError> {
        let _writer = self.lock();
        self.inner.table.reopen()?;
        let mut changes = apply::Changes::new(self.table());
        for (name, value) in self.facts().unsynced() {
            changes.fact(name, value)?;
        }
        self.inner.table.apply(changes.into_batch())
    }

    /// While set, typed reads and [`meta_put`](Self::meta_put) fail with [`StateError::Behind`].
    pub(crate) fn set_behind(&self, behind: bool) {
        self.inner.behind.store(behind, Ordering::Release);
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.inner.table.bytes()
    }

    /// Notes that this version writes it from now on.
    fn check_format(&self) -> Result<(), StateError> {
        if format_of(self.table())? < FORMAT_VERSION {
            let version = FORMAT_VERSION.to_le_bytes().to_vec();
            self.inner.table.apply(vec![(keys::format(), Some(version))])?;
        }
        Ok(())
    }

    fn table(&self) -> &dyn Table {
        self.inner.table.as_ref()
    }

    /// The table, unless what it shows is the past.
    fn current(&self) -> Result<&dyn Table, StateError> {
        match self.inner.behind.load(Ordering::Acquire) {
            true => Err(StateError::Behind),
            false => Ok(self.table()),
        }
    }

    fn facts(&self) -> MutexGuard<'_, facts::Facts> {
        self.inner.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        // It guards no data of its own: a batch is applied or not, also when its maker panics.
        self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The version that wrote a table, 0 for a new one; an error for one that is newer than this agent.
fn format_of(table: &dyn Table) -> Result<u32, StateError> {
    let known = FORMAT_VERSION;
    let found = match table.get(&keys::format())? {
        Some(stored) => stored.try_into().map(u32::from_le_bytes).ok(),
        None => Some(0),
    };
    match found {
        Some(found) if found > known => Err(StateError::NewerVersion { what: "state".into(), found, known }),
        Some(found) => Ok(found),
        None => Err(StateError::Damaged { what: "the state's format version".into() }),
    }
}

#[cfg(test)]
mod tests;
