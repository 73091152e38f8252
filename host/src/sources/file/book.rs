//! The checkpoints that a plugin had committed when it began to read a source.
//!
//! Answers two questions: which stream is this file, and where does the plugin go on in it. To them come
//! the places in files that were let go since: such a file may come back, when its folder can be listed
//! or is mounted again.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ffi::OsStr;
use std::path::Path;

use super::checkpoint::{Checkpoint, Position};
use super::identity::Identity;
use crate::model::Digest;

/// Files that were let go and whose places are remembered, for each plugin and source: some megabytes.
/// A file that comes back after so many others went counts as a new one.
const MAX_LET_GO: usize = 10_000;

/// One plugin's checkpoints of one source.
#[derive(Debug, Default)]
pub struct Book {
    /// The plugin.
    pub plugin: String,
    /// By stream: its newest.
    entries: BTreeMap<Digest, Checkpoint>,
    by_inode: HashMap<u64, BTreeSet<Digest>>,
    /// Streams whose entries are places in files that were let go, oldest first.
    let_go: VecDeque<Digest>,
    /// Unix time in nanoseconds at which the plugin first saw a file of this source.
    began: Option<u64>,
}

/// What the checkpoints say of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Known {
    /// It is the file of this stream, first seen at this time.
    Same(Digest, u64, Checkpoint),
    /// It is the same inode with another content: it was truncated in the meantime.
    Truncated(Checkpoint),
    /// It is a copy of this stream's file.
    Copy(Digest, u64, Checkpoint),
}

impl Book {
    /// Of what was loaded. Checkpoints that cannot be read are left out, and why is returned.
    pub fn new(plugin: &str, loaded: Vec<(Digest, Vec<u8>)>) -> (Self, Vec<String>) {
        let mut book = Self { plugin: plugin.to_owned(), ..Self::default() };
        let mut refused = Vec::new();
        for (stream, bytes) in loaded {
            match Checkpoint::decode(&bytes) {
                Ok(checkpoint) => book.insert(stream, checkpoint),
                Err(error) => refused.push(format!("stream {}: {error}", stream.short())),
            }
        }
        (book, refused)
    }

    /// Adds one that is newer than those before.
    pub fn insert(&mut self, stream: Digest, checkpoint: Checkpoint) {
        let first_seen = checkpoint.first_seen;
        self.began = Some(self.began.map_or(first_seen, |began| began.min(first_seen)));
        self.take_out(&stream);
        self.by_inode.entry(checkpoint.identity.inode).or_default().insert(stream);
        self.entries.insert(stream, checkpoint);
    }

    /// Adds where the plugin was in a file that is not followed yet.
    pub fn inherit(&mut self, stream: Digest, checkpoint: Checkpoint) {
        if self.entries.contains_key(&stream) {
            self.let_go.retain(|known| *known != stream);
        }
        self.insert(stream, checkpoint);
        self.let_go.push_back(stream);
    }

    /// Adds where the plugin was in a file that is followed no longer.
    pub fn let_go(&mut self, stream: Digest, checkpoint: Checkpoint) {
        self.inherit(stream, checkpoint);
        while self.let_go.len() > MAX_LET_GO {
            if let Some(oldest) = self.let_go.pop_front() {
                self.take_out(&oldest);
            }
        }
    }

    /// Where the plugin was in files that were let go: what it was handed of them may not be committed.
    pub fn places_let_go(&self) -> impl Iterator<Item = (Digest, Checkpoint)> {
        self.let_go.iter().filter_map(|stream| Some((*stream, self.entries.get(stream)?.clone())))
    }

    /// All of them.
    pub fn entries(&self) -> impl Iterator<Item = (&Digest, &Checkpoint)> {
        self.entries.iter()
    }

    /// What is known of a file by its identity; the newest checkpoint wins.
    pub fn identify(&self, identity: &Identity, head: &[u8], size: u64) -> Option<Known> {
        let found = self.by_inode.get(&identity.inode)?.iter();
        let found = found.filter_map(|stream| Some((stream, self.entries.get(stream)?)));
        let (stream, checkpoint) = found.max_by_key(newest)?;
        if checkpoint.identity.is(identity, head) && checkpoint.position.done <= size {
            return Some(Known::Same(*stream, checkpoint.first_seen, checkpoint.clone()));
        }
        checkpoint.identity.same_inode(identity).then(|| Known::Truncated(checkpoint.clone()))
    }

    /// The stream of which a file is a copy, as `copytruncate` of logrotate makes them: in the same
    /// folder, with a name that goes on where the original's ends, and with the same start.
    pub fn copied(&self, path: &Path, head: &[u8], size: u64) -> Option<Known> {
        let of = |(_, checkpoint): &(&Digest, &Checkpoint)| {
            is_copy_name(Path::new(&checkpoint.path), path)
                && checkpoint.identity.fingerprint.bytes > 0
                && checkpoint.identity.fingerprint.matches(head)
                && checkpoint.position.done <= size
        };
        let (stream, checkpoint) = self.entries.iter().filter(of).max_by_key(newest)?;
        Some(Known::Copy(*stream, checkpoint.first_seen, checkpoint.clone()))
    }

    /// Where the plugin goes on in a file of a stream.
    pub fn position(&self, stream: &Digest, identity: &Identity, head: &[u8], size: u64) -> Option<Position> {
        let found = self.entries.iter().filter(|(id, checkpoint)| {
            *id == stream
                || (checkpoint.identity.epoch == identity.epoch && checkpoint.identity.is(identity, head))
        });
        let (_, checkpoint) = found.max_by_key(newest)?;
        (checkpoint.position.done <= size).then(|| checkpoint.position.clone())
    }

    /// Whether a file is new since the plugin last read this source: it was made after the plugin's
    /// first file, or is the truncated one of a file that it has read. Without any checkpoint nothing
    /// is new.
    pub fn is_new(&self, identity: &Identity) -> bool {
        let truncated = identity.epoch > 0 && self.by_inode.contains_key(&identity.inode);
        let later = self.began.is_some_and(|began| identity.born.is_none_or(|born| born >= began));
        truncated || later
    }

    fn take_out(&mut self, stream: &Digest) {
        let Some(former) = self.entries.remove(stream) else { return };
        if let Some(streams) = self.by_inode.get_mut(&former.identity.inode) {
            streams.remove(stream);
            if streams.is_empty() {
                self.by_inode.remove(&former.identity.inode);
            }
        }
    }
}

/// By time; those of one inode made at the same time by how often it had been truncated.
fn newest(entry: &(&Digest, &Checkpoint)) -> (u64, u32) {
    (entry.1.made, entry.1.identity.epoch)
}

/// Whether `copy` is a name that rotation gives to a copy of `original`: `app.log.1`, `app.log-2024`.
pub fn is_copy_name(original: &Path, copy: &Path) -> bool {
    let name = |path: &Path| path.file_name().map(|name| OsStr::as_encoded_bytes(name).to_vec());
    match (name(original), name(copy)) {
        (Some(original_name), Some(copy_name)) => {
            original.parent() == copy.parent()
                && copy_name.len() > original_name.len()
                && copy_name.starts_with(&original_name)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::file::identity::Fingerprint;

    fn checkpoint(inode: u64, made: u64, done: u64) -> Checkpoint {
        let fingerprint = Fingerprint::of(b"head");
        let identity = Identity { device: 1, inode, born: None, fingerprint, epoch: 0 };
        Checkpoint { identity, path: format!("/{inode}"), first_seen: 5, made, position: Position::at(done) }
    }

    #[test]
    fn places_in_files_that_were_let_go_are_bounded_and_the_last_one_counts() {
        let mut book = Book::default();
        let stream = |number: usize| Digest::of(&number.to_le_bytes());
        for round in 0..2 {
            for number in 0..=MAX_LET_GO {
                book.let_go(stream(number), checkpoint(number as u64, 7, round));
            }
        }
        assert_eq!(book.entries().count(), MAX_LET_GO);
        assert_eq!(book.by_inode.len(), MAX_LET_GO);
        let place = |book: &Book, number: usize| {
            let identity = checkpoint(number as u64, 0, 0).identity;
            book.position(&stream(number), &identity, b"head", 100)
        };
        assert_eq!((place(&book, 0), place(&book, 1)), (None, Some(Position::at(1))));
        book.let_go(stream(1), checkpoint(1, 7, 9));
        assert_eq!((place(&book, 1), place(&book, 2)), (Some(Position::at(9)), Some(Position::at(1))));
        assert_eq!(book.places_let_go().count(), MAX_LET_GO);
    }
}
