//! A file system in memory that forgets like a disk: for tests of everything that must survive
//! `kill -9`, power cuts, full disks and failing ones.
//!
//! It has two views of each file and folder: what the running system sees, and what is on the
//! disk. A sync takes the second to the first. [`SimFs::power_cut`] goes the other way, and what
//! was not synced is then kept, dropped, cut or kept in part and out of order, as the seed decides:
//!
//! - writes and length changes of a file: none, all, the first few with the last of them cut at
//!   any byte, any of them, or any of their sectors of 512 bytes; a length may have grown without
//!   its data, which then reads as zeros;
//! - entries of a folder (made, renamed, removed files): none, all, the first few, or any of them.
//!
//! A sync that fails has written any part of what was dirty, and forgets that the rest is: as on
//! Linux, the next sync succeeds without it (<https://lwn.net/Articles/752063/>).
//!
//! `kill -9` needs no operation: drop what is open and open it again. Everything is deterministic
//! by the seed. It does not model folders as files of their own, permissions, or time.

mod disk;
mod rng;
mod shown;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{File, FileSystem};
use disk::{Disk, EntryChange};
pub use rng::Rng;
pub use shown::shown;

/// What can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `create`: no file is made.
    Create,
    /// `open`.
    Open,
    /// `read_at`.
    Read,
    /// `write_at`: any part of the bytes may have been written.
    Write,
    /// `set_length`: nothing changed.
    SetLength,
    /// `sync`: see the module's documentation.
    Sync,
    /// `sync_folder`: nothing was synced.
    SyncFolder,
    /// `rename` or `remove`: nothing changed.
    Entry,
}

/// The simulated file system. Clones are the same one.
#[derive(Clone)]
pub struct SimFs {
    state: Arc<Mutex<State>>,
}

struct State {
    disk: Disk,
    rng: Rng,
    locks: HashSet<PathBuf>,
    /// Rises with every power cut; handles of an older one are dead.
    epoch: u64,
    /// Failures to come, in order, for the operation that they name.
    planned: Vec<(Operation, io::ErrorKind)>,
    /// How many of 1000 changing operations fail by chance.
    faults: u32,
    capacity: Option<u64>,
}

impl SimFs {
    /// An empty file system of unbounded size.
    pub fn new(seed: u64) -> Self {
        let state = State {
            disk: Disk::default(),
            rng: Rng::new(seed),
            locks: HashSet::new(),
            epoch: 0,
            planned: Vec::new(),
            faults: 0,
            capacity: None,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Takes the power away and back: only what is on the disk is left. All open files are dead.
    pub fn power_cut(&self) {
        let mut state = self.state();
        let State { disk, rng, locks, epoch, .. } = &mut *state;
        disk.power_cut(rng);
        locks.clear();
        *epoch += 1;
    }

    /// Makes the next operation of a kind fail. Can be called several times for several failures.
    pub fn fail_next(&self, operation: Operation, kind: io::ErrorKind) {
        self.state().planned.push((operation, kind));
    }

    /// Lets this many of 1000 operations that change something fail with an I/O error.
    pub fn set_faults(&self, per_mille: u32) {
        self.state().faults = per_mille;
    }

    /// Bounds the sum of all files' lengths; a write that would exceed it writes what fits and
    /// fails with `StorageFull`.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// The sum of all files' lengths.
    pub fn used(&self) -> u64 {
        self.state().disk.used()
    }

    /// A file's content as the running system sees it.
    pub fn content(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut state = self.state();
        let inode = state.disk.find(path)?;
        Ok(state.disk.file(inode)?.seen().to_vec())
    }

    /// Changes a file's content on the disk and in the running system at once, as bit rot does, or
    /// a person with an editor.
    pub fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut state = self.state();
        let inode = state.disk.find(path)?;
        state.disk.file(inode)?.tamper(change);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check(&mut self, operation: Operation) -> io::Result<()> {
        if let Some(at) = self.planned.iter().position(|(planned, _)| *planned == operation) {
            return Err(self.planned.remove(at).1.into());
        }
        let changes = !matches!(operation, Operation::Open | Operation::Read);
        if changes && self.faults > 0 && self.rng.below(1000) < u64::from(self.faults) {
            return Err(io::Error::other("injected fault"));
        }
        Ok(())
    }
}

impl FileSystem for SimFs {
    fn create_folder(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        Ok(self.state().disk.list(folder))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut state = self.state();
        state.check(Operation::Create)?;
        let inode = match state.disk.find(path) {
            Ok(inode) => {
                state.disk.file(inode)?.set_length(0);
                inode
            }
            Err(_) => state.disk.create(path),
        };
        Ok(self.handle(&state, inode))
    }

    fn open(&self, path: &Path, _write: bool) -> io::Result<Box<dyn File>> {
        let mut state = self.state();
        state.check(Operation::Open)?;
        let inode = state.disk.find(path)?;
        Ok(self.handle(&state, inode))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.check(Operation::Entry)?;
        state.disk.find(from)?;
        state.disk.change(EntryChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.check(Operation::Entry)?;
        state.disk.find(path)?;
        state.disk.change(EntryChange::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.check(Operation::SyncFolder)?;
        state.disk.sync_folder(folder);
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let mut state = self.state();
        if !state.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Lock { fs: self.clone(), path: path.to_owned(), epoch: state.epoch }))
    }
}

struct Lock {
    fs: SimFs,
    path: PathBuf,
    epoch: u64,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut state = self.fs.state();
        if state.epoch == self.epoch {
            state.locks.remove(&self.path);
        }
    }
}

struct Handle {
    fs: SimFs,
    inode: u64,
    epoch: u64,
}

impl SimFs {
    fn handle(&self, state: &State, inode: u64) -> Box<dyn File> {
        Box::new(Handle { fs: self.clone(), inode, epoch: state.epoch })
    }
}

impl Handle {
    fn state(&self, operation: Operation) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.alive()?;
        state.check(operation)?;
        Ok(state)
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.fs.state();
        match state.epoch == self.epoch {
            true => Ok(state),
            false => Err(io::Error::other("the file was opened before the power cut")),
        }
    }
}

impl File for Handle {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.state(Operation::Read)?;
        let content = state.disk.file(self.inode)?.seen();
        let rest = content.get(offset as usize..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.alive()?;
        let failed = state.check(Operation::Write);
        let room = match state.capacity {
            Some(capacity) => {
                let overwritten = state.disk.file(self.inode)?.seen().len() as u64;
                let free = capacity.saturating_sub(state.disk.used());
                (overwritten + free).saturating_sub(offset).min(bytes.len() as u64)
            }
            None => bytes.len() as u64,
        };
        let written = match failed {
            Ok(()) => room,
            Err(_) => state.rng.below(room + 1),
        };
        state.disk.file(self.inode)?.write(&bytes[..written as usize], offset);
        failed?;
        match written < bytes.len() as u64 {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }

    fn length(&self) -> io::Result<u64> {
        let mut state = self.alive()?;
        Ok(state.disk.file(self.inode)?.seen().len() as u64)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let mut state = self.state(Operation::SetLength)?;
        state.disk.file(self.inode)?.set_length(length);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.alive()?;
        let failed = state.check(Operation::Sync);
        let State { disk, rng, .. } = &mut *state;
        match &failed {
            Ok(()) => disk.file(self.inode)?.sync(),
            Err(_) => disk.file(self.inode)?.sync_partly(rng),
        }
        failed
    }
}
