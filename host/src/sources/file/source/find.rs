//! Finding the files of a source: new ones, renamed ones, copies, and those that are gone.
//!
//! What was read of a file before it was found again elsewhere is in [`super::moved`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::FileSource;
use super::moved::regular_files;
use crate::model::{Digest, Stream};
use crate::sources::file::book::{Book, Known, is_copy_name};
use crate::sources::file::identity::{FINGERPRINT_BYTES, Identity};
use crate::sources::file::labels;
use crate::sources::file::reader::Clock;
use crate::sources::file::tail::{Opened, Tail};
use crate::sources::glob::{Links, Visit};

/// Hints are followed at most this often, so that a folder in which much happens costs little.
const MIN_BETWEEN_LOOKS: Duration = Duration::from_millis(100);

impl FileSource {
    pub(super) fn is_time_to_look(&mut self, now: Instant) -> bool {
        let since = self.looked.map(|looked| now.saturating_duration_since(looked));
        let Some(since) = since else { return true };
        if since < MIN_BETWEEN_LOOKS {
            return false;
        }
        since >= self.config.discover || self.folders.as_mut().is_some_and(|folders| folders.changes().any())
    }

    /// Looks for files: new ones, renamed ones and those that are gone.
    pub(super) fn find_files(&mut self, clock: Clock) {
        self.looked = Some(clock.instant);
        let mut found = Found::default();
        self.config.globs.walk(Links::Follow, &mut found);
        if let Some(folders) = &mut self.folders {
            folders.set(&found.folders);
        }
        self.logged = std::mem::take(&mut self.problems);
        for (path, error) in &found.problems {
            self.refuse("list", path, error);
        }
        let known: HashMap<(u64, u64), u64> =
            self.tails.iter().map(|(id, tail)| ((tail.identity.device, tail.identity.inode), *id)).collect();
        self.copies.retain(|inode, path| found.files.contains_key(inode) || found.may_hold(path));
        for (inode, id) in &known {
            let Some(tail) = self.tails.get_mut(id) else { continue };
            match found.files.get(inode) {
                Some(seen) if seen.paths.contains(&tail.path) => {
                    let path = tail.path.clone();
                    tail.found_at(&path);
                }
                Some(seen) => tail.found_at(&seen.paths[0]),
                None if !tail.has_left() && !found.may_hold(&tail.path) => {
                    let kind = if tail.path.exists() { "renamed" } else { "deleted" };
                    self.metrics.rotation(kind);
                    leave(tail);
                }
                None => {}
            }
        }
        found.files.retain(|inode, _| !known.contains_key(inode) && !self.copies.contains_key(inode));
        let mut new: Vec<((u64, u64), Seen)> = found.files.into_iter().collect();
        new.sort_by(|a, b| (a.1.modified, &a.1.paths).cmp(&(b.1.modified, &b.1.paths)));
        self.open_found(new, clock);
    }

    /// Opens new files: first those with checkpoints, so that copies of them are known as such. The others
    /// are closed in between, since all files of a new node are among them.
    fn open_found(&mut self, new: Vec<((u64, u64), Seen)>, clock: Clock) {
        let mut unknown = Vec::new();
        for (inode, seen) in new {
            let path = seen.paths[0].clone();
            let has_room = self.make_room();
            let Some(opened) = self.open(inode, &path) else { continue };
            match self.identify(&opened) {
                Some(Known::Same(stream, first_seen, checkpoint)) => {
                    let identity = Identity { epoch: checkpoint.identity.epoch, ..opened.identity.clone() };
                    let known = Some((stream, first_seen, checkpoint.path));
                    self.follow(Opened { identity, ..opened }, path, known, has_room, clock);
                }
                known => unknown.push((inode, path, known)),
            }
        }
        for (inode, path, known) in unknown {
            let has_room = self.make_room();
            let Some(mut opened) = self.open(inode, &path) else { continue };
            if self.is_copy_of_followed(&path, &opened) {
                // A short start may be the same by chance and differ later: it is looked at again.
                if usize::from(opened.identity.fingerprint.bytes) == FINGERPRINT_BYTES {
                    self.copies.insert(inode, path);
                }
            } else if let Some(Known::Copy(stream, first_seen, checkpoint)) = self.copied(&path, &opened) {
                opened.identity.epoch = checkpoint.identity.epoch;
                self.follow(opened, path, Some((stream, first_seen, checkpoint.path)), has_room, clock);
            } else if let Some(Known::Truncated(checkpoint)) = known {
                self.metrics.rotation("truncated");
                opened.identity.epoch = checkpoint.identity.epoch + 1;
                self.follow(opened, path, None, has_room, clock);
            } else {
                self.follow(opened, path, None, has_room, clock);
            }
        }
    }

    /// Opens a file that was found, if its path still names it; else the next look finds what it is.
    fn open(&mut self, inode: (u64, u64), path: &Path) -> Option<Opened> {
        match Opened::open(path) {
            Ok(opened) => ((opened.identity.device, opened.identity.inode) == inode).then_some(opened),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    self.refuse("open", path, &error);
                }
                None
            }
        }
    }

    /// Follows a file that was found. Without room it is closed again until it is its turn.
    fn follow(
        &mut self,
        opened: Opened,
        path: PathBuf,
        known: Option<(Digest, u64, String)>,
        has_room: bool,
        clock: Clock,
    ) {
        let number = self.add(opened, path, known, clock);
        if !has_room && let Some(tail) = self.tails.get_mut(&number) {
            tail.suspend();
        }
    }

    fn identify(&self, opened: &Opened) -> Option<Known> {
        let known = |book: &Book| book.identify(&opened.identity, &opened.head, opened.size);
        let mut truncated = None;
        for known in self.books.values().filter_map(known) {
            match known {
                Known::Truncated(checkpoint) => truncated = Some(Known::Truncated(checkpoint)),
                same => return Some(same),
            }
        }
        truncated
    }

    /// The stream of which a file is a copy, unless that stream is followed.
    fn copied(&self, path: &Path, opened: &Opened) -> Option<Known> {
        let copied = |book: &Book| book.copied(path, &opened.head, opened.size);
        self.books.values().filter_map(copied).find(|known| match known {
            Known::Copy(stream, ..) => !self.follows(stream),
            _ => false,
        })
    }

    pub(super) fn follows(&self, stream: &Digest) -> bool {
        self.tails.values().any(|tail| tail.stream.id == *stream)
    }

    /// Whether a file is a copy of one that is followed: same folder, longer name, same start.
    fn is_copy_of_followed(&self, path: &Path, opened: &Opened) -> bool {
        self.tails.values().any(|tail| {
            let fingerprint = tail.identity.fingerprint;
            is_copy_name(&tail.path, path) && fingerprint.bytes > 0 && fingerprint.matches(&opened.head)
        })
    }

    /// Follows a file, as a stream that is known or as a new one, for all plugins.
    pub(super) fn add(
        &mut self,
        opened: Opened,
        path: PathBuf,
        known: Option<(Digest, u64, String)>,
        clock: Clock,
    ) -> u64 {
        let number = self.enter(opened, path, known, clock);
        self.attach_all(number);
        number
    }

    /// Follows a file for no plugin yet.
    pub(super) fn enter(
        &mut self,
        opened: Opened,
        path: PathBuf,
        known: Option<(Digest, u64, String)>,
        clock: Clock,
    ) -> u64 {
        let (id, first_seen, name) = known.unwrap_or_else(|| {
            let name = path.to_string_lossy().into_owned();
            (opened.identity.stream(&self.name, clock.nanos), clock.nanos, name)
        });
        let mut labels: BTreeMap<String, String> = self.config.labels.clone();
        labels.extend(labels::from_path(Path::new(&name)));
        let stream = Stream { source: self.name.clone(), name, labels: labels.into_iter().collect(), id };
        let tail = Tail::new(opened, Arc::new(stream), path, first_seen, self.config.format.clone());
        let number = self.next_tail;
        self.next_tail += 1;
        self.tails.insert(number, tail);
        number
    }

    pub(super) fn attach_all(&mut self, number: u64) {
        let lanes: Vec<u64> = self.books.keys().copied().collect();
        lanes.into_iter().for_each(|lane| self.attach(number, lane, !self.started));
    }
}

/// No pattern finds a file any more. If it is closed, it is looked for under another name beside its
/// former one, to be read to its end.
fn leave(tail: &mut Tail) {
    if !tail.is_open() {
        let folder = tail.path.parent().map(regular_files).unwrap_or_default();
        let same = |metadata: &Metadata| (metadata.dev(), metadata.ino());
        let inode = (tail.identity.device, tail.identity.inode);
        if let Some((path, _)) = folder.into_iter().find(|(_, metadata)| same(metadata) == inode) {
            tail.path = path;
        }
    }
    tail.leave();
}

/// What looking for files came across.
#[derive(Default)]
struct Found {
    files: HashMap<(u64, u64), Seen>,
    folders: BTreeSet<PathBuf>,
    problems: Vec<(PathBuf, io::Error)>,
}

impl Found {
    /// Whether a file may still be there although it was not found: it, or a folder above it, could not
    /// be looked at.
    fn may_hold(&self, path: &Path) -> bool {
        // Below what is no folder nothing can be.
        let hides = |error: &io::Error| error.kind() != io::ErrorKind::NotADirectory;
        self.problems.iter().any(|(problem, error)| path.starts_with(problem) && hides(error))
    }
}

/// A file under all the paths that name it.
struct Seen {
    paths: Vec<PathBuf>,
    modified: (i64, i64),
}

impl Visit for Found {
    fn file(&mut self, path: PathBuf, metadata: Metadata) {
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        let seen = self.files.entry((metadata.dev(), metadata.ino()));
        seen.or_insert_with(|| Seen { paths: Vec::new(), modified }).paths.push(path);
    }

    fn folder(&mut self, path: &Path) {
        self.folders.insert(path.to_owned());
    }

    fn problem(&mut self, path: &Path, error: io::Error) {
        self.problems.push((path.to_owned(), error));
    }
}
