//! An open file before it is followed, and looks at one that is.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use super::{RECENT, Tail};
use crate::sources::file::identity::{FINGERPRINT_BYTES, Fingerprint, Identity, read_head};

/// How often it is asked later: a thousand quiet files then cost a thousandth of a processor.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What a look at a file showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// As before.
    Same,
    /// It has more bytes.
    Grown,
    /// Its content is another: it was truncated, and perhaps has grown again.
    Truncated,
}

/// An open file of which a [`Tail`] can be made.
pub struct Opened {
    /// Open for reading.
    pub file: File,
    /// Its first bytes.
    pub head: Vec<u8>,
    /// What it is recognised by.
    pub identity: Identity,
    /// Its size.
    pub size: u64,
}

impl Opened {
    /// Opens a file and reads its first bytes.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::of(File::open(path)?)
    }

    /// Of a file that is open.
    pub fn of(file: File) -> io::Result<Self> {
        let head = read_head(&file)?;
        let metadata = file.metadata()?;
        Ok(Self { identity: Identity::new(&metadata, &head), size: metadata.len(), file, head })
    }

    /// Where the last line starts that is not complete, or the end: `bound` bytes back at most.
    pub fn last_line(&self, bound: usize) -> u64 {
        last_line(&self.file, self.size, bound)
    }
}

pub(super) fn last_line(file: &File, size: u64, bound: usize) -> u64 {
    let from = size.saturating_sub(bound as u64);
    let mut bytes = vec![0; (size - from) as usize];
    match file.read_exact_at(&mut bytes, from) {
        Ok(()) => match memchr::memrchr(b'\n', &bytes) {
            Some(end) => from + end as u64 + 1,
            None if from == 0 => 0,
            None => size,
        },
        // It shrank meanwhile; the next look shows it.
        Err(_) => size,
    }
}

impl Tail {
    /// Asks the file system what became of the file.
    pub fn look(&mut self, now: Instant) -> io::Result<Look> {
        let soon = self.looked.is_some_and(|looked| now.saturating_duration_since(looked) < LOOK_EVERY);
        if self.lost || (soon && now.saturating_duration_since(self.grown) >= RECENT) {
            return Ok(Look::Same);
        }
        self.looked = Some(now);
        let metadata = match &self.file {
            Some(file) => file.metadata()?,
            None => fs::metadata(&self.path)?,
        };
        if metadata.ino() != self.identity.inode || metadata.len() == self.size {
            // Another file of this name is found by looking for files.
            return Ok(Look::Same);
        }
        if metadata.len() < self.size {
            return Ok(Look::Truncated);
        }
        if self.file.is_none() {
            let opened = Opened::open(&self.path)?;
            if opened.identity.inode != self.identity.inode {
                return Ok(Look::Same);
            }
            self.file = Some(opened.file);
        }
        if !self.same_start()? {
            return Ok(Look::Truncated);
        }
        self.size = metadata.len();
        self.grown = now;
        Ok(Look::Grown)
    }

    /// Whether the file still starts as it did. Takes over a head that has grown.
    fn same_start(&mut self) -> io::Result<bool> {
        let Some(file) = &self.file else { return Ok(true) };
        let head = read_head(file)?;
        if !head.starts_with(&self.head) {
            return Ok(false);
        }
        if self.head.len() < FINGERPRINT_BYTES && head.len() > self.head.len() {
            self.identity.fingerprint = Fingerprint::of(&head);
            self.head = head;
        }
        Ok(true)
    }
}
