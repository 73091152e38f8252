//! Files that wait to be scanned, by path and by the time at which they are due.
//!
//! Decides nothing: how long a file waits is the source's business.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::examine::StatKey;

/// Waiting files, each with how it was when it began to wait.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    files: HashMap<PathBuf, (Instant, Option<StatKey>)>,
    // Beside the files, so that a question for what is due costs nothing while nothing is.
    times: BTreeSet<(Instant, PathBuf)>,
}

impl Waiting {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// Adds a file, or lets it wait anew.
    pub(super) fn insert(&mut self, path: PathBuf, due: Instant, key: Option<StatKey>) {
        self.remove(&path);
        self.times.insert((due, path.clone()));
        self.files.insert(path, (due, key));
    }

    /// Takes a file out; `None` if it does not wait.
    pub(super) fn remove(&mut self, path: &Path) -> Option<(Instant, Option<StatKey>)> {
        let (path, (due, key)) = self.files.remove_entry(path)?;
        self.times.remove(&(due, path));
        Some((due, key))
    }

    /// Files that are due, the longest due first.
    pub(super) fn due(&self, now: Instant) -> Vec<PathBuf> {
        self.times.iter().take_while(|(due, _)| *due <= now).map(|(_, path)| path.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_due_is_told_in_the_order_of_time() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut waiting = Waiting::default();
        waiting.insert("late".into(), now + second * 3, None);
        waiting.insert("b".into(), now + second, None);
        waiting.insert("a".into(), now + second * 2, None);
        assert!(waiting.due(now).is_empty());
        assert_eq!(waiting.due(now + second * 2), [Path::new("b"), Path::new("a")]);
        waiting.insert("b".into(), now + second * 9, None);
        assert_eq!(waiting.due(now + second * 2), [Path::new("a")]);
        assert_eq!(waiting.remove(Path::new("a")), Some((now + second * 2, None)));
        assert_eq!((waiting.len(), waiting.times.len()), (2, 2));
    }
}
