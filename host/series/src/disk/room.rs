//! What the store leaves free on its disk. Takes no room itself, and deletes nothing.
//!
//! The journal of commits and the state lie on the same disk as a rule, and they matter more than recent samples:
//! without room for them nothing is acknowledged.

use std::cell::Cell;
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// After so many bytes the disk is looked at again: much less than the reserve, and much more than looking costs.
const LOOK_EVERY: u64 = 16 << 20;

/// The disk has less room than stays free on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "its disk has {free} bytes free, and {reserve} are left to the journal and the state; make room on it"
)]
pub(crate) struct Reserved {
    free: u64,
    reserve: u64,
}

/// See the module's description.
pub(super) struct Room {
    folder: PathBuf,
    reserve: RangeInclusive<u64>,
    /// Bytes written since the disk was looked at.
    unseen: Cell<u64>,
}

impl Room {
    /// On the disk of a folder.
    pub(super) fn new(folder: PathBuf, reserve: RangeInclusive<u64>) -> Self {
        Self { folder, reserve, unseen: Cell::new(0) }
    }

    /// Looks whether the disk has more room than stays free. Fails with [`Reserved`] inside when it has not.
    pub(super) fn look(&self) -> io::Result<()> {
        let disk = rustix::fs::statvfs(&self.folder)?;
        let reserve = reserve_of(disk.f_blocks.saturating_mul(disk.f_frsize), &self.reserve);
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < reserve {
            return Err(io::Error::new(io::ErrorKind::StorageFull, Reserved { free, reserve }));
        }
        self.unseen.set(0);
        Ok(())
    }

    /// So many bytes are written next. Looks at the disk now and then.
    pub(super) fn take(&self, bytes: usize) -> io::Result<()> {
        let unseen = self.unseen.get().saturating_add(bytes as u64);
        self.unseen.set(unseen);
        if unseen >= LOOK_EVERY { self.look() } else { Ok(()) }
    }
}

/// What stays free of a disk: a tenth of it, within bounds.
fn reserve_of(disk: u64, bounds: &RangeInclusive<u64>) -> u64 {
    (disk / 10).min(*bounds.end()).max(*bounds.start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_disk_stays_free_within_bounds() {
        for (disk, reserve) in [(0, 64), (1000, 100), (1 << 40, 256)] {
            assert_eq!(reserve_of(disk, &(64..=256)), reserve);
        }
    }

    #[test]
    fn the_disk_is_looked_at_again_after_many_bytes() {
        let folder = tempfile::tempdir().expect("the disk for temporary files takes a folder");
        let room = Room::new(folder.path().to_owned(), u64::MAX..=u64::MAX);
        assert!(room.take(LOOK_EVERY as usize - 1).is_ok());
        let full = room.take(1).expect_err("no disk has so much room");
        assert!(full.get_ref().is_some_and(|inner| inner.is::<Reserved>()), "{full}");
        assert!(room.look().is_err());
        assert!(Room::new(folder.path().to_owned(), 0..=0).look().is_ok());
    }
}
