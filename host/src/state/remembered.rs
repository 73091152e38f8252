//! What is remembered of files, so that they need not be read or scanned again: digests and verdicts.
//!
//! It is a cache. What is lost of it costs another scan and nothing else, so it is removed when nobody has
//! used it for long, and what cannot be read counts as unknown. Each entry carries the day of its last use;
//! whoever uses one that is [due](Remembered::is_due) commits it again with the new day. So a use costs a
//! write once in a while, not each time.
//!
//! Days are those of the wall clock, which can be wrong. When it jumps forwards by more than
//! [`KEPT_DAYS`], or the agent did not run for so long, everything seems unused and goes with the next pass:
//! all files are scanned once more. A day to come counts as today, so an agent that starts before its clock
//! is set removes nothing; what it noted with a day far ahead stays until the clock gets there.

use serde::{Deserialize, Serialize};

use super::value::{self, Versioned};
use super::{State, StateError, bytes, keys};
use crate::model::{Day, Digest};

/// After how many days a use is written down again: with a walk over all files each day this is one write
/// for each of them in a week, and it leaves [`KEPT_DAYS`] three weeks of room.
pub const DUE_DAYS: u32 = 7;

/// For how many days an entry is kept that nobody uses: the files of an upload folder are gone by then, while
/// a disk that was away for some weeks is not scanned again.
pub const KEPT_DAYS: u32 = 30;

const _: () = assert!(DUE_DAYS < KEPT_DAYS, "what is used has to be renewed before it is removed");

/// An entry of the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The day of its last use, as far as that was written down: up to [`DUE_DAYS`] too early.
    pub used: Day,
    /// What is remembered, in its owner's encoding.
    #[serde(with = "bytes")]
    pub value: Vec<u8>,
}

impl Versioned for Remembered {
    const KIND: &'static str = "note of a file";
    const VERSION: u8 = 1;
}

impl Remembered {
    /// Whether a use today is to be written down.
    pub fn is_due(&self, today: Day) -> bool {
        today.since(self.used) > DUE_DAYS
    }

    /// Whether nobody has used it for so long that it is removed.
    pub fn is_unused(&self, today: Day) -> bool {
        today.since(self.used) > KEPT_DAYS
    }
}

/// How far a pass of [`State::purge_unused`] has come; the default is its beginning.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place(Vec<u8>);

impl State {
    /// What a scanner's generation has remembered about a content. A value that cannot be read counts as
    /// unknown.
    pub fn scanned(
        &self,
        plugin: &str,
        generation: &Digest,
        content: &Digest,
    ) -> Result<Option<Remembered>, StateError> {
        self.remembered(&keys::scanned(plugin, generation, content))
    }

    /// What is remembered about a file's content. A value that cannot be read counts as unknown.
    pub fn file_digest(&self, key: &[u8]) -> Result<Option<Remembered>, StateError> {
        self.remembered(&keys::file_digest(key))
    }

    /// Looks at up to `limit` (at least one) entries that files have left, all plugins' and generations',
    /// from a place on, and removes those that nobody has used for [`KEPT_DAYS`] by `today` or that cannot be
    /// read. Returns how many it removed, and the place to go on from unless the pass is done. Commits wait
    /// for what is removed only, not for the look.
    ///
    /// The place holds its worth whatever is written and removed between two calls.
    pub fn purge_unused(
        &self,
        from: &Place,
        today: Day,
        limit: usize,
    ) -> Result<(usize, Option<Place>), StateError> {
        let begun = |namespace: &&u8| from.0.first().is_none_or(|first| first <= *namespace);
        let mut namespaces = keys::REMEMBERED.iter().filter(begun);
        let Some(namespace) = namespaces.next() else { return Ok((0, None)) };
        let mut next = namespaces.next().map(|namespace| Place(vec![*namespace]));
        let page = self.current()?.scan(&[*namespace], Some(&from.0), limit)?;
        if let (true, Some((last, _))) = (page.len() >= limit, page.last()) {
            next = Some(Place(last.clone()));
        }
        let mut unused = Vec::new();
        for (key, stored) in page {
            if readable(self.decode(&key, &stored))?.is_none_or(|entry| entry.is_unused(today)) {
                unused.push(key);
            }
        }
        Ok((self.remove_unused(unused, today)?, next))
    }

    /// Looks once more, since commits went on meanwhile: an entry may have been used.
    fn remove_unused(&self, candidates: Vec<Vec<u8>>, today: Day) -> Result<usize, StateError> {
        let mut removed = 0;
        if candidates.is_empty() {
            return Ok(removed);
        }
        self.change(|changes| {
            for key in candidates {
                if changes.load::<Remembered>(&key)?.is_none_or(|entry| entry.is_unused(today)) {
                    changes.remove(key)?;
                    removed += 1;
                }
            }
            Ok(())
        })?;
        Ok(removed)
    }

    fn remembered(&self, key: &[u8]) -> Result<Option<Remembered>, StateError> {
        match self.current()?.get(key)? {
            Some(stored) => readable(self.decode(key, &stored)),
            None => Ok(None),
        }
    }

    fn decode(&self, key: &[u8], stored: &[u8]) -> Result<Remembered, StateError> {
        let table = self.current()?;
        value::decode(&value::assemble(key, stored, |piece| table.get(piece))?)
    }
}

/// Nothing if what is stored is no entry, or one of a newer version: it counts as unknown.
fn readable(entry: Result<Remembered, StateError>) -> Result<Option<Remembered>, StateError> {
    match entry {
        Err(StateError::Damaged { .. } | StateError::NewerVersion { .. }) => Ok(None),
        other => other.map(Some),
    }
}
