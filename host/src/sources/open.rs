//! Opens files that a source reads, without ever waiting for them.
//!
//! A path may name something else by the time it is opened than when it was listed. Opening a pipe
//! waits for a writer, and opening a terminal may take it over, so neither is done here.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file for reading; symbolic links are followed.
pub(crate) fn regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::sync::mpsc;
    use std::time::Duration;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;
    use crate::sources::file::tail::Opened;

    #[test]
    fn a_pipe_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let (sender, receiver) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let kinds = [regular(&path).err(), Opened::open(&path).err()].map(|error| error.unwrap().kind());
            sender.send(kinds).unwrap();
        });
        let kinds = receiver.recv_timeout(Duration::from_secs(60)).expect("opening the pipe waits");
        assert_eq!(kinds, [io::ErrorKind::InvalidInput; 2]);
    }
}
