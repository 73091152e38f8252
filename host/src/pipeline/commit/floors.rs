//! Up to where each reader of the journal has come, durably.
//!
//! Floors are kept in the state as well, so that a reader that starts late still finds what it needs.
//! Nothing is deleted before the readers have been named.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use picket_journal::Position;

use crate::state::{State, StateError};

/// The start of the floors' names in the state; the value is the position as text.
const PREFIX: &str = "floor/";

/// Behind everything.
pub(super) const END: Position = Position { segment: u64::MAX, offset: u64::MAX };

type ByName = BTreeMap<String, Position>;

#[derive(Debug, Clone)]
struct Shared {
    by_name: ByName,
    /// Whether all readers of this run are known.
    named: bool,
}

/// Shared by the committers and the commit thread.
#[derive(Debug, Clone)]
pub(super) struct Floors {
    // A mutex held for one map operation; readers move their floors a few times a second.
    shared: Arc<Mutex<Shared>>,
    /// What the state holds. Used by the commit thread alone.
    saved: ByName,
}

impl Floors {
    /// Those of the last run.
    pub(super) fn load(state: &State) -> Result<Self, StateError> {
        let mut saved = ByName::new();
        for (name, text) in state.meta_scan(PREFIX)? {
            let position = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
            // An unreadable floor holds everything, which the journal's bound limits.
            saved.insert(name[PREFIX.len()..].to_owned(), position.unwrap_or(Position::ZERO));
        }
        let shared = Shared { by_name: saved.clone(), named: false };
        Ok(Self { shared: Arc::new(Mutex::new(shared)), saved })
    }

    pub(super) fn set(&self, name: &str, position: Position) {
        self.shared().by_name.insert(name.to_owned(), position);
    }

    pub(super) fn of(&self, name: &str) -> Option<Position> {
        self.shared().by_name.get(name).copied()
    }

    pub(super) fn set_readers(&self, names: &[String]) {
        let mut shared = self.shared();
        shared.by_name.retain(|name, _| names.contains(name));
        for name in names {
            shared.by_name.entry(name.clone()).or_insert(Position::ZERO);
        }
        shared.named = true;
    }

    /// Puts what has changed into the state. Returns what nobody needs who reads: everything before
    /// this, as far as the state does not need it either.
    pub(super) fn save(&mut self, state: &State) -> Result<Position, StateError> {
        let Shared { by_name: current, named } = self.shared().clone();
        for (name, position) in &current {
            if self.saved.get(name) != Some(position) {
                state.meta_put(&format!("{PREFIX}{name}"), position.to_string().into_bytes())?;
            }
        }
        for name in self.saved.keys().filter(|name| !current.contains_key(*name)) {
            state.meta_delete(&format!("{PREFIX}{name}"))?;
        }
        self.saved = current;
        match named {
            true => Ok(self.saved.values().min().copied().unwrap_or(END)),
            false => Ok(Position::ZERO),
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
