//! The checkpoints that a plugin had committed when it began to read a source.
//!
//! Answers two questions: which stream is this file, and where does the plugin go on in it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::Path;

use super::checkpoint::{Checkpoint, Position};
use super::identity::Identity;
use crate::model::Digest;

/// One plugin's checkpoints of one source.
#[derive(Debug, Default)]
pub struct Book {
    /// The plugin.
    pub plugin: String,
    entries: Vec<(Digest, Checkpoint)>,
    by_inode: HashMap<u64, Vec<usize>>,
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
        self.by_inode.entry(checkpoint.identity.inode).or_default().push(self.entries.len());
        self.entries.push((stream, checkpoint));
    }

    /// All of them.
    pub fn entries(&self) -> &[(Digest, Checkpoint)] {
        &self.entries
    }

    /// What is known of a file by its identity; the newest checkpoint wins.
    pub fn identify(&self, identity: &Identity, head: &[u8], size: u64) -> Option<Known> {
        let found = self.by_inode.get(&identity.inode)?;
        let (stream, checkpoint) =
            found.iter().map(|index| &self.entries[*index]).max_by_key(|entry| entry.1.made)?;
        if checkpoint.identity.is(identity, head) && checkpoint.position.done <= size {
            return Some(Known::Same(*stream, checkpoint.first_seen, checkpoint.clone()));
        }
        checkpoint.identity.same_inode(identity).then(|| Known::Truncated(checkpoint.clone()))
    }

    /// The stream of which a file is a copy, as `copytruncate` of logrotate makes them: in the same
    /// folder, with a name that goes on where the original's ends, and with the same start.
    pub fn copied(&self, path: &Path, head: &[u8], size: u64) -> Option<Known> {
        let of = |entry: &&(Digest, Checkpoint)| {
            let checkpoint = &entry.1;
            is_copy_name(Path::new(&checkpoint.path), path)
                && checkpoint.identity.fingerprint.bytes > 0
                && checkpoint.identity.fingerprint.matches(head)
                && checkpoint.position.done <= size
        };
        let (stream, checkpoint) = self.entries.iter().filter(of).max_by_key(|entry| entry.1.made)?;
        Some(Known::Copy(*stream, checkpoint.first_seen, checkpoint.clone()))
    }

    /// Where the plugin goes on in a file of a stream.
    pub fn position(&self, stream: &Digest, identity: &Identity, head: &[u8], size: u64) -> Option<Position> {
        let found = self.entries.iter().filter(|(id, checkpoint)| {
            id == stream
                || (checkpoint.identity.epoch == identity.epoch && checkpoint.identity.is(identity, head))
        });
        let (_, checkpoint) = found.max_by_key(|entry| entry.1.made)?;
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
