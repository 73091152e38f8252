//! How much room the disk of the state has, and how much the state needs there. Takes none itself.

use std::io;
use std::path::Path;

use super::ballast::{self, Ballast};

/// How much room there must be for a commit to begin, in bytes: what sled may write for a group of
/// commits before the next look.
const COMMIT_BYTES: u64 = 8 << 20;

/// What a disk must have left for an agent that has nothing on it yet, in MiB, for messages.
pub(super) const NEEDED_MIB: u64 = (COMMIT_BYTES + ballast::BYTES) >> 20;

/// Room on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// What is free for the agent's user, in bytes.
    pub free: u64,
    /// Below this nothing is committed, in bytes.
    pub needed: u64,
}

impl Room {
    /// Looks at the disk of a state's folder. Where the folder is still to be made, at the disk that it
    /// would be made on.
    pub fn of(dir: &Path) -> io::Result<Self> {
        let there = dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        let found = rustix::fs::statvfs(there)?;
        let ballast = if Ballast::new(dir).is_whole() { 0 } else { ballast::BYTES };
        Ok(Self { free: found.f_bavail.saturating_mul(found.f_frsize), needed: COMMIT_BYTES + ballast })
    }

    /// Whether commits can begin.
    pub fn is_enough(&self) -> bool {
        self.free >= self.needed
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_folder_that_is_still_to_be_made_has_the_room_of_the_one_it_is_made_in() {
        let folder = tempfile::tempdir().unwrap();
        let room = Room::of(&folder.path().join("data/state")).unwrap();
        assert_eq!(room.needed, NEEDED_MIB << 20);
        assert!(room.free > 0);
    }

    #[test]
    fn a_whole_ballast_is_not_needed_again() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Ballast::new(folder.path()).fill().unwrap(), "the disk for temporary files is full");
        assert_eq!(Room::of(folder.path()).unwrap().needed, COMMIT_BYTES);
    }
}
