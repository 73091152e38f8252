//! Files that wait to be scanned, by path and by the time at which they are due.
//!
//! A file that is written to waits until it rests, but not for ever: whoever touches it now and then would
//! keep it from being scanned. What happens with a file that is due is the source's business.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::examine::StatKey;

/// How long a file may be postponed because it changes; longer where settling takes long (`TIMES_SETTLE`).
/// A copy of a large file over a network is in one piece by then, mostly.
const LONGEST_UNREST: Duration = Duration::from_secs(60);
/// How many times as long as settling takes a file may be postponed at least.
const TIMES_SETTLE: u32 = 10;

/// A file that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// When it is looked at.
    pub(super) due: Instant,
    /// How it was when it was seen last, if it waits to settle.
    pub(super) key: Option<StatKey>,
    /// Since when it is looked at as it is, if it waits to settle.
    until: Instant,
}

impl Entry {
    /// Whether it has been postponed for long enough.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.until <= now
    }

    /// The same, seen anew.
    pub(super) fn with(self, key: StatKey) -> Self {
        Self { key: Some(key), ..self }
    }
}

/// Waiting files, each with how it was when it was seen last.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    files: HashMap<PathBuf, Entry>,
    // Beside the files, so that a question for what is due costs nothing while nothing is.
    times: BTreeSet<(Instant, PathBuf)>,
}

impl Waiting {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether a file waits.
    pub(super) fn contains(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }

    /// Adds a file that waits to settle, or postpones it: from now on for `settle`, but not beyond what is
    /// allowed since it began to.
    pub(super) fn settle(&mut self, path: PathBuf, now: Instant, settle: Duration, key: StatKey) {
        let before = self.remove(&path).filter(|entry| entry.key.is_some());
        let until = before.map_or_else(
            || now + settle.saturating_mul(TIMES_SETTLE).max(LONGEST_UNREST),
            |entry| entry.until,
        );
        self.put(path, Entry { due: (now + settle).min(until), key: Some(key), until });
    }

    /// The same for a file that was due and has changed.
    pub(super) fn postpone(&mut self, path: PathBuf, now: Instant, settle: Duration, entry: Entry) {
        self.put(path, Entry { due: (now + settle).min(entry.until), ..entry });
    }

    /// Adds a file that waits for another reason, unless it waits already.
    pub(super) fn retry(&mut self, path: &Path, due: Instant) {
        if !self.contains(path) {
            self.put(path.to_owned(), Entry { due, key: None, until: due });
        }
    }

    fn put(&mut self, path: PathBuf, entry: Entry) {
        self.remove(&path);
        self.times.insert((entry.due, path.clone()));
        self.files.insert(path, entry);
    }

    /// Takes a file out; `None` if it does not wait.
    pub(super) fn remove(&mut self, path: &Path) -> Option<Entry> {
        let (path, entry) = self.files.remove_entry(path)?;
        self.times.remove(&(entry.due, path));
        Some(entry)
    }

    /// Files that are due, the longest due first.
    pub(super) fn due(&self, now: Instant) -> Vec<PathBuf> {
        self.times.iter().take_while(|(due, _)| *due <= now).map(|(_, path)| path.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn key(changed: i128) -> StatKey {
        StatKey { device: 0, inode: 0, size: 0, modified: 0, changed }
    }

    #[test]
    fn what_is_due_is_told_in_the_order_of_time() {
        let now = Instant::now();
        let mut waiting = Waiting::default();
        waiting.retry(Path::new("late"), now + SECOND * 3);
        waiting.settle("b".into(), now, SECOND, key(0));
        waiting.retry(Path::new("a"), now + SECOND * 2);
        assert!(waiting.due(now).is_empty());
        assert_eq!(waiting.due(now + SECOND * 2), [Path::new("b"), Path::new("a")]);
        waiting.settle("b".into(), now, SECOND * 9, key(0));
        assert_eq!(waiting.due(now + SECOND * 2), [Path::new("a")]);
        waiting.retry(Path::new("b"), now);
        assert_eq!(waiting.remove(Path::new("a")).map(|entry| entry.due), Some(now + SECOND * 2));
        assert_eq!((waiting.len(), waiting.times.len()), (2, 2));
    }

    #[test]
    fn a_file_that_is_touched_again_and_again_is_due_in_the_end() {
        let start = Instant::now();
        let mut waiting = Waiting::default();
        for second in 0..100 {
            waiting.settle("a".into(), start + SECOND * second, SECOND * 2, key(second.into()));
        }
        assert_eq!(waiting.due(start + LONGEST_UNREST), [Path::new("a")]);
        let entry = waiting.remove(Path::new("a"));
        assert!(entry.is_some_and(|entry| entry.is_overdue(start + LONGEST_UNREST)));
        // With long settling it may be touched for longer.
        waiting.settle("a".into(), start, SECOND * 60, key(0));
        waiting.settle("a".into(), start + SECOND * 590, SECOND * 60, key(1));
        assert!(waiting.due(start + SECOND * 599).is_empty());
        assert_eq!(waiting.due(start + SECOND * 600), [Path::new("a")]);
        // What waited for a retry has not been postponed yet.
        waiting.remove(Path::new("a"));
        waiting.retry(Path::new("a"), start);
        waiting.settle("a".into(), start + SECOND * 700, SECOND, key(0));
        assert!(waiting.due(start + SECOND * 700).is_empty());
    }
}
