//! The loop that all readers of the journal share: read from the cursor, batch, hand over, store
//! the cursor once the batch was accepted, wait and try again when it was not.
//!
//! The cursor moves over whole commits only. It is stored without waiting for the disk: after a
//! crash some batches are sent again, which receivers recognise by the event ids and the `file`
//! forwarder and the archive by their notes. The journal deletes what a stored cursor has passed
//! only after it has synced the state.
//!
//! Memory is bounded by one batch ([`Config`]) plus one commit, however long the backlog is.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::backoff;
use super::cursor::{Cursor, CursorError};
use super::forwarder::{Forwarder, explained};
use super::metrics::Metrics;
use super::worker::Worker;
use crate::pipeline::commit::Committer;
use crate::state::{State, StateError};

/// The name of the archive's drain, which no forwarder may have.
pub const ARCHIVE: &str = "archive";

/// What a drain works with. Clones work with the same.
#[derive(Clone)]
pub struct Deps {
    /// Gives the journal to read, and keeps its segments until they are read.
    pub committer: Committer,
    /// Where cursors are stored.
    pub state: State,
    /// Of all drains.
    pub metrics: Metrics,
}

/// How a drain reads and retries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// A batch ends with the commit that brings it to this many frames.
    pub batch_frames: usize,
    /// A batch ends with the commit that brings it to this many bytes of the journal.
    pub batch_bytes: usize,
    /// Waiting after failures.
    pub backoff: backoff::Config,
}

impl Default for Config {
    /// A megabyte is enough for a sync to be cheap beside it, and little to send again.
    fn default() -> Self {
        Self { batch_frames: 4096, batch_bytes: 1 << 20, backoff: backoff::Config::default() }
    }
}

/// Why a drain did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its cursor cannot be used.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// Its cursor cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The folder that it fills cannot be made.
    #[error("cannot make the folder {}: {}", path.display(), explained(source))]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// There is no thread for it.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
}

impl StartError {
    /// Whether the cause is a full disk.
    pub fn is_full(&self) -> bool {
        match self {
            Self::State(error) => error.is_full(),
            Self::Folder { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Cursor(_) | Self::Thread(_) => false,
        }
    }
}

/// How far a drain has come.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Status {
    /// Bytes of the journal that wait.
    pub queued_bytes: u64,
    /// For how many seconds the oldest commit of them has waited since this process saw it.
    pub oldest_seconds: f64,
    /// What it fails with at present; nothing while it works.
    pub error: Option<String>,
}

/// A running drain. Dropping it leaves it running until the journal is closed; stop it instead.
pub struct Drain {
    name: String,
    deps: Deps,
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

/// A drain that has stopped. What it had kept in the journal is still kept for it.
#[must_use = "its part of the journal is kept until it is released or started again"]
pub struct Stopped {
    name: String,
    deps: Deps,
}

/// Between the drain's thread and its handle.
#[derive(Default)]
pub(super) struct Shared {
    // A mutex and a condition variable, because the thread has to wait for a time or the order to
    // stop, whatever comes first.
    stop: Mutex<Option<Instant>>,
    stopped: Condvar,
    status: Mutex<Status>,
}

impl Drain {
    /// Starts a drain of its own thread from its stored cursor, or from the oldest commit when it
    /// has none. `name` is the forwarder's; the cursor is stored under it.
    pub fn start(
        name: &str,
        forwarder: Box<dyn Forwarder>,
        config: Config,
        deps: Deps,
    ) -> Result<Self, StartError> {
        let cursor = match deps.state.meta_get(&meta_name(name))? {
            Some(stored) => Cursor::decode(name, &stored)?,
            None => Cursor::default(),
        };
        let shared = Arc::new(Shared::default());
        let worker = Worker::new(name, forwarder, config, deps.clone(), cursor, Arc::clone(&shared));
        // Thread names are cut at 15 bytes by the kernel.
        let thread = Builder::new().name(format!("fwd-{name}")).spawn(move || worker.run())?;
        Ok(Self { name: name.to_owned(), deps, shared, thread })
    }

    /// How it is doing.
    pub fn status(&self) -> Status {
        self.shared.status().clone()
    }

    /// Lets it send what waits now, for at most `drain_for`, and then stop; does not wait for that.
    pub fn ask_to_stop(&self, drain_for: Duration) {
        let until = Instant::now() + drain_for;
        let mut stop = self.shared.stop();
        *stop = Some(stop.map_or(until, |earlier| earlier.min(until)));
        drop(stop);
        self.shared.stopped.notify_all();
        self.deps.committer.tail().wake();
    }

    /// Lets it send what waits now, for at most `drain_for`, stores the cursor and stops it.
    pub fn stop(self, drain_for: Duration) -> Stopped {
        self.ask_to_stop(drain_for);
        if self.thread.join().is_err() {
            tracing::error!(
                forwarder = self.name,
                "The forwarder had panicked; it goes on at the next start."
            );
        }
        Stopped { name: self.name, deps: self.deps }
    }
}

impl Stopped {
    /// Gives up what the journal keeps for it: it is not going to be started again.
    pub fn release(self) {
        self.deps.metrics.gone(&self.name);
    }
}

impl Shared {
    /// Until when it may go on, once it has to stop.
    pub(super) fn stop(&self) -> MutexGuard<'_, Option<Instant>> {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for some time, or until it has to stop and the time for that is over. Says whether it
    /// may go on.
    pub(super) fn pause(&self, wait: Duration) -> bool {
        let resume = Instant::now() + wait;
        let mut stop = self.stop();
        loop {
            let now = Instant::now();
            if stop.is_some_and(|until| until <= now) {
                return false;
            }
            let until = stop.map_or(resume, |until| until.min(resume));
            let Some(left) = until.checked_duration_since(now).filter(|left| !left.is_zero()) else {
                return true;
            };
            stop = self.stopped.wait_timeout(stop, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The name under which a drain's cursor is stored.
pub(super) fn meta_name(name: &str) -> String {
    format!("cursor/{name}")
}
