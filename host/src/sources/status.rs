//! What the API and the CLI show of a source: how much there is, and what keeps it from being read.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// Problems shown of one source; the log has them all.
const MAX_PROBLEMS: usize = 50;

/// How a source is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct SourceStatus {
    /// Its name in the configuration.
    pub name: String,
    /// `file`, `directory`, `host` or `prometheus`.
    pub kind: String,
    /// Files that are followed, or that the last walk found; targets that are scraped.
    pub streams: usize,
    /// Files that are open.
    pub open_files: usize,
    /// By plugin: bytes between where it is and the end of its files.
    pub lag_bytes: BTreeMap<String, u64>,
    /// What cannot be read, and what to do; at most fifty.
    pub problems: Vec<Problem>,
}

/// Something that cannot be read or scraped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What: a path, or a URL.
    pub path: PathBuf,
    /// The operating system's words, or what is wrong with it.
    pub error: String,
    /// What an operator can do.
    pub remedy: String,
}

impl Problem {
    /// Why `path` cannot be read.
    pub fn new(path: &Path, error: &io::Error) -> Self {
        Self { path: path.to_owned(), error: error.to_string(), remedy: remedy(path, error) }
    }
}

fn remedy(path: &Path, error: &io::Error) -> String {
    let shown = path.display();
    match error.kind() {
        io::ErrorKind::PermissionDenied => match std::fs::metadata(path) {
            Ok(metadata) => format!(
                "Let the agent's user read it: add the user to the group with id {} if the group may read it \
                 (its mode is {:04o}), or `setfacl -m u:USER:r {shown}`.",
                metadata.gid(),
                metadata.mode() & 0o7777,
            ),
            Err(_) => format!("Let the agent's user enter its folder, then `ls -l {shown}`."),
        },
        io::ErrorKind::NotFound => "It vanished while it was looked at; nothing to do.".to_owned(),
        io::ErrorKind::NotADirectory => {
            format!("{shown} is no folder: name the file itself, or the folder that it is in.")
        }
        _ if is(error, rustix::io::Errno::LOOP) => {
            format!("Its symbolic links lead in a circle: `readlink {shown}` shows where to.")
        }
        _ if is(error, rustix::io::Errno::MFILE) => {
            "Raise the agent's limit of open files (`LimitNOFILE=` of systemd), or lower `max_open_files`."
                .to_owned()
        }
        _ => "Look at the file system and the kernel's log.".to_owned(),
    }
}

fn is(error: &io::Error, errno: rustix::io::Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

/// The status of all sources, written by their threads.
#[derive(Debug, Clone, Default)]
pub struct StatusBoard {
    sources: Arc<Mutex<BTreeMap<String, SourceStatus>>>,
}

impl StatusBoard {
    /// Replaces what is known of a source.
    pub fn set(&self, mut status: SourceStatus) {
        status.problems.truncate(MAX_PROBLEMS);
        self.lock().insert(status.name.clone(), status);
    }

    /// Adds a problem to what is shown of a source, until the source tells again how it is doing.
    pub fn trouble(&self, name: &str, problem: Problem) {
        let mut sources = self.lock();
        let status = sources.entry(name.to_owned()).or_default();
        name.clone_into(&mut status.name);
        status.problems.truncate(MAX_PROBLEMS - 1);
        status.problems.push(problem);
    }

    /// The source is gone.
    pub fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    /// All of them, by name.
    pub fn all(&self) -> Vec<SourceStatus> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, SourceStatus>> {
        // Every change replaces one entry.
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
