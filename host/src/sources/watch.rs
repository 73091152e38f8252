//! Hints that something changed in a folder, from the kernel's inotify.
//!
//! Only a reason to look earlier: everything is found by looking now and then as well, on file
//! systems without inotify and beyond its limits. Writes into files are not watched, since a busy
//! log would wake the agent at each line; a file that was written and closed is.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

/// Folders watched for one source. The kernel allows a user some ten thousand in all by default
/// (`fs.inotify.max_user_watches`), and other programs want some too.
const MAX_FOLDERS: usize = 2048;

/// Events taken at once, as many as the kernel keeps by default. Folders in which things happen faster
/// than that is read must not hold their source up.
const MAX_EVENTS: usize = 16_384;

/// What the kernel tells of a folder.
struct Event {
    watch: i32,
    flags: ReadFlags,
    /// Of the file in it, if it is about one.
    name: Option<OsString>,
}

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
    /// Files and folders that were made, closed after writing, moved or deleted, or that got other
    /// permissions or owners.
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
        gone.iter().for_each(|folder| self.remove(folder));
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
            | WatchFlags::ATTRIB
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVE_SELF
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
        for event in self.events() {
            if event.flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                changes.overflow = true;
            }
            let Some(folder) = self.by_watch.get(&event.watch).cloned() else { continue };
            if event.flags.contains(ReadFlags::IGNORED) {
                self.by_watch.remove(&event.watch);
                self.folders.retain(|_, watch| *watch != event.watch);
                changes.overflow = true;
            } else if event.flags.contains(ReadFlags::MOVE_SELF) {
                self.remove_tree(&folder);
                changes.overflow = true;
            } else if let Some(name) = event.name {
                let path = folder.join(name);
                if event.flags.contains(ReadFlags::MOVED_FROM | ReadFlags::ISDIR) {
                    self.remove_tree(&path);
                }
                changes.paths.push(path);
            }
        }
        changes
    }

    /// What the kernel tells, up to a bound; the rest is told next time.
    fn events(&self) -> Vec<Event> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut events = Vec::new();
        // Ends with `Errno::AGAIN` when there is nothing more.
        while (events.len() < MAX_EVENTS || !reader.is_buffer_empty())
            && let Ok(event) = reader.next()
        {
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()).to_owned());
            events.push(Event { watch: event.wd(), flags: event.events(), name });
        }
        events
    }

    /// A folder was moved away. The kernel goes on watching it under its new name, and would give out the
    /// same descriptor for that; so this one and those below are given back.
    fn remove_tree(&mut self, path: &Path) {
        let moved: Vec<PathBuf> =
            self.folders.keys().filter(|folder| folder.starts_with(path)).cloned().collect();
        moved.iter().for_each(|folder| self.remove(folder));
    }

    fn remove(&mut self, folder: &Path) {
        let Some(watch) = self.folders.remove(folder) else { return };
        if self.by_watch.get(&watch).is_none_or(|known| known != folder) {
            // The folder has another name by now, under which it is watched on.
            return;
        }
        match self.folders.iter().find(|(_, other)| **other == watch) {
            Some((other, _)) => {
                self.by_watch.insert(watch, other.clone());
            }
            None => {
                self.by_watch.remove(&watch);
                // Fails when the folder is gone: then the kernel has removed it already.
                let _ = inotify::remove_watch(&self.inotify, watch);
            }
        }
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
    /// A watch on a folder and on the folder `a` in it.
    fn watched() -> (tempfile::TempDir, Watch, impl Fn(&str) -> PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let at = move |name: &str| if name.is_empty() { root.clone() } else { root.join(name) };
        fs::create_dir(at("a")).unwrap();
        let mut watch = Watch::new().unwrap();
        watch.set(&BTreeSet::from([at(""), at("a")]));
        (folder, watch, at)
    }

    #[test]
    fn a_renamed_folder_is_watched_under_its_new_name() {
        for (replaced, noticed) in [(false, true), (true, true), (false, false), (true, false)] {
            let (_folder, mut watch, at) = watched();
            fs::rename(at("a"), at("b")).unwrap();
            if replaced {
                fs::create_dir(at("a")).unwrap();
            }
            if noticed {
                let changes = watch.changes();
                assert!(changes.paths.contains(&at("a")) && changes.paths.contains(&at("b")));
            }
            let mut folders = vec![at(""), at("b")];
            folders.extend(replaced.then(|| at("a")));
            // As a walk does it: what is found is added at once, what was not found goes at the end.
            let walk = |watch: &mut Watch| {
                assert!(folders.iter().all(|folder| watch.add(folder)));
                assert_eq!(watch.set(&folders.iter().cloned().collect()), 0);
            };
            walk(&mut watch);
            while watch.changes().overflow {
                walk(&mut watch);
            }
            for folder in &folders {
                fs::write(folder.join("x"), "x").unwrap();
                let changes = watch.changes();
                let told = changes.paths.contains(&folder.join("x"));
                assert!(told, "{replaced} {noticed} {}: {changes:?}", folder.display());
            }
        }
    }

    #[test]
    fn changed_permissions_are_told() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, mut watch, at) = watched();
        fs::write(at("a/x"), "x").unwrap();
        watch.changes();
        fs::set_permissions(at("a/x"), fs::Permissions::from_mode(0o4755)).unwrap();
        assert_eq!(watch.changes().paths, [at("a/x")]);
    }

    #[test]
    fn a_folder_that_was_moved_out_of_sight_makes_everything_be_looked_at() {
        let (folder, mut watch, at) = watched();
        watch.set(&BTreeSet::from([at("a")]));
        fs::rename(at("a"), at("b")).unwrap();
        assert!(watch.changes().overflow);
        fs::write(folder.path().join("b/x"), "x").unwrap();
        assert!(!watch.changes().paths.contains(&at("a/x")));
    }
}
