//! Which series have a label: each pair of name and value once, with the places of the series that have it.
//!
//! The one place where the text of labels is kept. A series' labels are numbers of pairs, four bytes each.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

use crate::labels::{Label, Labels};

/// What a pair costs beside its text: the structure, its entry in the table, the heads of two allocations.
const PAIR_BYTES: u64 = 96;
/// What a place in a pair's list costs, with what the list has grown beyond.
const PLACE_BYTES: u64 = 5;

/// Labels of a series: numbers of pairs, in the order of the labels' names.
pub(crate) type PairIds = Box<[u32]>;

/// See the module's description.
#[derive(Default)]
pub(crate) struct Index {
    names: HashMap<Arc<str>, u32>,
    /// A name or a pair that no series has any more is an empty place that the next new one takes.
    by_name: Vec<Option<Name>>,
    free_names: Vec<u32>,
    pairs: Vec<Option<Pair>>,
    free: Vec<u32>,
    hasher: RandomState,
    bytes: u64,
}

/// A label's name, as long as it has a value.
pub(crate) struct Name {
    text: Arc<str>,
    /// Numbers of the pairs, found by the hash of the value.
    values: HashTable<u32>,
}

/// A label.
pub(crate) struct Pair {
    pub(crate) name: u32,
    pub(crate) value: Arc<str>,
    /// Where the series are, rising.
    pub(crate) places: Vec<u32>,
}

impl Index {
    /// As accounted for: pairs with their text and lists.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What new labels would cost.
    pub(crate) fn cost(&self, pairs: &[(&str, &str)]) -> u64 {
        let new = |(name, value): &(&str, &str)| {
            let name_bytes = if self.name(name).is_some() { 0 } else { PAIR_BYTES + name.len() as u64 };
            let pair_bytes =
                if self.find(name, value).is_some() { 0 } else { PAIR_BYTES + value.len() as u64 };
            PLACE_BYTES + name_bytes + pair_bytes
        };
        pairs.iter().map(new).sum()
    }

    /// Adds the series at a place behind all others.
    pub(crate) fn add(&mut self, place: u32, pairs: &[(&str, &str)]) -> PairIds {
        let add = |(name, value): &(&str, &str)| {
            let id = self.pair_of(name, value);
            let places =
                &mut self.pairs[id as usize].as_mut().expect("the pair was just found or made").places;
            if places.len() == places.capacity() {
                // By a quarter: the lists of many series together are large.
                places.reserve_exact(1 + places.len() / 4);
            }
            places.push(place);
            self.bytes += PLACE_BYTES;
            id
        };
        pairs.iter().map(add).collect()
    }

    fn pair_of(&mut self, name: &str, value: &str) -> u32 {
        let number = self.name_of(name);
        let hash = self.hasher.hash_one(value);
        let found = self.of(number).values.find(hash, |id| **value_of(&self.pairs, *id) == *value);
        if let Some(id) = found {
            return *id;
        }
        let pair = Pair { name: number, value: Arc::from(value), places: Vec::new() };
        self.bytes += PAIR_BYTES + value.len() as u64;
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                self.pairs.push(None);
                u32::try_from(self.pairs.len() - 1).expect("memory ends before there are so many pairs")
            }
        };
        self.pairs[id as usize] = Some(pair);
        let (pairs, hasher) = (&self.pairs, &self.hasher);
        let name = self.by_name[number as usize].as_mut().expect("the name was just found or made");
        name.values.insert_unique(hash, id, |id| hasher.hash_one(&**value_of(pairs, *id)));
        id
    }

    fn name_of(&mut self, name: &str) -> u32 {
        if let Some(number) = self.names.get(name) {
            return *number;
        }
        let number = match self.free_names.pop() {
            Some(number) => number,
            None => {
                self.by_name.push(None);
                u32::try_from(self.by_name.len() - 1).expect("memory ends before there are so many names")
            }
        };
        let text: Arc<str> = Arc::from(name);
        self.bytes += PAIR_BYTES + name.len() as u64;
        self.by_name[number as usize] = Some(Name { text: Arc::clone(&text), values: HashTable::new() });
        self.names.insert(text, number);
        number
    }

    fn of(&self, name: u32) -> &Name {
        self.by_name[name as usize].as_ref().expect("a name is there as long as a series has it")
    }

    /// The number of a name that some series has.
    pub(crate) fn name(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }

    pub(crate) fn name_text(&self, number: u32) -> &Arc<str> {
        &self.of(number).text
    }

    /// The number of a pair that some series has.
    pub(crate) fn find(&self, name: &str, value: &str) -> Option<u32> {
        let values = &self.of(self.name(name)?).values;
        let hash = self.hasher.hash_one(value);
        values.find(hash, |id| **value_of(&self.pairs, *id) == *value).copied()
    }

    pub(crate) fn pair(&self, id: u32) -> &Pair {
        self.pairs[id as usize].as_ref().expect("a pair is there as long as a series has it")
    }

    /// How many values a name has.
    pub(crate) fn value_count(&self, name: u32) -> usize {
        self.of(name).values.len()
    }

    /// The pairs of a name, in no order.
    pub(crate) fn values(&self, name: u32) -> impl Iterator<Item = (u32, &Pair)> {
        self.of(name).values.iter().map(|id| (*id, self.pair(*id)))
    }

    /// How large a table by the numbers of pairs has to be.
    pub(crate) fn pair_bound(&self) -> usize {
        self.pairs.len()
    }

    /// The value of a series' label; an absent one has the empty value.
    pub(crate) fn value_in<'a>(&'a self, labels: &[u32], name: u32) -> &'a str {
        let found = labels.iter().map(|id| self.pair(*id)).find(|pair| pair.name == name);
        found.map_or("", |pair| &pair.value)
    }

    /// Whether numbers stand for these labels, which are sorted by name.
    pub(crate) fn same(&self, labels: &[u32], pairs: &[(&str, &str)]) -> bool {
        let same = |(id, pair): (&u32, &(&str, &str))| {
            let own = self.pair(*id);
            *own.value == *pair.1 && **self.name_text(own.name) == *pair.0
        };
        labels.len() == pairs.len() && labels.iter().zip(pairs).all(same)
    }

    /// Labels with their shared text.
    pub(crate) fn labels(&self, labels: &[u32]) -> Labels {
        let label = |id: &u32| {
            let pair = self.pair(*id);
            Label { name: Arc::clone(self.name_text(pair.name)), value: Arc::clone(&pair.value) }
        };
        labels.iter().map(label).collect()
    }

    /// Series have moved: each place becomes the one that stands there in `moved`, and those that are `None`
    /// have left. With `reordered` the new places may be in another order.
    pub(crate) fn move_places(&mut self, moved: &[Option<u32>], reordered: bool) {
        for id in 0..self.pairs.len() {
            let Some(pair) = &mut self.pairs[id] else { continue };
            let before = pair.places.len();
            let new = |place: &mut u32| moved[*place as usize].map(|new| *place = new).is_some();
            pair.places.retain_mut(new);
            self.bytes -= (before - pair.places.len()) as u64 * PLACE_BYTES;
            if reordered {
                pair.places.sort_unstable();
            }
            if pair.places.is_empty() {
                self.remove(id as u32);
            } else if pair.places.capacity() > 2 * pair.places.len() + 16 {
                pair.places.shrink_to_fit();
            }
        }
    }

    fn remove(&mut self, id: u32) {
        let pair = self.pair(id);
        let (number, length) = (pair.name, pair.value.len() as u64);
        let hash = self.hasher.hash_one(&*pair.value);
        let name = self.by_name[number as usize].as_mut().expect("a pair has a name");
        if let Ok(entry) = name.values.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        let last = name.values.is_empty();
        self.bytes -= PAIR_BYTES + length;
        self.pairs[id as usize] = None;
        self.free.push(id);
        if last {
            self.remove_name(number);
        }
    }

    fn remove_name(&mut self, number: u32) {
        let Some(name) = self.by_name[number as usize].take() else { return };
        self.names.remove(&name.text);
        self.bytes -= PAIR_BYTES + name.text.len() as u64;
        self.free_names.push(number);
    }
}

fn value_of(pairs: &[Option<Pair>], id: u32) -> &Arc<str> {
    &pairs[id as usize].as_ref().expect("a pair is in its name's table as long as it is there").value
}
