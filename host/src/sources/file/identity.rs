//! Which file is which, whatever it is called at the moment.
//!
//! A file is known by device, inode, birth time (where the file system keeps one) and a fingerprint
//! of its first KiB. The fingerprint of a short file grows with it; a longer one is compared by the
//! shorter one's length. An inode alone would not do: file systems give freed ones out again.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::model::Digest;

/// How much of a file its fingerprint covers. Log files that start alike for longer than this (a
/// banner without times) are still told apart by device and inode.
pub const FINGERPRINT_BYTES: usize = 1024;

/// The digest of a file's first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// How many bytes; less than [`FINGERPRINT_BYTES`] when the file was shorter.
    pub bytes: u16,
    /// Of those bytes.
    pub digest: Digest,
}

impl Fingerprint {
    /// Of a file's first bytes, as [`read_head`] gives them.
    pub fn of(head: &[u8]) -> Self {
        let head = &head[..head.len().min(FINGERPRINT_BYTES)];
        Self { bytes: head.len() as u16, digest: Digest::of(head) }
    }

    /// Whether a file that starts with `head` can be the one this was taken of. Nothing can be said
    /// of a file that was empty; then the answer is yes.
    pub fn matches(&self, head: &[u8]) -> bool {
        head.get(..usize::from(self.bytes)).is_some_and(|head| Digest::of(head) == self.digest)
    }
}

/// Reads a file's first bytes, at most [`FINGERPRINT_BYTES`].
pub fn read_head(file: &File) -> io::Result<Vec<u8>> {
    let mut head = vec![0; FINGERPRINT_BYTES];
    let mut length = 0;
    while length < head.len() {
        match file.read_at(&mut head[length..], length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    head.truncate(length);
    Ok(head)
}

/// What a file is recognised by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`.
    pub inode: u64,
    /// Unix time in nanoseconds at which the inode was made, where the file system keeps it.
    pub born: Option<u64>,
    /// Of the first KiB.
    pub fingerprint: Fingerprint,
    /// How often the file has been truncated under the agent's eyes. Offsets start again then, so
    /// it has to be another stream.
    pub epoch: u32,
}

impl Identity {
    /// Of an open file whose first bytes are `head`.
    pub fn new(metadata: &Metadata, head: &[u8]) -> Self {
        let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            born: born.map(|since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)),
            fingerprint: Fingerprint::of(head),
            epoch: 0,
        }
    }

    /// Whether an open file with this device, inode and birth time is the same inode.
    pub fn same_inode(&self, other: &Self) -> bool {
        self.device == other.device && self.inode == other.inode && born_alike(self.born, other.born)
    }

    /// Whether `other`, which starts with `head`, is this file with the same content. Device numbers
    /// may change when the machine starts again, so a full fingerprint stands in for one.
    pub fn is(&self, other: &Self, head: &[u8]) -> bool {
        let device = self.device == other.device || usize::from(self.fingerprint.bytes) == FINGERPRINT_BYTES;
        device
            && self.inode == other.inode
            && born_alike(self.born, other.born)
            && self.fingerprint.matches(head)
    }

    /// The name under which event ids and checkpoints of this file are kept. It is made when the
    /// file is first seen (Unix time in nanoseconds; it stands in for a birth time that is not known)
    /// and then carried with the checkpoints, since the fingerprint may grow.
    pub fn stream(&self, source: &str, first_seen: u64) -> Digest {
        Digest::of_parts([
            source.as_bytes(),
            &self.device.to_le_bytes(),
            &self.inode.to_le_bytes(),
            &self.born.unwrap_or(first_seen).to_le_bytes(),
            &self.fingerprint.digest.0,
            &self.epoch.to_le_bytes(),
        ])
    }
}

fn born_alike(one: Option<u64>, other: Option<u64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_fingerprint_holds_while_the_file_grows() {
        let mut file = tempfile::tempfile().unwrap();
        let mut prints = Vec::new();
        for _ in 0..4 {
            file.write_all(&[b'x'; 400]).unwrap();
            let head = read_head(&file).unwrap();
            assert!(prints.iter().all(|print: &Fingerprint| print.matches(&head)));
            prints.push(Fingerprint::of(&head));
        }
        assert_eq!(prints[3].bytes, 1024);
        assert!(!prints[0].matches(&[b'x'; 399]));
        assert!(!prints[0].matches(&[b'y'; 400]));
    }
}
