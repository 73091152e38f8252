//! Opens a file for scanning, safely, and finds out what has to be known of it.
//!
//! The files may be anybody's, and their owners may change them meanwhile. So nothing but regular
//! files is opened, no symbolic link below the configured folder is followed (not even one that
//! takes a folder's place between listing and opening), and a file that changes while it is read
//! is looked at again later.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::media::{HEADER_BYTES, media_type};
use crate::model::Digest;
use crate::pipeline::container::Spooled;
pub use crate::pipeline::work::StatKey;
use crate::pipeline::work::{ScanInfo, ScanTarget};

/// Bytes read at once for the digest.
const CHUNK_BYTES: usize = 256 << 10;

/// Why a file is not scanned.
#[derive(Debug, thiserror::Error)]
pub enum Unscannable {
    /// It is larger than the bound.
    #[error("it has {size} bytes, more than the bound of {bound} (`max_file_bytes`)")]
    TooLarge {
        /// In bytes.
        size: u64,
        /// In bytes.
        bound: u64,
    },
    /// It is a device, a pipe, a socket, a folder or a symbolic link.
    #[error("it is no regular file")]
    NotRegular,
    /// It changed while it was read.
    #[error("it changed while it was read")]
    Changed,
    /// The system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// What a verdict holds for: the content, and what else of a file a scanner may judge.
pub fn scan_key(path: &Path, metadata: &Metadata, sha256: &Digest) -> Digest {
    Digest::of_parts([
        path.as_os_str().as_encoded_bytes(),
        &sha256.0,
        &metadata.mode().to_le_bytes(),
        &metadata.uid().to_le_bytes(),
        &metadata.gid().to_le_bytes(),
    ])
}

/// An open regular file and its metadata.
#[derive(Debug)]
pub struct Opened {
    /// Where it was found.
    pub path: PathBuf,
    /// Open for reading.
    pub file: File,
    /// Of the open file.
    pub metadata: Metadata,
}

/// Opens a regular file. Symbolic links are followed in `base`, the part of the path that the
/// operator wrote, and not below it.
pub fn open(base: &Path, path: &Path, max_bytes: u64) -> Result<Opened, Unscannable> {
    // Opening a device can already do something, so it is looked at first. The check that counts is
    // that of the open file.
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(Unscannable::NotRegular);
    }
    let file = match open_below(base, path) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP | Errno::XDEV | Errno::NXIO) => return Err(Unscannable::NotRegular),
        Err(error) => return Err(Unscannable::Io(error.into())),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Unscannable::NotRegular);
    }
    if metadata.len() > max_bytes {
        return Err(Unscannable::TooLarge { size: metadata.len(), bound: max_bytes });
    }
    Ok(Opened { path: path.to_owned(), file, metadata })
}

/// Opens a member that an unpacker took out of a container, and finds out what has to be known of it; its
/// content is not read if its digest is `known`. It has the size, times, mode and owner of the spooled file;
/// a container's own word on these is nobody's.
pub fn member(
    path: PathBuf,
    spooled: Arc<Spooled>,
    known: Option<Digest>,
    source: &str,
    alive: &mut dyn FnMut() -> bool,
) -> Result<ScanTarget, Unscannable> {
    let file = spooled.file.open()?;
    let metadata = file.metadata()?;
    let target = Opened { path, file, metadata }.examine(source, known, alive)?;
    Ok(ScanTarget { spooled: Some(spooled), ..target })
}

fn open_below(base: &Path, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
    let Some(rest) = path.strip_prefix(base).ok().filter(|rest| !rest.as_os_str().is_empty()) else {
        return openat(CWD, path, flags, Mode::empty());
    };
    let folder = openat(CWD, base, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::BENEATH;
    match openat2(&folder, rest, flags, Mode::empty(), resolve) {
        // Kernels before 5.6, and filters of system calls that do not know it.
        Err(Errno::NOSYS | Errno::PERM) => openat(CWD, path, flags, Mode::empty()),
        opened => opened,
    }
}

impl Opened {
    /// What tells that it is unchanged.
    pub fn key(&self) -> StatKey {
        StatKey::of(&self.metadata)
    }

    /// Reads it for its digest, unless that is known, and for its type. `alive` is asked after each
    /// quarter of a megabyte; when it says no the file counts as changed.
    pub fn examine(
        self,
        source: &str,
        known: Option<Digest>,
        alive: &mut dyn FnMut() -> bool,
    ) -> Result<ScanTarget, Unscannable> {
        let mut header = vec![0; HEADER_BYTES];
        let length = read_start(&self.file, &mut header)?;
        let sha256 = match known {
            Some(digest) => digest,
            None => self.digest(alive)?,
        };
        let metadata = &self.metadata;
        let stat = self.key();
        let info = ScanInfo {
            size: metadata.len(),
            modified: stat.modified.clamp(0, u64::MAX.into()) as u64,
            mode: metadata.mode(),
            uid: metadata.uid(),
            gid: metadata.gid(),
            sha256,
            media_type: media_type(&header[..length]).to_owned(),
        };
        let key = scan_key(&self.path, metadata, &sha256);
        Ok(ScanTarget {
            source: source.to_owned(),
            path: self.path,
            file: self.file,
            key,
            stat,
            info,
            spooled: None,
        })
    }

    fn digest(&self, alive: &mut dyn FnMut() -> bool) -> Result<Digest, Unscannable> {
        let mut hash = Sha256::new();
        let mut chunk = vec![0; CHUNK_BYTES.min(self.metadata.len() as usize + 1)];
        let mut file = &self.file;
        loop {
            let length = match file.read(&mut chunk) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            if length == 0 {
                break;
            }
            hash.update(&chunk[..length]);
            if !alive() {
                return Err(Unscannable::Changed);
            }
        }
        let unchanged = StatKey::of(&self.file.metadata()?) == self.key();
        if unchanged { Ok(Digest(hash.finalize().into())) } else { Err(Unscannable::Changed) }
    }
}

fn read_start(file: &File, header: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < header.len() {
        match file.read_at(&mut header[length..], length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_regular_files_below_the_base_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("base")).unwrap();
        fs::write(at("base/file"), "#!/bin/sh\n").unwrap();
        fs::create_dir(at("outside")).unwrap();
        fs::write(at("outside/secret"), "secret").unwrap();
        symlink(at("outside/secret"), at("base/link")).unwrap();
        symlink(at("outside"), at("base/folder")).unwrap();
        symlink(at("base"), at("way-to-base")).unwrap();
        rustix::fs::mknodat(CWD, at("base/pipe"), rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        let open = |base: &str, path: &str| open(&at(base), &at(path), 100);
        assert!(open("base", "base/file").is_ok());
        assert!(open("way-to-base", "way-to-base/file").is_ok());
        for path in ["base/link", "base/folder/secret", "base/pipe", "base"] {
            assert!(matches!(open("base", path), Err(Unscannable::NotRegular)), "{path}");
        }
        fs::write(at("base/large"), [0; 101]).unwrap();
        assert!(matches!(open("base", "base/large"), Err(Unscannable::TooLarge { size: 101, bound: 100 })));
    }

    #[test]
    fn digest_and_type_are_those_of_the_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let content = b"#!/bin/sh\n".repeat(100_000);
        fs::write(&path, &content).unwrap();
        let opened = open(folder.path(), &path, 1 << 30).unwrap();
        let target = opened.examine("s", None, &mut || true).unwrap();
        assert_eq!(target.info.sha256, Digest::of(&content));
        assert_eq!(target.info.media_type, "text/x-shellscript");
        let opened = open(folder.path(), &path, 1 << 30).unwrap();
        fs::write(&path, "changed").unwrap();
        assert!(matches!(opened.examine("s", None, &mut || true), Err(Unscannable::Changed)));
    }
    #[test]
    fn a_time_that_cannot_be_told_is_the_nearest_that_can() {
        use std::time::{Duration, UNIX_EPOCH};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let before = UNIX_EPOCH - Duration::from_millis(1500);
        for (time, told) in [(before, 0), (UNIX_EPOCH + Duration::from_secs(7), 7_000_000_000)] {
            fs::write(&path, "text").unwrap();
            File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
            let opened = open(folder.path(), &path, 1 << 30).unwrap();
            let target = opened.examine("s", None, &mut || true).unwrap();
            assert_eq!(target.info.modified, told);
            assert_eq!(target.stat, StatKey::of(&fs::metadata(&path).unwrap()));
        }
    }
}
