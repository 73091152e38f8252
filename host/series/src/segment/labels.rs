//! The tables of a segment as they are read at the start: entries, and the labels of each.

use crate::labels::{MAX_LABELS, MAX_NAME_BYTES, MAX_VALUE_BYTES};
use crate::varint::Reader;

use super::{ENTRY, Entry};

/// Index and labels of a segment, whose checksum was right. A file that was made with a right checksum and wrong
/// content is found out all the same.
pub(crate) struct Table {
    bytes: Vec<u8>,
    count: usize,
    /// Where the names stand in `bytes`.
    names: Vec<(usize, usize)>,
    /// Numbers of names, and where the values stand.
    pairs: Vec<(u32, usize, usize)>,
    /// Where the labels of the first entry begin.
    lists_at: usize,
}

impl Table {
    /// Of index and labels; none when they are no tables. The entries have to fit, which the foot has promised.
    pub(super) fn new(bytes: Vec<u8>, count: usize) -> Option<Self> {
        let entries = bytes.get(..count.checked_mul(ENTRY)?)?;
        let mut reader = Reader::new(entries);
        let mut last = None;
        while let Some(entry) = Entry::read(&mut reader) {
            let rises = last.is_none_or(|last| last < entry.id) && entry.first <= entry.last;
            last = rises.then_some(Some(entry.id))?;
        }
        let all = bytes.len();
        let mut reader = Reader::new(&bytes[entries.len()..]);
        let place = |text: &str, reader: &Reader<'_>| (all - reader.rest().len() - text.len(), text.len());
        let mut names = Vec::new();
        for _ in 0..reader.size(all)? {
            let name = reader.text(MAX_NAME_BYTES)?;
            names.push(place(name, &reader));
        }
        let mut pairs = Vec::new();
        for _ in 0..reader.size(all)? {
            let name = reader.size(names.len().checked_sub(1)?)?;
            let value = reader.text(MAX_VALUE_BYTES)?;
            let (at, length) = place(value, &reader);
            pairs.push((u32::try_from(name).ok()?, at, length));
        }
        let lists_at = all - reader.rest().len();
        Some(Self { bytes, count, names, pairs, lists_at })
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn entry(&self, at: usize) -> Option<Entry> {
        Entry::read(&mut Reader::new(self.bytes.get(at * ENTRY..)?))
    }

    /// Gives each entry with its labels, sorted by name, when `wanted` says so. Says whether all were whole.
    pub(crate) fn each(
        &self,
        mut wanted: impl FnMut(&Entry) -> bool,
        mut take: impl FnMut(&Entry, &[(&str, &str)]),
    ) -> bool {
        let mut lists = Reader::new(&self.bytes[self.lists_at..]);
        let mut pairs = Vec::new();
        for entry in (0..self.count).filter_map(|at| self.entry(at)) {
            let wanted = wanted(&entry);
            pairs.clear();
            let Some(count) = lists.size(MAX_LABELS) else { return false };
            for _ in 0..count {
                let Some(number) = lists.size(self.pairs.len()) else { return false };
                let Some(pair) = self.pairs.get(number) else { return false };
                if wanted {
                    pairs.push(self.pair(*pair));
                }
            }
            if wanted && !pairs.is_sorted_by(|a, b| a.0 < b.0) {
                return false;
            }
            if wanted {
                take(&entry, &pairs);
            }
        }
        true
    }

    fn pair(&self, (name, at, length): (u32, usize, usize)) -> (&str, &str) {
        let text = |at: usize, length: usize| {
            std::str::from_utf8(&self.bytes[at..at + length])
                .expect("it was found to be text when it was read")
        };
        let (name_at, name_length) = self.names[name as usize];
        (text(name_at, name_length), text(at, length))
    }
}
