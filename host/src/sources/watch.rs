//! Hints that something changed in a folder, from the kernel's inotify.
//!
//! Only a reason to look earlier: everything is found by looking now and then as well, on file
//! systems without inotify and beyond its limits. Writes into files are not watched, since a busy
//! log would wake the agent at each line; a file that was written and closed is.

use std::collections::{BTreeSet, HashMap};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

/// Folders watched for one source. The kernel allows a user some ten thousand in all by default
/// (`fs.inotify.max_user_watches`), and other programs want some too.
const MAX_FOLDERS: usize = 2048;

/// Watches folders.
#[derive(Debug)]
pub struct Watch {
    inotify: OwnedFd,
    folders: HashMap<PathBuf, i32>,
    by_watch: HashMap<i32, PathBuf>,
}

/// What changed since the last question.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Files that were made, closed after writing, moved or deleted.
    pub paths: Vec<PathBuf>,
    /// Some changes were lost: look at everything.
    pub overflow: bool,
}

impl Changes {
    /// Whether there is anything to look at.
    pub fn any(&self) -> bool {
        self.overflow || !self.paths.is_empty()
    }
}

impl Watch {
    /// Watches nothing yet.
    pub fn new() -> Result<Self, Errno> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        Ok(Self { inotify, folders: HashMap::new(), by_watch: HashMap::new() })
    }

    /// Watches these folders and no others. Says how many could not be watched.
    pub fn set(&mut self, folders: &BTreeSet<PathBuf>) -> usize {
        let gone: Vec<PathBuf> =
            self.folders.keys().filter(|folder| !folders.contains(*folder)).cloned().collect();
        for folder in gone {
            if let Some(watch) = self.folders.remove(&folder) {
                self.by_watch.remove(&watch);
                // Fails when the folder is gone: then the kernel has removed it already.
                let _ = inotify::remove_watch(&self.inotify, watch);
            }
        }
        let mut failed = 0;
        for folder in folders {
            if !self.folders.contains_key(folder) && !self.add(folder) {
                failed += 1;
            }
        }
        failed
    }

    /// Watches one more folder; says whether that is possible.
    pub fn add(&mut self, folder: &Path) -> bool {
        if self.folders.contains_key(folder) {
            return true;
        }
        if self.folders.len() >= MAX_FOLDERS {
            return false;
        }
        let flags = WatchFlags::CREATE
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE
            | WatchFlags::ONLYDIR;
        let Ok(watch) = inotify::add_watch(&self.inotify, folder, flags) else { return false };
        self.folders.insert(folder.to_owned(), watch);
        self.by_watch.insert(watch, folder.to_owned());
        true
    }

    /// What changed; never waits.
    pub fn changes(&mut self) -> Changes {
        let mut changes = Changes::default();
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        // Ends with `Errno::AGAIN` when there is nothing more.
        while let Ok(event) = events.next() {
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                changes.overflow = true;
            }
            let Some(folder) = self.by_watch.get(&event.wd()) else { continue };
            if event.events().contains(ReadFlags::IGNORED) {
                let folder = folder.clone();
                self.by_watch.remove(&event.wd());
                self.folders.remove(&folder);
                changes.overflow = true;
            } else if let Some(name) = event.file_name() {
                changes.paths.push(folder.join(std::ffi::OsStr::from_bytes(name.to_bytes())));
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::fs;

    use super::*;

    #[test]
    fn changes_in_watched_folders_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Watch::new().unwrap();
        assert_eq!(watch.set(&BTreeSet::from([folder.path().to_owned()])), 0);
        assert!(!watch.changes().any());
        let path = folder.path().join("x");
        fs::write(&path, "x").unwrap();
        let changes = watch.changes();
        assert!(changes.paths.contains(&path) && !changes.overflow);
        watch.set(&BTreeSet::new());
        fs::write(folder.path().join("y"), "y").unwrap();
        assert!(watch.changes().paths.is_empty());
    }
}
