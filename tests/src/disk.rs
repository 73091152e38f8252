//! A small disk that a test fills up and makes room on again.
//!
//! It is a tmpfs in a mount namespace of its own, so that no rights are needed and nothing is left behind. A
//! process that does nothing holds the namespace; everybody else reaches the disk through that process's entry
//! in `/proc`, so the agent runs outside, as always. Where none can be mounted the test fails and says so.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// What fills the disk up.
const HOG: &str = "hog";

/// See the module's description. It is gone when this is dropped.
pub struct SmallDisk {
    holder: Child,
    path: PathBuf,
    _mounted_on: TempDir,
}

impl SmallDisk {
    /// An empty disk of so many MiB.
    pub fn new(mebibytes: u32) -> Self {
        let folder =
            tempfile::Builder::new().prefix("disk-").tempdir().expect("a temporary folder can be made");
        // It says when the disk is there, and ends when its input does: with this process at the latest.
        let script = r#"mount -t tmpfs -o "size=$2m,mode=700" tmpfs "$1" && echo mounted && exec cat"#;
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
            .arg(folder.path())
            .arg(mebibytes.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("this test mounts a small disk: it needs `unshare` (util-linux)");
        let mut said = String::new();
        let mut output = BufReader::new(holder.stdout.take().expect("its output is a pipe"));
        output.read_line(&mut said).expect("a pipe can be read");
        if said != "mounted\n" {
            let mut error = String::new();
            let _ = holder.stderr.take().map(|mut stderr| stderr.read_to_string(&mut error));
            panic!("this test mounts a small disk, for which it needs user namespaces: {error}");
        }
        let inside = folder.path().strip_prefix("/").expect("temporary folders have absolute paths");
        let path = Path::new("/proc").join(holder.id().to_string()).join("root").join(inside);
        Self { holder, path, _mounted_on: folder }
    }

    /// Where everybody finds it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes all room that there is, also what somebody gives back meanwhile: returns when nothing is left.
    pub fn fill(&self) {
        let mut hog = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path.join(HOG))
            .expect("the disk takes a file's name");
        let mut piece = vec![1; 1 << 20];
        while !piece.is_empty() {
            match hog.write_all(&piece) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => piece.truncate(piece.len() / 2),
                Err(error) => panic!("the disk cannot be filled: {error}"),
            }
        }
    }

    /// Leaves so many bytes of what [`fill`](Self::fill) takes.
    pub fn fill_but(&self, bytes: u64) {
        self.fill();
        let hog = File::options().write(true).open(self.path.join(HOG)).expect("the disk was filled");
        let length = hog.metadata().expect("an open file has a length").len();
        hog.set_len(length.saturating_sub(bytes)).expect("a file can be cut");
    }

    /// Gives all room back that was taken.
    pub fn make_room(&self) {
        fs::remove_file(self.path.join(HOG)).expect("the disk was filled");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
