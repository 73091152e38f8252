//! Notices that files have changed and waits until they rest.
//!
//! inotify (through `notify`) is only a hint that makes it quick: what decides is a comparison of
//! names, sizes, times and permissions, made at every hint and at an interval besides. So it works on
//! network file systems, with watches that overflow and in folders that come and go. Reads no content.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use notify::{RecursiveMode, Watcher as _};

/// Files that do not rest within this time are not read: they are written to all the time, or are logs
/// in the wrong folder, and the operator has to know.
pub const LONGEST_UNREST: Duration = Duration::from_secs(10);
/// The longest time that two looks may be apart. A reload that meets files which were not watched before
/// waits for them too: both waits, and the look before each, have to fit into [`LONGEST_UNREST`].
pub const LONGEST_SETTLE: Duration = Duration::from_secs(3);
const _: () = assert!(3 * LONGEST_SETTLE.as_secs() < LONGEST_UNREST.as_secs());
/// The most entries that are compared; beyond it lies a mistake such as watching `/`.
const MAX_ENTRIES: usize = 50_000;
/// How deep folders are looked into.
const MAX_DEPTH: usize = 16;
/// Restless files that a message names.
const NAMED: usize = 3;

/// What is compared of a file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stamp {
    /// Inode and size, the times of the last change of content and of anything else in seconds and
    /// nanoseconds, and who may write to it: clocks of file systems are coarse.
    File { inode: u64, bytes: u64, content: (i64, i64), anything: (i64, i64), writers: Writers },
    /// Who may write decides whether what is below it is trusted. Its times say nothing beyond its entries.
    Folder(Writers),
}

/// Owner, group and permissions.
type Writers = (u32, u32, u32);

impl Stamp {
    fn file(of: &Metadata) -> Self {
        Self::File {
            inode: of.ino(),
            bytes: of.len(),
            content: (of.mtime(), of.mtime_nsec()),
            anything: (of.ctime(), of.ctime_nsec()),
            writers: (of.uid(), of.gid(), of.mode()),
        }
    }

    fn folder(of: &Metadata) -> Self {
        Self::Folder((of.uid(), of.gid(), of.mode()))
    }
}

/// What the watched paths looked like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture(BTreeMap<PathBuf, Stamp>);

impl Picture {
    /// Looks at files, at everything below folders, and at who may write to the folders above. What
    /// cannot be looked at is absent.
    pub fn take(paths: &[PathBuf]) -> Self {
        let mut picture = Self::default();
        for path in paths {
            if picture.add(path, MAX_DEPTH) {
                picture.add_above(path);
            }
        }
        picture
    }

    /// Adds a file or what is below a folder; says whether there was anything.
    fn add(&mut self, path: &Path, depth: usize) -> bool {
        let Ok(metadata) = path.metadata() else { return false };
        if !metadata.is_dir() || depth == 0 || self.0.len() >= MAX_ENTRIES {
            self.0.insert(path.to_owned(), Stamp::file(&metadata));
            return true;
        }
        let Ok(entries) = path.read_dir() else { return false };
        let mut any = false;
        for entry in entries.flatten() {
            any |= self.add(&entry.path(), depth - 1);
        }
        if any {
            self.0.insert(path.to_owned(), Stamp::folder(&metadata));
        }
        any
    }

    fn add_above(&mut self, path: &Path) {
        let Ok(real) = path.canonicalize() else { return };
        for folder in real.ancestors().skip(1) {
            if let Ok(metadata) = folder.metadata() {
                self.0.insert(folder.to_owned(), Stamp::folder(&metadata));
            }
        }
    }

    /// What of it belongs to some of its paths.
    pub fn only(mut self, paths: &[PathBuf]) -> Self {
        let real: Vec<PathBuf> = paths.iter().filter_map(|path| path.canonicalize().ok()).collect();
        let below = |entry: &Path| paths.iter().any(|path| entry.starts_with(path));
        self.0.retain(|entry, _| below(entry) || real.iter().any(|path| path.starts_with(entry)));
        self
    }

    /// The paths at which two pictures differ.
    fn differences<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a Path> {
        let changed = self.0.iter().filter(|(path, stamp)| other.0.get(*path) != Some(stamp));
        let gone = other.0.keys().filter(|path| !self.0.contains_key(*path));
        changed.map(|(path, _)| path).chain(gone).map(PathBuf::as_path)
    }
}

/// Files are written to without a pause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "files are still changing and were not loaded: {}; they are loaded when nothing has changed for \
     `reload.settle`; keep what is written to all the time out of these folders",
    .0.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
)]
pub struct Unrest(
    /// Some of the files.
    pub Vec<PathBuf>,
);

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

    /// The paths that are watched.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
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
    /// count as one. What still changes at `until` is not to be read.
    pub fn rest(&self, settle: Duration, until: Instant) -> Result<Picture, Unrest> {
        self.rest_between(|| std::thread::sleep(settle), until)
    }

    fn rest_between(&self, mut pause: impl FnMut(), until: Instant) -> Result<Picture, Unrest> {
        let mut last = self.picture();
        loop {
            pause();
            // Before the look: a hint of anything later stays.
            while self.hints.try_recv().is_ok() {}
            let now = self.picture();
            if now == last {
                return Ok(now);
            }
            if Instant::now() >= until {
                return Err(Unrest(now.differences(&last).take(NAMED).map(Path::to_owned).collect()));
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
    fn permissions_that_decide_about_trust_change_the_picture() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        fs::write(&file, b"1").unwrap();
        let paths = [file.clone()];
        let mut last = Picture::take(&paths);
        for (path, mode) in [(&file, 0o666), (&file, 0o644), (&folder.path().to_owned(), 0o777)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            let now = Picture::take(&paths);
            assert_ne!(last, now, "{mode:o} {}", path.display());
            last = now;
        }
        fs::write(folder.path().join("other"), b"1").unwrap();
        assert_eq!(last, Picture::take(&paths), "what is beside a watched file is of no interest");
    }

    #[test]
    fn a_smaller_set_of_paths_makes_of_the_old_picture_what_a_new_one_shows() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
        for path in [&one, &two] {
            fs::create_dir(path).unwrap();
            fs::write(path.join("a"), b"1").unwrap();
        }
        let both = Picture::take(&[one.clone(), two]);
        assert_eq!(both.only(std::slice::from_ref(&one)), Picture::take(&[one]));
    }

    #[test]
    fn a_write_below_a_watched_folder_gives_a_hint() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Watch::new();
        watch.set(vec![folder.path().to_owned()]);
        fs::write(folder.path().join("a"), b"1").unwrap();
        watch.hints().recv_timeout(Duration::from_secs(30)).unwrap();
    }

    #[test]
    fn what_rests_is_seen_as_it_came_to_rest_and_what_does_not_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("growing");
        let mut watch = Watch::new();
        watch.set(vec![folder.path().to_owned()]);
        let mut writes = 0..3;
        let grow = || {
            if let Some(size) = writes.next() {
                fs::write(&file, vec![0; size]).unwrap();
            }
        };
        let rested = watch.rest_between(grow, Instant::now() + Duration::from_secs(3600)).unwrap();
        assert_eq!(writes.next(), None, "it waited for all writes");
        assert_eq!(rested, watch.picture());

        let mut size = 3;
        let for_ever = || {
            size += 1;
            fs::write(&file, vec![0; size]).unwrap();
        };
        let unrest = watch.rest_between(for_ever, Instant::now()).unwrap_err();
        assert!(unrest.0.contains(&file), "{unrest}");
    }
}
