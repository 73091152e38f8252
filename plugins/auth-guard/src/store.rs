//! Tracks in memory over tracks in `state`: read once, written at the end of the call that changed them.
//!
//! Memory never knows more than the state after a call: an instance whose call fails is thrown away,
//! and its writes with it.

use std::collections::HashMap;
use std::time::Duration;

use picket_sdk::state;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How many tracks stay in memory between two calls; the others are read again when they are needed.
const MAX_CACHED: usize = 1024;

/// Tracks of one kind by name.
#[derive(Debug)]
pub struct Store<T> {
    prefix: &'static str,
    ttl: Duration,
    slots: HashMap<String, Slot<T>>,
    call: u64,
    errors: u64,
}

#[derive(Debug)]
struct Slot<T> {
    track: T,
    changed: bool,
    used: u64,
}

impl<T: Serialize + DeserializeOwned + Default> Store<T> {
    /// Tracks that are kept in `state` under `prefix` and forgotten `ttl` after their last change.
    pub fn new(prefix: &'static str, ttl: Duration) -> Self {
        Self { prefix, ttl, slots: HashMap::new(), call: 0, errors: 0 }
    }

    /// The track of a name, to be changed.
    pub fn change(&mut self, name: &str) -> &mut T {
        let call = self.call;
        if !self.slots.contains_key(name) {
            let slot = Slot { track: self.load(name).unwrap_or_default(), changed: true, used: call };
            self.slots.insert(name.to_owned(), slot);
        }
        let slot = self.slots.get_mut(name).expect("it is there or has just been inserted");
        slot.changed = true;
        slot.used = call;
        &mut slot.track
    }

    fn load(&mut self, name: &str) -> Option<T> {
        match state::get(self.key(name)) {
            Ok(track) => track,
            // A value of an unknown form is as good as none; it is written anew.
            Err(_) => {
                self.errors += 1;
                None
            }
        }
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }

    /// Writes what has changed. Gives the number of reads and writes that the state refused since the
    /// last time: a full quota costs memory of the past, not the present findings.
    pub fn flush(&mut self) -> u64 {
        let mut refused = std::mem::take(&mut self.errors);
        for (name, slot) in &mut self.slots {
            if std::mem::take(&mut slot.changed) {
                let key = format!("{}/{name}", self.prefix);
                refused += u64::from(state::set_for(key, &slot.track, self.ttl).is_err());
            }
        }
        self.call += 1;
        self.shrink();
        refused
    }

    /// Drops the half that was used least recently when there are too many.
    fn shrink(&mut self) {
        if self.slots.len() > MAX_CACHED {
            let mut used: Vec<u64> = self.slots.values().map(|slot| slot.used).collect();
            let middle = used.len() / 2;
            let (_, &mut median, _) = used.select_nth_unstable(middle);
            self.slots.retain(|_, slot| slot.used > median);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use picket_sdk::testing::Host;

    const TTL: Duration = Duration::from_secs(60);

    #[test]
    fn a_track_survives_its_instance_for_its_time() {
        let host = Host::new();
        let mut store = Store::<Vec<u32>>::new("a", TTL);
        store.change("x").push(1);
        assert_eq!(store.flush(), 0);
        assert_eq!(Store::<Vec<u32>>::new("a", TTL).change("x"), &[1]);
        assert!(Store::<Vec<u32>>::new("b", TTL).change("x").is_empty());
        host.advance(TTL);
        assert!(Store::<Vec<u32>>::new("a", TTL).change("x").is_empty());
    }

    #[test]
    fn a_full_state_is_counted_and_memory_goes_on() {
        Host::new().state_quota(4);
        let mut store = Store::<Vec<u32>>::new("a", TTL);
        store.change("x").push(1);
        assert_eq!(store.flush(), 1);
        assert_eq!(store.change("x"), &[1]);
    }

    #[test]
    fn memory_is_bounded_and_what_was_dropped_is_read_again() {
        let host = Host::new();
        let mut store = Store::<u32>::new("a", TTL);
        for call in 0..4_u32 {
            for name in 0..600_u32 {
                *store.change(&format!("{call}-{name}")) = name;
            }
            store.flush();
            assert!(store.slots.len() <= MAX_CACHED);
        }
        assert_eq!(host.state_entries(), 2400);
        assert_eq!(*store.change("0-599"), 599);
    }
}
