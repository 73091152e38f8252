//! Up to where each reader has read the lanes, durably. What lies before the slowest one's place is given back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use picket_journal::Position;

use crate::model::Lane;

/// Behind everything: where a reader is that does not want a lane.
pub(super) const END: Position = Position { segment: u64::MAX, offset: u64::MAX };

#[derive(Debug, Default)]
struct Shared {
    by_reader: BTreeMap<String, [Position; 2]>,
    /// Whether all readers of this run are known.
    named: bool,
}

/// Shared by the readers and the feeder.
#[derive(Debug, Clone, Default)]
pub(super) struct Floors {
    // A mutex held for one map operation; readers move their floors a few times a second.
    shared: Arc<Mutex<Shared>>,
}

impl Floors {
    /// Names all readers that there are. One that has never set its floor holds everything back.
    pub(super) fn set_readers(&self, names: &[String]) {
        let mut shared = self.shared();
        shared.by_reader.retain(|name, _| names.contains(name));
        for name in names {
            shared.by_reader.entry(name.clone()).or_insert([Position::ZERO; 2]);
        }
        shared.named = true;
    }

    /// A reader has read up to here.
    pub(super) fn set(&self, name: &str, lane: Lane, position: Position) {
        let mut shared = self.shared();
        shared.by_reader.entry(name.to_owned()).or_insert([Position::ZERO; 2])[lane.index()] = position;
    }

    /// What no reader needs: everything before this.
    pub(super) fn of(&self, lane: Lane) -> Position {
        let shared = self.shared();
        match shared.named {
            true => shared.by_reader.values().map(|floors| floors[lane.index()]).min().unwrap_or(END),
            false => Position::ZERO,
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_reader_that_is_named_decides() {
        let at = |segment| Position { segment, offset: 0 };
        let floors = Floors::default();
        floors.set("a", Lane::Events, at(3));
        assert_eq!(floors.of(Lane::Events), Position::ZERO, "nobody knows who else reads");
        floors.set_readers(&["a".into(), "b".into()]);
        assert_eq!(floors.of(Lane::Events), Position::ZERO, "`b` has not begun");
        floors.set("b", Lane::Events, at(2));
        floors.set("b", Lane::Samples, END);
        floors.set("a", Lane::Samples, at(7));
        assert_eq!((floors.of(Lane::Events), floors.of(Lane::Samples)), (at(2), at(7)));
        floors.set_readers(&["a".into()]);
        assert_eq!(floors.of(Lane::Events), at(3));
        floors.set_readers(&[]);
        assert_eq!(floors.of(Lane::Events), END);
    }
}
