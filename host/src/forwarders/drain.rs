//! The loop that all readers of the lanes share: read from the cursor, batch, hand over, store
//! the cursor once the batch was accepted, wait and try again when it was not.
//!
//! The cursor moves over whole records of a lane only. It is stored without waiting for the disk: after a
//! crash some batches are sent again, which receivers recognise by the event ids and the `file`
//! forwarder and the archive by their notes. A lane deletes what a stored cursor has passed
//! only after it has synced the state.
//!
//! Memory is bounded by one batch ([`Config`]) plus one record, however long the backlog is.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use picket_forwarders::select::Select;
use picket_forwarders::{BackoffConfig, BatchLimits, Forwarder, explained};
use tokio::sync::watch;

use super::aside::Aside;
use super::cursor::{Cursor, CursorError};
use super::metrics::Metrics;
use super::worker::Worker;
use crate::lanes::{Lanes, Place};
use crate::state::{State, StateError};
use crate::tap::Taps;

/// The name of the archive's drain, which no forwarder may have.
pub const ARCHIVE: &str = "archive";

/// What a drain works with. Clones work with the same.
#[derive(Clone)]
pub struct Deps {
    /// What it reads, and what keeps results until they are read.
    pub lanes: Lanes,
    /// Where cursors are stored.
    pub state: State,
    /// Where refused frames go.
    pub aside: Aside,
    /// Of all drains.
    pub metrics: Metrics,
    /// Where people see what is handed over.
    pub taps: Taps,
}

/// How a drain reads and retries.
pub struct Config {
    /// How much is handed over at once. A batch ends with the record that brings it there.
    pub batch: BatchLimits,
    /// Waiting after failures.
    pub retry: BackoffConfig,
    /// Which frames go, and under which labels; none to let all go as they are.
    pub select: Option<Select>,
}

/// A megabyte is enough for a sync to be cheap beside it, and little to send again.
pub const BATCH: BatchLimits = BatchLimits { frames: 4096, bytes: 1 << 20, wait: Duration::ZERO };

impl Default for Config {
    fn default() -> Self {
        Self { batch: BATCH, retry: BackoffConfig::default(), select: None }
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
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Status {
    /// Bytes of the lanes that wait.
    pub queued_bytes: u64,
    /// Frames of the lanes that wait, those included that this forwarder does not send.
    pub queued_frames: u64,
    /// Age of the oldest of them in seconds.
    pub oldest_seconds: f64,
    /// Frames that were accepted since the agent started.
    pub sent_frames: u64,
    /// Frames that were refused for good since the agent started.
    pub refused_frames: u64,
    /// Frames that were never sent, since the agent started: expelled at a lane's bound, or damaged on disk.
    pub dropped_frames: u64,
    /// It has failed so often that it is tried only now and then.
    pub circuit_open: bool,
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
pub(super) struct Shared {
    /// Until when it may go on, once it has to stop. Forwarders wait for it beside the network.
    stop: watch::Sender<Option<Instant>>,
    status: Mutex<Status>,
}

/// Makes a forwarder that watches until when it may go on.
pub type Make<'a> = dyn FnOnce(watch::Receiver<Option<Instant>>) -> Box<dyn Forwarder> + 'a;

impl Drain {
    /// Starts a drain of its own thread from its stored cursor, or from the oldest result when it
    /// has none. `name` is the forwarder's; the cursor is stored under it. A damaged cursor is counted and is
    /// none; one of a newer version is an error.
    pub fn start(name: &str, make: Box<Make<'_>>, config: Config, deps: Deps) -> Result<Self, StartError> {
        let cursor = match stored_cursor(name, &deps.state) {
            Err(StartError::Cursor(error @ CursorError::Damaged { .. })) => {
                tracing::error!(forwarder = name, %error, "It begins with the oldest result, and repeats some.");
                deps.metrics.cursor_damaged(name);
                Cursor::default()
            }
            other => other?,
        };
        let (stop, watched) = watch::channel(None);
        let shared = Arc::new(Shared { stop, status: Mutex::default() });
        let worker = Worker::new(name, make(watched), config, deps.clone(), cursor, Arc::clone(&shared));
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
        self.shared.stop.send_modify(|stop| *stop = Some(stop.map_or(until, |earlier| earlier.min(until))));
        self.deps.lanes.wake();
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
    pub(super) fn stop(&self) -> Option<Instant> {
        *self.stop.borrow()
    }

    pub(super) fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cursor of an earlier run, or one before everything.
fn stored_cursor(name: &str, state: &State) -> Result<Cursor, StartError> {
    match state.meta_get(&meta_name(name)) {
        Ok(Some(stored)) => Ok(Cursor::decode(name, &stored)?),
        Ok(None) => Ok(Cursor::default()),
        Err(error @ StateError::Damaged { .. }) => {
            Err(CursorError::Damaged { name: name.to_owned(), cause: error.to_string() }.into())
        }
        Err(error) => Err(error.into()),
    }
}

const PREFIX: &str = "cursor/";

/// The name under which a drain's cursor is stored.
pub(super) fn meta_name(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// All places that drains have kept, those that do not run any more included.
pub fn kept_places(state: &State) -> Result<Vec<[Place; 2]>, StateError> {
    let cursors = state.meta_scan(PREFIX)?;
    // One that cannot be read is told of when its drain starts.
    Ok(cursors.iter().filter_map(|(name, stored)| Some(Cursor::decode(name, stored).ok()?.places)).collect())
}
