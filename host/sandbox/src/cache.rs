//! Compiled code on disk, so that a component is compiled once for each version of the agent.
//!
//! Compiled code is machine code: loading it is as good as running it. So only what this agent
//! itself wrote is ever loaded:
//!
//! - the folder belongs to the effective user and nobody else can write into it;
//! - a file is opened relative to the folder, without following a link, and must be a plain file
//!   of the same owner that nobody else can write and that has no second name; that is asked of the
//!   open file, not of its path;
//! - its content must have the SHA-256 that stands at its end, which catches damage by the disk;
//! - what is then mapped is the very file that was looked at.
//!
//! Anything else is removed, counted, and compiled anew. A file is named for the component's digest
//! and for everything that compiled code depends on, so a new version of the agent makes its own.
//!
//! ```text
//! file = compiled code (as wasmtime writes it) | "picketk1" | SHA-256 of the code
//! ```

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

const MAGIC: &[u8; 8] = b"picketk1";
const TRAILER_BYTES: u64 = (MAGIC.len() + 32) as u64;
/// Nobody but the owner may write: group and others.
const FOREIGN_WRITE: u32 = 0o022;
const SUFFIX: &str = ".cwasm";
const TEMPORARY: &str = ".new-";
/// A temporary file this old belongs to a process that died.
const ABANDONED: Duration = Duration::from_secs(3600);
const COPY_BYTES: usize = 64 << 10;

/// The cache cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The folder belongs to somebody else, or somebody else can write into it.
    #[error(
        "the cache folder {} must belong to the user that runs the agent and be writable by no other: \
         it belongs to user {owner}, with mode {mode:04o}", .path.display()
    )]
    NotOurs {
        /// The folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// The operating system refuses.
    #[error("the cache folder {} cannot be used: {source}", .path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// The operating system's own words.
        source: io::Error,
    },
}

/// What was found under a name.
pub(crate) enum Found {
    /// Code that this agent wrote, whole.
    Code(OurCode),
    /// Nothing.
    Nothing,
    /// A file that was not to be trusted. It is removed.
    Discarded(&'static str),
}

/// A file of compiled code that this process or this user's agent wrote. Only this module makes one.
pub(crate) struct OurCode(File);

impl OurCode {
    /// Code that a child of this process has just written to a file that has no name, so that
    /// nobody else could write to it.
    pub(crate) fn fresh(anonymous: File) -> Self {
        Self(anonymous)
    }

    pub(crate) fn file(&self) -> &File {
        &self.0
    }

    /// Maps the code.
    #[allow(unsafe_code, reason = "compiled code can only be loaded on somebody's word; ours is given here")]
    pub(crate) fn load(&self, engine: &wasmtime::Engine) -> wasmtime::Result<wasmtime::component::Component> {
        // The path names the open file itself, whatever has become of its name on disk.
        let path = format!("/proc/self/fd/{}", self.0.as_raw_fd());
        // SAFETY: the contract is that the bytes come from `Engine::precompile_component`, and that
        // the file does not change while it is mapped. Values of this type are made in two ways. A
        // fresh one is an anonymous file that only the compiling child of this binary has written,
        // which has ended. One from the cache was opened without following links, and on that open
        // file it was seen that it is a plain file with one name, owned by this user and writable by
        // no other, with the checksum that `store` put there; `store` writes only fresh ones. No
        // code of the agent opens a finished file of the cache for writing: it is replaced by
        // renaming and removed by unlinking, which leave a mapping as it is. Whoever can still
        // change it is root or this user, and they need no plugin to run code as this user.
        unsafe { wasmtime::component::Component::deserialize_file(engine, path) }
    }
}

/// A folder of compiled code.
pub(crate) struct Cache {
    path: PathBuf,
    folder: OwnedFd,
    max_bytes: u64,
    /// Numbers temporary files.
    next: AtomicU64,
}

impl Cache {
    /// Opens the folder; makes it, for this user alone, when there is none.
    pub(crate) fn open(path: &Path, max_bytes: u64) -> Result<Self, CacheError> {
        let io = |source: io::Error| CacheError::Io { path: path.to_owned(), source };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(io)?;
        }
        match rustix::fs::mkdir(path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(io(error.into())),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| io(error.into()))?;
        let stat = rustix::fs::fstat(&folder).map_err(|error| io(error.into()))?;
        if !is_ours(&stat) {
            let mode = stat.st_mode & 0o7777;
            return Err(CacheError::NotOurs { path: path.to_owned(), owner: stat.st_uid, mode });
        }
        Ok(Self { path: path.to_owned(), folder, max_bytes, next: AtomicU64::new(0) })
    }

    /// Looks for code.
    pub(crate) fn find(&self, name: &str) -> Found {
        // Without waiting: a pipe under this name must not block the agent.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(&self.folder, file_name(name), flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Found::Nothing,
            Err(Errno::LOOP) => return self.discard(name, "it is a symbolic link"),
            Err(_) => return self.discard(name, "it cannot be opened"),
        };
        match examine(&file) {
            Ok(()) => {
                // The time of the last use decides what is removed first; it does not matter much.
                let _ = file.set_modified(SystemTime::now());
                Found::Code(OurCode(file))
            }
            Err(why) => self.discard(name, why),
        }
    }

    /// Removes what is found under a name.
    pub(crate) fn discard(&self, name: &str, why: &'static str) -> Found {
        let file_name = file_name(name);
        // What cannot be removed is replaced later, or the next `store` says what is wrong.
        if rustix::fs::unlinkat(&self.folder, &file_name, AtFlags::empty()).is_err() {
            let _ = rustix::fs::unlinkat(&self.folder, &file_name, AtFlags::REMOVEDIR);
        }
        Found::Discarded(why)
    }

    /// Writes fresh code under a name: whole or not at all, also when the power fails. Gives the
    /// file in the folder, whose pages the system can drop and read again.
    pub(crate) fn store(&self, name: &str, code: &OurCode) -> Result<OurCode, CacheError> {
        let io = |source: io::Error| CacheError::Io { path: self.path.clone(), source };
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let temporary = format!("{TEMPORARY}{}-{number}", std::process::id());
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let write = || -> io::Result<()> {
            let file = rustix::fs::openat(&self.folder, &temporary, flags, Mode::RUSR | Mode::WUSR)?;
            let mut file = File::from(file);
            copy_with_checksum(code.file(), &mut file)?;
            file.sync_all()?;
            rustix::fs::renameat(&self.folder, &temporary, &self.folder, file_name(name))?;
            rustix::fs::fsync(&self.folder)?;
            Ok(())
        };
        if let Err(error) = write() {
            let _ = rustix::fs::unlinkat(&self.folder, &temporary, AtFlags::empty());
            return Err(io(error));
        }
        self.make_room(&file_name(name));
        match self.find(name) {
            Found::Code(code) => Ok(code),
            Found::Nothing | Found::Discarded(_) => {
                Err(io(io::Error::other("a file that was just written is not what was written")))
            }
        }
    }

    /// Removes the files that were not used for longest, until the folder is within its bound, and
    /// what dead processes left. What fails is tried again after the next compilation.
    fn make_room(&self, keep: &str) {
        let Ok(entries) = std::fs::read_dir(&self.path) else { return };
        let mut files = Vec::new();
        for entry in entries.flatten() {
            let (Ok(name), Ok(metadata)) = (entry.file_name().into_string(), entry.metadata()) else {
                continue;
            };
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            if name.ends_with(SUFFIX) && name != keep {
                files.push((used, metadata.len(), name));
            } else if name.starts_with(TEMPORARY) && used.elapsed().is_ok_and(|age| age > ABANDONED) {
                let _ = rustix::fs::unlinkat(&self.folder, &name, AtFlags::empty());
            }
        }
        files.sort_unstable_by(|one, other| other.cmp(one));
        let mut sum = 0u64;
        for (_, bytes, name) in files {
            sum = sum.saturating_add(bytes);
            if sum > self.max_bytes {
                let _ = rustix::fs::unlinkat(&self.folder, &name, AtFlags::empty());
            }
        }
    }
}

fn file_name(name: &str) -> String {
    format!("{name}{SUFFIX}")
}

fn is_ours(stat: &Stat) -> bool {
    stat.st_uid == rustix::process::geteuid().as_raw() && stat.st_mode & FOREIGN_WRITE == 0
}

/// Whether the open file is one that this agent wrote, whole. Else, why not.
fn examine(file: &File) -> Result<(), &'static str> {
    let stat = rustix::fs::fstat(file).map_err(|_| "it cannot be examined")?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err("it is not a plain file");
    }
    if !is_ours(&stat) {
        return Err("it belongs to another user, or others can write to it");
    }
    if stat.st_nlink != 1 {
        return Err("it has a second name");
    }
    let code_bytes =
        u64::try_from(stat.st_size).unwrap_or(0).checked_sub(TRAILER_BYTES).ok_or("it is cut off")?;
    let unreadable = |_: io::Error| "it cannot be read";
    let mut reader = file;
    reader.rewind().map_err(unreadable)?;
    let digest = checksum(reader.take(code_bytes), &mut io::sink()).map_err(unreadable)?;
    let mut trailer = Vec::with_capacity(TRAILER_BYTES as usize);
    reader.take(TRAILER_BYTES).read_to_end(&mut trailer).map_err(unreadable)?;
    match trailer.strip_prefix(MAGIC) {
        Some(expected) if expected == digest => Ok(()),
        _ => Err("its content is not what was written"),
    }
}

fn copy_with_checksum(mut code: &File, to: &mut File) -> io::Result<()> {
    code.rewind()?;
    let digest = checksum(code, to)?;
    to.write_all(MAGIC)?;
    to.write_all(&digest)
}

/// Copies everything and gives the SHA-256 of it.
fn checksum(mut from: impl Read, to: &mut impl Write) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(hash.finalize().into());
        }
        hash.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
    }
}
