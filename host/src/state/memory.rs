//! A table in memory that forgets what was not synced: for tests of everything above it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use picket_journal::sim::Rng;

use super::{Batch, KeyValue, StateError, Table};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// The table. What it loses, and when it fails, is decided by its seed.
pub struct MemoryTable {
    inner: Mutex<Inner>,
}

struct Inner {
    current: Map,
    synced: Map,
    /// Batches in `current` and not in `synced`.
    unsynced: Vec<Batch>,
    rng: Rng,
    /// How many of 1000 applies and syncs fail.
    faults: u32,
    /// Refuses everything until it is opened again.
    broken: bool,
    full: bool,
}

impl MemoryTable {
    /// An empty table.
    pub fn new(seed: u64) -> Self {
        let inner = Inner {
            current: Map::new(),
            synced: Map::new(),
            unsynced: Vec::new(),
            rng: Rng::new(seed),
            faults: 0,
            broken: false,
            full: false,
        };
        Self { inner: Mutex::new(inner) }
    }

    /// Takes the power away and back: what was synced is there, and a random number of the batches
    /// since, in order.
    pub fn power_cut(&self) {
        self.inner().forget();
    }

    /// Lets this many of 1000 applies and syncs fail. A failed one breaks the table until it is opened
    /// again, as it does with sled.
    pub fn set_faults(&self, per_mille: u32) {
        self.inner().faults = per_mille;
    }

    /// Makes the disk full, or gives it room again. A full one fails every apply, sync and reopening.
    pub fn set_full(&self, full: bool) {
        self.inner().full = full;
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn forget(&mut self) {
        let kept = self.rng.below(self.unsynced.len() as u64 + 1) as usize;
        let unsynced = std::mem::take(&mut self.unsynced);
        for batch in unsynced.into_iter().take(kept) {
            apply(&mut self.synced, &batch);
        }
        self.current = self.synced.clone();
        self.broken = false;
    }

    fn check(&self) -> Result<(), StateError> {
        match self.broken {
            true => Err(StateError::Closed { reason: "an injected fault".into() }),
            false => Ok(()),
        }
    }

    fn check_change(&mut self) -> Result<(), StateError> {
        self.check()?;
        if self.full {
            self.broken = true;
            return Err(full());
        }
        if self.faults > 0 && self.rng.below(1000) < u64::from(self.faults) {
            self.broken = true;
        }
        self.check()
    }
}

fn full() -> StateError {
    StateError::Full { dir: "memory".into() }
}

fn apply(map: &mut Map, batch: &Batch) {
    for (key, value) in batch {
        match value {
            Some(value) => map.insert(key.clone(), value.clone()),
            None => map.remove(key),
        };
    }
}

impl Table for MemoryTable {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let inner = self.inner();
        inner.check()?;
        Ok(inner.current.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<KeyValue>, StateError> {
        let inner = self.inner();
        inner.check()?;
        let start = match after.filter(|after| *after >= prefix) {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix),
        };
        let entries = inner.current.range::<[u8], _>((start, Bound::Unbounded));
        let entries = entries.take_while(|(key, _)| key.starts_with(prefix)).take(limit);
        Ok(entries.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn apply(&self, batch: Batch) -> Result<(), StateError> {
        let mut inner = self.inner();
        inner.check_change()?;
        apply(&mut inner.current, &batch);
        inner.unsynced.push(batch);
        Ok(())
    }

    fn sync(&self) -> Result<(), StateError> {
        let mut inner = self.inner();
        inner.check_change()?;
        for batch in std::mem::take(&mut inner.unsynced) {
            apply(&mut inner.synced, &batch);
        }
        Ok(())
    }

    fn reopen(&self) -> Result<(), StateError> {
        let mut inner = self.inner();
        if inner.full {
            return Err(full());
        }
        inner.forget();
        Ok(())
    }

    fn check_room(&self) -> Result<(), StateError> {
        match self.inner().full {
            true => Err(full()),
            false => Ok(()),
        }
    }

    fn bytes(&self) -> u64 {
        self.inner().current.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum()
    }
}
