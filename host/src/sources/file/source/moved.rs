//! Going on with content that moved: files that were renamed or copied away while nobody looked, and what
//! was not read of a file before it was truncated.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::FileSource;
use crate::model::Digest;
use crate::sources::file::book::is_copy_name;
use crate::sources::file::reader::Clock;
use crate::sources::file::tail::Opened;
use crate::sources::metrics::Drop;

/// Checkpoints of files that have not been there for this long are forgotten. Longer than a file
/// system stays unmounted for maintenance.
const KEEP_CHECKPOINTS: Duration = Duration::from_secs(7 * 24 * 3600);

impl FileSource {
    /// Looks for files of a plugin's checkpoints that were renamed or copied away while nobody looked,
    /// beside their former places.
    pub(super) fn find_moved(&mut self, lane: u64, clock: Clock) {
        let Some(book) = self.books.get(&lane) else { return };
        let missing: Vec<_> = book
            .entries()
            .filter(|(stream, _)| !self.follows(stream))
            .map(|(a, b)| (*a, b.clone()))
            .collect();
        let plugin = book.plugin.clone();
        let mut folders: HashMap<PathBuf, Vec<(PathBuf, Metadata)>> = HashMap::new();
        for (stream, checkpoint) in missing {
            let path = PathBuf::from(&checkpoint.path);
            let Some(folder) = path.parent() else { continue };
            let files = folders.entry(folder.to_owned()).or_insert_with(|| regular_files(folder));
            let renamed = files.iter().find(|(_, metadata)| metadata.ino() == checkpoint.identity.inode);
            let candidates = renamed
                .into_iter()
                .chain(files.iter().filter(|(candidate, _)| is_copy_name(&path, candidate)));
            let mut opened = candidates.filter_map(|(candidate, _)| {
                let opened = Opened::open(candidate).ok()?;
                let fits = checkpoint.identity.fingerprint.bytes > 0
                    && checkpoint.identity.fingerprint.matches(&opened.head)
                    && checkpoint.position.done <= opened.size;
                fits.then(|| (candidate.clone(), opened))
            });
            let followed =
                |opened: &Opened| self.tails.values().any(|tail| tail.identity.same_inode(&opened.identity));
            match opened.find(|(_, opened)| !followed(opened)) {
                Some((candidate, mut opened)) => {
                    opened.identity.epoch = checkpoint.identity.epoch;
                    let known = (stream, checkpoint.first_seen, checkpoint.path);
                    let number = self.add_left(opened, candidate, known, clock);
                    self.metrics.rotation("renamed");
                    tracing::info!(source = self.name, stream = number, "A renamed file is read to its end.");
                }
                None if clock.nanos.saturating_sub(checkpoint.made) > KEEP_CHECKPOINTS.as_nanos() as u64 => {
                    self.checkpoints.forget(&plugin, &self.name, &stream);
                }
                None => {}
            }
        }
    }

    fn add_left(&mut self, opened: Opened, path: PathBuf, known: (Digest, u64, String), clock: Clock) -> u64 {
        let number = self.enter(opened, path, Some(known), clock);
        // Before plugins get it: no pattern names it, so it is for those only that have a place in it.
        if let Some(tail) = self.tails.get_mut(&number) {
            tail.leave();
        }
        self.attach_all(number);
        number
    }

    /// A file was truncated: the rest of the former content is read from a copy, if there is one, and
    /// the file becomes another stream, read from its beginning.
    pub(super) fn restart(&mut self, id: u64, clock: Clock) {
        let Some(tail) = self.tails.get(&id) else { return };
        let (path, former) = (tail.path.clone(), tail.identity.clone());
        let had_left = tail.has_left();
        let has_room = self.make_room();
        let Some(tail) = self.tails.get(&id) else { return };
        let Ok(mut opened) = tail.reopen() else { return };
        let copy = self.find_copy(id);
        self.metrics.rotation("truncated");
        if let Some(tail) = self.tails.get_mut(&id) {
            match copy {
                Some(copy) => tail.go_on_in(copy),
                None => tail.lose(&self.metrics, Drop::Truncated),
            }
        }
        opened.identity.epoch = former.epoch + 1;
        let number = self.add(opened, path, None, clock);
        let Some(tail) = self.tails.get_mut(&number) else { return };
        if had_left {
            tail.leave();
        } else if !has_room {
            tail.suspend();
        }
    }

    /// A copy of a followed file, made before it was truncated.
    fn find_copy(&mut self, id: u64) -> Option<Opened> {
        let tail = self.tails.get(&id)?;
        let mut candidates: Vec<(PathBuf, Metadata)> = regular_files(tail.path.parent()?);
        candidates.retain(|(path, metadata)| {
            is_copy_name(&tail.path, path) && metadata.ino() != tail.identity.inode
        });
        candidates.sort_by_key(|(_, metadata)| std::cmp::Reverse((metadata.mtime(), metadata.mtime_nsec())));
        let (copy, inode) = candidates.into_iter().find_map(|(path, metadata)| {
            let opened = Opened::open(&path).ok()?;
            let fits = tail.identity.fingerprint.bytes > 0
                && tail.identity.fingerprint.matches(&opened.head)
                && opened.size >= tail.size();
            fits.then_some((opened, (metadata.dev(), metadata.ino())))
        })?;
        self.copies.remove(&inode);
        Some(copy)
    }
}

pub(super) fn regular_files(folder: &Path) -> Vec<(PathBuf, Metadata)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let files = entries.flatten().filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)));
    files.filter(|(_, metadata)| metadata.is_file()).collect()
}
