//! Notices that files have changed and waits until they rest.
//!
//! inotify (through `notify`) is only a hint that makes it quick: what decides is a comparison of
//! names, sizes and times, made at every hint and at an interval besides. So it works on network
//! file systems, with watches that overflow and in folders that come and go. Reads no content.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, Sender, bounded};
use notify::{RecursiveMode, Watcher as _};

/// Files that never rest are read anyway after this time; the content's own checks decide then.
const LONGEST_UNREST: Duration = Duration::from_secs(10);
/// The most entries that are compared; beyond it lies a mistake such as watching `/`.
const MAX_ENTRIES: usize = 50_000;

/// Size, time of change and inode of a file.
type Stamp = (u64, Option<SystemTime>, u64);

/// What the watched paths looked like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture(BTreeMap<PathBuf, Stamp>);

impl Picture {
    /// Looks at files, and at everything below folders. What cannot be looked at is absent.
    pub fn take(paths: &[PathBuf]) -> Self {
        let mut picture = Self::default();
        for path in paths {
            picture.add(path, 16);
        }
        picture
    }

    fn add(&mut self, path: &Path, depth: usize) {
        use std::os::unix::fs::MetadataExt as _;
        let Ok(metadata) = path.metadata() else { return };
        if metadata.is_dir() && depth > 0 && self.0.len() < MAX_ENTRIES {
            let Ok(entries) = path.read_dir() else { return };
            for entry in entries.flatten() {
                self.add(&entry.path(), depth - 1);
            }
        } else {
            self.0.insert(path.to_owned(), (metadata.len(), metadata.modified().ok(), metadata.ino()));
        }
    }
}

/// Watches a set of files and folders.
pub struct Watch {
    paths: Vec<PathBuf>,
    hints: Receiver<()>,
    hinted: Sender<()>,
    // Dropping it ends the operating system's watch.
    notifier: Option<notify::RecommendedWatcher>,
}

impl Watch {
    /// Watches nothing yet.
    pub fn new() -> Self {
        // One waiting hint is enough: it says "look", not what happened.
        let (hinted, hints) = bounded(1);
        Self { paths: Vec::new(), hints, hinted, notifier: None }
    }

    /// Receives a unit when it is worth comparing pictures.
    pub fn hints(&self) -> &Receiver<()> {
        &self.hints
    }

    /// Replaces the set of paths. A file is watched through its folder, since it may be replaced.
    pub fn set(&mut self, paths: Vec<PathBuf>) {
        if paths == self.paths && self.notifier.is_some() {
            return;
        }
        let hinted = self.hinted.clone();
        let handler = move |event: notify::Result<notify::Event>| {
            if !event.is_ok_and(|event| event.kind.is_access()) {
                // Full means that a hint waits already.
                let _ = hinted.try_send(());
            }
        };
        self.notifier = notify::recommended_watcher(handler).ok();
        if let Some(notifier) = &mut self.notifier {
            for path in &paths {
                let (path, mode) = match path.parent() {
                    _ if path.is_dir() => (path.as_path(), RecursiveMode::Recursive),
                    Some(folder) => (folder, RecursiveMode::NonRecursive),
                    None => continue,
                };
                if let Err(error) = notifier.watch(path, mode) {
                    tracing::debug!(path = %path.display(), %error, "A path cannot be watched; it is polled.");
                }
            }
        }
        self.paths = paths;
    }

    /// Looks at the watched paths now.
    pub fn picture(&self) -> Picture {
        Picture::take(&self.paths)
    }

    /// Waits until two looks in a row, `settle` apart, see the same; gives that picture. Rapid changes
    /// count as one, and a copy that pauses for longer between two writes is met as a truncated
    /// component and refused.
    pub fn rest(&self, settle: Duration) -> Picture {
        let deadline = Instant::now() + LONGEST_UNREST;
        let mut last = self.picture();
        loop {
            std::thread::sleep(settle);
            let now = self.picture();
            if now == last || Instant::now() >= deadline {
                while self.hints.try_recv().is_ok() {}
                return now;
            }
            last = now;
        }
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::fs;

    #[test]
    fn a_changed_new_or_deleted_file_changes_the_picture() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [folder.path().to_owned()];
        let empty = Picture::take(&paths);
        fs::create_dir(folder.path().join("sub")).unwrap();
        let file = folder.path().join("sub/a");
        fs::write(&file, b"1").unwrap();
        let one = Picture::take(&paths);
        assert_ne!(empty, one);
        fs::write(&file, b"22").unwrap();
        let two = Picture::take(&paths);
        assert_ne!(one, two);
        assert_eq!(two, Picture::take(&paths));
        fs::remove_file(&file).unwrap();
        assert_eq!(empty, Picture::take(&paths));
    }

    #[test]
    fn a_write_below_a_watched_folder_gives_a_hint() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Watch::new();
        watch.set(vec![folder.path().to_owned()]);
        fs::write(folder.path().join("a"), b"1").unwrap();
        watch.hints().recv_timeout(Duration::from_secs(30)).unwrap();
    }
}
