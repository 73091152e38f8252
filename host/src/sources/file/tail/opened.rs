//! An open file before it is followed; looks at one that is; closing it and opening it again.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Extent, RECENT, Shared, Tail};
use crate::sources::file::identity::{FINGERPRINT_BYTES, Fingerprint, Identity, read_head};
use crate::sources::open;

/// How often it is asked later: a thousand quiet files then cost a thousandth of a processor.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What a look at a file showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// As before.
    Same,
    /// It has more bytes. One that is closed has to be opened before it takes notice of them.
    Grown,
    /// Its content is another: it was truncated, and perhaps has grown again.
    Truncated,
    /// Its path names another file by now.
    Elsewhere,
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
    /// Opens a regular file, without waiting for it, and reads its first bytes.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::of(open::regular(path)?)
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
        if metadata.ino() != self.identity.inode {
            // It is found by looking for files.
            return Ok(Look::Elsewhere);
        }
        if metadata.len() == self.size {
            return Ok(Look::Same);
        }
        if metadata.len() < self.size {
            return Ok(Look::Truncated);
        }
        self.unseen = self.file.is_none();
        if self.unseen {
            return Ok(Look::Grown);
        }
        if !self.same_start()? {
            return Ok(Look::Truncated);
        }
        self.size = metadata.len();
        self.grown = now;
        Ok(Look::Grown)
    }

    /// Opens it where it was found last.
    pub fn open_again(&mut self, now: Instant) -> io::Result<Look> {
        let opened = Opened::open(&self.path)?;
        if !opened.identity.same_inode(&self.identity) {
            return Ok(Look::Elsewhere);
        }
        self.file = Some(opened.file);
        (self.blocked, self.looked) = (false, None);
        self.look(now)
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// When it grew last.
    pub fn grown(&self) -> Instant {
        self.grown
    }

    /// Whether there is something to read for a lane of which `takes` says that it has room, or for
    /// nobody knows whom yet.
    pub fn has_more(&self, now: Instant, finish_after: Duration, takes: &dyn Fn(u64) -> bool) -> bool {
        let extent = self.extent(now, finish_after);
        let waits = |shared: &Shared| {
            shared.reader.may_step(extent, now) && shared.lanes.iter().any(|lane| takes(*lane))
        };
        !self.lost && (self.unseen || self.readers.iter().any(waits))
    }

    /// Closes it until there is more to read, if it is read to its end and can be found again.
    pub fn close(&mut self) -> bool {
        let extent = Extent { size: self.size, last: false };
        let now = Instant::now();
        let read = self.readers.iter().all(|shared| !shared.reader.may_step(extent, now));
        read && !self.lanes.values().any(|lane| lane.place.is_some()) && self.suspend()
    }

    /// Closes it if all that is left of it is for plugins without room, and if it can be found again.
    pub fn close_blocked(&mut self) -> bool {
        self.blocked && self.suspend()
    }

    /// Closes it, whatever there is to read, unless no path names it any more.
    pub fn suspend(&mut self) -> bool {
        if self.left {
            return false;
        }
        self.file = None;
        true
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
