//! Files that only root or the agent can have written: the only ones that become plugins.
//!
//! Without a signature, the file system's permissions are the proof of origin. The type [`Trusted`] is
//! made nowhere else, and the lifecycle accepts nothing else.
//!
//! The whole path counts: who can write a folder can put another file in a trusted one's place. The
//! file is opened first and judged by its descriptor, so it cannot be exchanged in between.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

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
    #[error("{path}: {source}")]
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
    for folder in real.ancestors().skip(1) {
        judge(folder, &folder.metadata().map_err(unreadable)?)?;
    }
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

/// A folder with the sticky bit may be written by all: in it, nobody can replace another's file.
/// A group may write when it is root's, or the user's own private group (same number as the user).
fn judge(path: &Path, metadata: &Metadata) -> Result<(), TrustError> {
    let agent = rustix::process::geteuid().as_raw();
    let mode = metadata.mode() & 0o7777;
    let sticky_folder = metadata.is_dir() && mode & 0o1000 != 0;
    let private_group = metadata.gid() == 0 || metadata.gid() == agent;
    if metadata.uid() != 0 && metadata.uid() != agent {
        return Err(TrustError::Owner { path: path.to_owned(), owner: metadata.uid(), agent });
    }
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
        let (told, refused) = std::sync::mpsc::channel();
        // On a thread of its own: a read that waits fails this test instead of holding it up for ever.
        std::thread::spawn(move || told.send(read(&path, 7)));
        let refused = refused.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
        assert!(matches!(refused, Err(TrustError::NotAFile { .. })), "{refused:?}");
    }
}
