//! Sockets: the loopback listener, and the Unix socket with its owner's rights and a check of who
//! connects.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::routes::Access;

/// Why the API cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is taken, or is none of this machine.
    #[error("the API cannot listen on {address}: {cause}; set `api.listen` to another address, or to `off`")]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// An agent answers at the socket.
    #[error("another agent answers at {path}; stop it, or give this one another `data_dir` or `api.socket`")]
    Answered {
        /// The socket.
        path: PathBuf,
    },
    /// There is something else at the socket's path.
    #[error("{path} is no socket, so it is left alone; move it away, or set `api.socket` to another path")]
    NoSocket {
        /// The path.
        path: PathBuf,
    },
    /// The socket cannot be made.
    #[error(
        "the API cannot listen on the socket {path}: {cause}; check that its folder exists and that the agent may write there"
    )]
    Unix {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// Listens on a loopback address. Must run inside a runtime.
pub(super) async fn tcp(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|cause| ListenError::Tcp { address, cause })
}

/// A Unix socket that is removed when it is dropped, if it is still the same.
pub(super) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl Drop for Socket {
    fn drop(&mut self) {
        let is_ours = |metadata: fs::Metadata| metadata.ino() == self.inode;
        if fs::symlink_metadata(&self.path).is_ok_and(is_ours) {
            // When it cannot be removed the next agent finds that nobody answers, and removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens on a Unix socket that only its owner can connect to. What a dead agent left behind is
/// replaced.
pub(super) fn unix(path: &Path) -> Result<Socket, ListenError> {
    let failed = |cause| ListenError::Unix { path: path.to_owned(), cause };
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ListenError::NoSocket { path: path.to_owned() });
        }
        Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
            return Err(ListenError::Answered { path: path.to_owned() });
        }
        Ok(_) => {}
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
        Err(cause) => return Err(failed(cause)),
    }
    // Made under another name and renamed once its mode is right: under its own name nobody ever finds
    // it open to others.
    let mut hidden = path.as_os_str().to_owned();
    hidden.push("~");
    let hidden = PathBuf::from(hidden);
    let _ = fs::remove_file(&hidden);
    let listener = UnixListener::bind(&hidden).map_err(failed)?;
    let made = fs::set_permissions(&hidden, fs::Permissions::from_mode(0o600))
        .and_then(|()| fs::symlink_metadata(&hidden))
        .and_then(|metadata| fs::rename(&hidden, path).map(|()| metadata.ino()));
    match made {
        Ok(inode) => Ok(Socket { listener, path: path.to_owned(), inode }),
        Err(cause) => {
            let _ = fs::remove_file(&hidden);
            Err(failed(cause))
        }
    }
}

/// What accepting connections needs to know of a listener.
pub(super) trait Accept: Send + Sync + 'static {
    /// For metrics.
    const NAME: &'static str;
    /// What its clients may do.
    const ACCESS: Access;
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Whether the other end may use the listener at all.
    fn is_trusted(stream: &Self::Stream) -> bool;
}

impl Accept for TcpListener {
    const NAME: &'static str = "tcp";
    const ACCESS: Access = Access::Read;
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<TcpStream> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }

    fn is_trusted(_: &TcpStream) -> bool {
        true
    }
}

impl Accept for Socket {
    const NAME: &'static str = "unix";
    const ACCESS: Access = Access::Everything;
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }

    /// Root or the agent's own user, as the kernel says: the socket's mode alone could be changed.
    fn is_trusted(stream: &UnixStream) -> bool {
        stream
            .peer_cred()
            .is_ok_and(|peer| peer.uid() == 0 || peer.uid() == rustix::process::geteuid().as_raw())
    }
}
