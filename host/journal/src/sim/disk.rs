//! The two views of files and folders: as the running system sees them, and as they are on the disk.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use super::Rng;

/// The unit in which a disk writes, in bytes.
const SECTOR: u64 = 512;

#[derive(Debug, Default)]
pub(super) struct Disk {
    files: HashMap<u64, Content>,
    entries: BTreeMap<PathBuf, u64>,
    durable_entries: BTreeMap<PathBuf, u64>,
    /// Changes of entries that no sync of their folder has made durable.
    pending: Vec<EntryChange>,
    next_inode: u64,
}

#[derive(Debug, Clone)]
pub(super) enum EntryChange {
    Create(PathBuf, u64),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl EntryChange {
    fn folder(&self) -> Option<&Path> {
        let (Self::Create(path, _) | Self::Rename(path, _) | Self::Remove(path)) = self;
        path.parent()
    }

    fn apply(&self, entries: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Create(path, inode) => {
                entries.insert(path.clone(), *inode);
            }
            Self::Rename(from, to) => {
                if let Some(inode) = entries.remove(from) {
                    entries.insert(to.clone(), inode);
                }
            }
            Self::Remove(path) => {
                entries.remove(path);
            }
        }
    }
}

impl Disk {
    pub(super) fn find(&self, path: &Path) -> io::Result<u64> {
        self.entries.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn file(&mut self, inode: u64) -> io::Result<&mut Content> {
        self.files.get_mut(&inode).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn create(&mut self, path: &Path) -> u64 {
        let inode = self.next_inode;
        self.next_inode += 1;
        self.files.insert(inode, Content::default());
        self.change(EntryChange::Create(path.to_owned(), inode));
        inode
    }

    pub(super) fn change(&mut self, change: EntryChange) {
        change.apply(&mut self.entries);
        self.pending.push(change);
    }

    pub(super) fn list(&self, folder: &Path) -> Vec<String> {
        let inside = self.entries.keys().filter(|path| path.parent() == Some(folder));
        inside.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect()
    }

    pub(super) fn used(&self) -> u64 {
        self.entries
            .values()
            .filter_map(|inode| self.files.get(inode))
            .map(|file| file.seen.len() as u64)
            .sum()
    }

    pub(super) fn sync_folder(&mut self, folder: &Path) {
        let (synced, rest) =
            std::mem::take(&mut self.pending).into_iter().partition(|change| change.folder() == Some(folder));
        self.pending = rest;
        let synced: Vec<EntryChange> = synced;
        synced.iter().for_each(|change| change.apply(&mut self.durable_entries));
    }

    pub(super) fn power_cut(&mut self, rng: &mut Rng) {
        let pending = std::mem::take(&mut self.pending);
        for (change, survives) in pending.iter().zip(rng.survivors(pending.len())) {
            if survives {
                change.apply(&mut self.durable_entries);
            }
        }
        self.entries = self.durable_entries.clone();
        // In the order of the paths: a hash map's own order would differ from run to run.
        for inode in self.entries.values() {
            if let Some(file) = self.files.get_mut(inode) {
                file.power_cut(rng);
            }
        }
        let alive: std::collections::HashSet<u64> = self.entries.values().copied().collect();
        self.files.retain(|inode, _| alive.contains(inode));
    }
}

#[derive(Debug, Default)]
pub(super) struct Content {
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// What was done to `seen` and not to `durable`.
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    SetLength(u64),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::SetLength(length) => content.resize(*length as usize, 0),
            Self::Write { offset, bytes } => {
                let start = *offset as usize;
                if content.len() < start + bytes.len() {
                    content.resize(start + bytes.len(), 0);
                }
                content[start..start + bytes.len()].copy_from_slice(bytes);
            }
        }
    }

    /// The same change in pieces that each lie in one sector.
    fn sectors(&self) -> Vec<Self> {
        let Self::Write { offset, bytes } = self else {
            return vec![self.clone()];
        };
        let mut pieces = Vec::new();
        let mut rest = &bytes[..];
        let mut at = *offset;
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(rest.len().min((SECTOR - at % SECTOR) as usize));
            pieces.push(Self::Write { offset: at, bytes: piece.to_vec() });
            at += piece.len() as u64;
            rest = more;
        }
        pieces
    }
}

impl Content {
    pub(super) fn seen(&self) -> &[u8] {
        &self.seen
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        self.do_change(Change::Write { offset, bytes: bytes.to_vec() });
    }

    pub(super) fn set_length(&mut self, length: u64) {
        self.do_change(Change::SetLength(length));
    }

    fn do_change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// A failed sync: part of what was dirty is on the disk, and the rest is taken for clean.
    pub(super) fn sync_partly(&mut self, rng: &mut Rng) {
        self.persist_some(rng);
        self.pending.clear();
    }

    pub(super) fn power_cut(&mut self, rng: &mut Rng) {
        self.persist_some(rng);
        self.pending.clear();
        self.seen = self.durable.clone();
    }

    pub(super) fn tamper(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        self.sync();
        change(&mut self.durable);
        self.seen = self.durable.clone();
    }

    fn persist_some(&mut self, rng: &mut Rng) {
        let mut changes = self.pending.clone();
        if rng.one_in(2) {
            changes = changes.iter().flat_map(Change::sectors).collect();
        }
        let survivors = rng.survivors(changes.len());
        let grown = self.seen.len();
        for (change, survives) in changes.iter().zip(&survivors) {
            if *survives {
                change.apply(&mut self.durable);
            }
        }
        // The first that did not survive may have been under way.
        let broken = changes.iter().zip(&survivors).find(|(_, survives)| !**survives);
        if let Some((Change::Write { offset, bytes }, _)) = broken
            && rng.one_in(2)
        {
            let cut = rng.below(bytes.len() as u64 + 1) as usize;
            Change::Write { offset: *offset, bytes: bytes[..cut].to_vec() }.apply(&mut self.durable);
        }
        if rng.one_in(4) && self.durable.len() < grown {
            self.durable.resize(grown, 0);
        }
    }
}
