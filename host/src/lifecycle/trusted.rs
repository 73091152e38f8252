//! Files that only root or the agent can have written: the only ones that become plugins.
//!
//! Without a signature, the file system's permissions are the proof of origin. The type [`Trusted`] is
//! made nowhere else, and the lifecycle accepts nothing else.
//!
//! The whole path counts, as it is configured and as it is once its symbolic links are followed: who can
//! write a folder can put another file, or another link, in a trusted one's place. The file is opened
//! first and judged by its descriptor, so it cannot be exchanged in between.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

/// Links that one path may lead through: as many as the kernel follows.
const MAX_LINKS: usize = 40;
/// Nobody but the owner may write: group and others.
const FOREIGN_WRITE: u32 = 0o022;

use rustix::fs::{Mode, OFlags};

/// The content of a file that nobody but root and the agent's user could have written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Trusted {
    /// Where it was read, with symbolic links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The content.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The content, owned.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Why a file is not trusted or not read.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It cannot be read.
    #[error("{path}: {}", cause(.source))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// It belongs to somebody else.
    #[error(
        "{path} belongs to user {owner}, who could put anything there: \
         only files of root or of the agent's own user ({agent}) are loaded; run `chown root {path}`"
    )]
    Owner {
        /// The file or the folder above it.
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
        /// The agent's effective user id.
        agent: u32,
    },
    /// Others may write to it.
    #[error("{path} can be written by others (mode {mode:04o}): run `chmod go-w {path}`")]
    Writable {
        /// The file or the folder above it.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A folder for what the agent trusts by its place is not the agent's alone.
    #[error(
        "{path} must belong to the agent's user ({agent}), with nobody else allowed to write there: it belongs \
         to user {owner}, with mode {mode:04o}; run `chown -R {agent} {path}` and `chmod go-w {path}`, if you \
         trust what is in it"
    )]
    NotPrivate {
        /// The folder.
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
        /// Its permission bits.
        mode: u32,
        /// The agent's effective user id.
        agent: u32,
    },
    /// It is no regular file.
    #[error("{path} is not a regular file: name another path, or remove it")]
    NotAFile {
        /// What it is called.
        path: PathBuf,
    },
    /// It is larger than the bound.
    #[error("{path} is larger than {limit} bytes, the most that is loaded")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound.
        limit: u64,
    },
    /// It was written to while it was read.
    #[error("{path} changed while it was read: it is tried again when it rests")]
    Changing {
        /// The file.
        path: PathBuf,
    },
}

/// The operating system's words, and what to do where that is plain.
fn cause(source: &std::io::Error) -> String {
    match source.kind() {
        std::io::ErrorKind::NotFound => {
            "there is no such file: put it there, or name another one with `component` or `assets`".to_owned()
        }
        _ => source.to_string(),
    }
}

/// Reads a file of at most `limit` bytes, if it is trusted.
pub fn read(path: &Path, limit: u64) -> Result<Trusted, TrustError> {
    let unreadable = |source| TrustError::Unreadable { path: path.to_owned(), source };
    let real = path.canonicalize().map_err(unreadable)?;
    // Without waiting: a pipe under this name must not hold the agent up until somebody writes to it.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let opened = rustix::fs::open(&real, flags, Mode::empty());
    let mut file = opened.map(File::from).map_err(|error| unreadable(error.into()))?;
    let before = file.metadata().map_err(unreadable)?;
    if !before.is_file() {
        return Err(TrustError::NotAFile { path: real });
    }
    judge(&real, &before)?;
    judge_way(path, &real)?;
    let mut bytes = Vec::new();
    (&mut file).take(limit + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limit {
        return Err(TrustError::TooLarge { path: real, limit });
    }
    let after = file.metadata().map_err(unreadable)?;
    if (before.len(), before.mtime(), before.mtime_nsec()) != (after.len(), after.mtime(), after.mtime_nsec())
    {
        return Err(TrustError::Changing { path: real });
    }
    Ok(Trusted { path: real, bytes })
}

/// Judges a folder and everything that leads to it, whatever it holds.
pub fn judge_folder(path: &Path) -> Result<(), TrustError> {
    let real =
        path.canonicalize().map_err(|source| TrustError::Unreadable { path: path.to_owned(), source })?;
    judge_way(path, &real)
}

/// Whether a folder belongs to this process's user, and nobody else can write there.
pub fn judge_private(path: &Path) -> Result<(), TrustError> {
    judge_private_of(path, rustix::process::geteuid().as_raw())
}

/// Whether a folder belongs to a user, as whom an agent runs, and nobody else can write there.
pub fn judge_private_of(path: &Path, agent: u32) -> Result<(), TrustError> {
    let metadata =
        path.metadata().map_err(|source| TrustError::Unreadable { path: path.to_owned(), source })?;
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    if owner != agent || mode & FOREIGN_WRITE != 0 {
        return Err(TrustError::NotPrivate { path: path.to_owned(), owner, mode, agent });
    }
    Ok(())
}

/// Judges each folder and link that a path leads through, its end included, and those of the `real` path
/// that was found before.
fn judge_way(path: &Path, real: &Path) -> Result<(), TrustError> {
    let unreadable = |source| TrustError::Unreadable { path: path.to_owned(), source };
    for step in real.ancestors() {
        judge(step, &step.metadata().map_err(unreadable)?)?;
    }
    let parts = |path: &Path| -> Vec<OsString> {
        path.components().rev().map(|part| part.as_os_str().to_owned()).collect()
    };
    let mut left = parts(&std::path::absolute(path).map_err(unreadable)?);
    let (mut way, mut links) = (PathBuf::from("/"), 0);
    while let Some(part) = left.pop() {
        let step = match Path::new(&part).components().next() {
            Some(Component::Normal(name)) => way.join(name),
            Some(Component::ParentDir) => way.parent().unwrap_or(Path::new("/")).to_owned(),
            Some(Component::RootDir) => PathBuf::from("/"),
            _ => continue,
        };
        let metadata = step.symlink_metadata().map_err(unreadable)?;
        if !metadata.is_symlink() {
            judge(&step, &metadata)?;
            way = step;
            continue;
        }
        judge_owner(&step, &metadata)?;
        links += 1;
        if links > MAX_LINKS {
            return Err(unreadable(std::io::Error::other("too many symbolic links")));
        }
        left.extend(parts(&fs::read_link(&step).map_err(unreadable)?));
    }
    Ok(())
}

/// A link has no mode of its own: its owner and the folder that it stands in count.
fn judge_owner(path: &Path, metadata: &Metadata) -> Result<(), TrustError> {
    let agent = rustix::process::geteuid().as_raw();
    if metadata.uid() != 0 && metadata.uid() != agent {
        return Err(TrustError::Owner { path: path.to_owned(), owner: metadata.uid(), agent });
    }
    Ok(())
}

/// A folder with the sticky bit may be written by all: in it, nobody can replace another's file.
/// A group may write when it is root's, or the user's own private group (same number as the user).
fn judge(path: &Path, metadata: &Metadata) -> Result<(), TrustError> {
    let agent = rustix::process::geteuid().as_raw();
    let mode = metadata.mode() & 0o7777;
    let sticky_folder = metadata.is_dir() && mode & 0o1000 != 0;
    let private_group = metadata.gid() == 0 || metadata.gid() == agent;
    judge_owner(path, metadata)?;
    let others_write = mode & 0o002 != 0 || (mode & 0o020 != 0 && !private_group);
    if others_write && !sticky_folder {
        return Err(TrustError::Writable { path: path.to_owned(), mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    fn file(mode: u32, folder_mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.wasm");
        fs::write(&path, b"content").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(folder_mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_file_of_ones_own_is_read() {
        let (_folder, path) = file(0o644, 0o755);
        assert_eq!(read(&path, 7).unwrap().bytes(), b"content");
    }

    #[test]
    fn what_anybody_can_write_is_refused_with_the_remedy() {
        let (_folder, path) = file(0o666, 0o755);
        let error = read(&path, 7).unwrap_err().to_string();
        assert!(error.contains("chmod go-w") && error.contains("0666"), "{error}");
        let (folder, path) = file(0o644, 0o777);
        let error = read(&path, 7).unwrap_err();
        assert!(
            matches!(&error, TrustError::Writable { path, .. } if *path == folder.path().canonicalize().unwrap())
        );
    }

    #[test]
    fn a_link_in_a_folder_that_others_can_write_is_refused() {
        let (_good, path) = file(0o644, 0o755);
        let folder = tempfile::tempdir().unwrap();
        let open = folder.path().join("open");
        fs::create_dir(&open).unwrap();
        // To the file, to its folder, and by another link that stands in a folder of nobody else's.
        let links = ["file", "folder"].map(|name| open.join(name));
        std::os::unix::fs::symlink(&path, &links[0]).unwrap();
        std::os::unix::fs::symlink(path.parent().unwrap(), &links[1]).unwrap();
        let near = folder.path().join("near");
        std::os::unix::fs::symlink("open/../open/file", &near).unwrap();
        for link in [links[0].clone(), links[1].join("p.wasm"), near] {
            fs::set_permissions(&open, Permissions::from_mode(0o755)).unwrap();
            assert_eq!(read(&link, 7).unwrap().bytes(), b"content");
            fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
            let error = read(&link, 7).unwrap_err();
            assert!(matches!(&error, TrustError::Writable { path, .. } if path.ends_with("open")), "{error}");
        }
    }

    #[test]
    fn links_that_lead_to_each_other_are_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&link, &link).unwrap();
        assert!(matches!(read(&link, 7), Err(TrustError::Unreadable { .. })));
        assert!(matches!(judge_way(&link, Path::new("/")), Err(TrustError::Unreadable { .. })));
    }

    #[test]
    fn a_private_folder_is_the_agents_own() {
        let folder = tempfile::tempdir().unwrap();
        judge_private(folder.path()).unwrap();
        for mode in [0o720, 0o702, 0o1777] {
            fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            let error = judge_private(folder.path()).unwrap_err().to_string();
            assert!(error.contains(&format!("mode {mode:04o}")) && error.contains("chmod go-w"), "{error}");
        }
        // What belongs to root is not the agent's own unless it is root; `/proc` is root's.
        let root = rustix::process::geteuid().is_root();
        assert_eq!(judge_private(Path::new("/proc")).is_ok(), root);
    }

    #[test]
    fn a_folder_or_a_large_file_is_refused() {
        let (folder, path) = file(0o644, 0o755);
        assert!(matches!(read(folder.path(), 7), Err(TrustError::NotAFile { .. })));
        assert!(matches!(read(&path, 6), Err(TrustError::TooLarge { limit: 6, .. })));
        assert!(matches!(read(&folder.path().join("none"), 6), Err(TrustError::Unreadable { .. })));
    }

    #[test]
    fn a_pipe_is_refused_without_waiting_for_its_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
        let (told, refused) = crossbeam_channel::bounded(1);
        // On a thread of its own: a read that waits fails this test instead of holding it up for ever.
        std::thread::spawn(move || told.send(read(&path, 7)));
        let refused = refused.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
        assert!(matches!(refused, Err(TrustError::NotAFile { .. })), "{refused:?}");
    }
}
