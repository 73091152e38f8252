//! A file that takes up room, so that there is some to give back when the disk is full: sled needs a
//! little to be opened again after it has failed on one.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// In bytes. Opening a database after a full disk takes a few of sled's segments of 512 KiB, and a
/// snapshot of its page table.
pub(super) const BYTES: u64 = 16 << 20;

pub(super) struct Ballast {
    path: PathBuf,
}

impl Ballast {
    pub(super) fn new(dir: &Path) -> Self {
        Self { path: dir.join("ballast") }
    }

    /// Whether it is there with its full size.
    pub(super) fn is_whole(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|found| found.len() == BYTES)
    }

    /// Makes it if it is not there. It is not an error when there is no room for it: then there is no
    /// ballast.
    pub(super) fn fill(&self) -> io::Result<bool> {
        if self.is_whole() {
            return Ok(true);
        }
        match self.allocate() {
            Ok(()) => Ok(true),
            Err(error) => {
                self.release()?;
                match error.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Ok(false),
                    _ => Err(error),
                }
            }
        }
    }

    /// Gives its room back.
    pub(super) fn release(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn allocate(&self) -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&self.path)?;
        match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, BYTES) {
            // Some file systems cannot reserve room without writing to it.
            Err(rustix::io::Errno::OPNOTSUPP) => {
                io::copy(&mut io::Read::take(io::repeat(0), BYTES), &mut file)?;
            }
            other => other?,
        }
        file.sync_all()
    }
}
