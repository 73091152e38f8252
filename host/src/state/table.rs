//! The little that the state wants from a database: ordered keys, atomic batches, a real sync.

use picket_journal::Position;

use super::{Repairs, StateError};

/// Changes that are applied together: a key and its new value, or `None` to delete it. A key occurs
/// once.
pub type Batch = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// An entry: a key and its value.
pub type KeyValue = (Vec<u8>, Vec<u8>);

/// An ordered map of bytes.
///
/// After a crash a table holds what it held at some moment since the last [`sync`](Self::sync): all
/// batches up to one, whole, and none behind it.
pub trait Table: Send + Sync {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// Up to `limit` entries whose key begins with `prefix`, in the order of their keys, from the
    /// first one behind `after`, which is a whole key. Fewer than `limit` means that there are no more.
    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<KeyValue>, StateError>;

    /// Applies a batch, all of it or nothing.
    fn apply(&self, batch: Batch) -> Result<(), StateError>;

    /// Returns once everything applied so far survives a power cut.
    fn sync(&self) -> Result<(), StateError>;

    /// Opens the table again after a failure. What was not synced may be gone.
    fn reopen(&self) -> Result<(), StateError>;

    /// Fails with [`StateError::Full`] when there is too little room to go on.
    fn check_room(&self) -> Result<(), StateError> {
        Ok(())
    }

    /// Bytes on disk.
    fn bytes(&self) -> u64;

    /// Keeps a copy from which a damaged table is filled, as of a place of the journal. Nothing is applied
    /// meanwhile. None from a table that keeps no copies.
    fn back_up(&self, _at: Position) -> Result<Option<Backup>, StateError> {
        Ok(None)
    }

    /// The copy that there is.
    fn backed_up(&self) -> Option<Backup> {
        None
    }

    /// Keeps a copy of the facts, if they have changed since the last. Nothing is applied meanwhile. What was
    /// applied up to the given place is durable.
    fn keep_facts(&self, _synced: Position) -> Result<(), StateError> {
        Ok(())
    }

    /// What was repaired since the table was opened first.
    fn repairs(&self) -> Repairs {
        Repairs::default()
    }
}

/// A copy of the state beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backup {
    /// Commits up to here are in it.
    pub at: Position,
    /// Its length.
    pub bytes: u64,
}
