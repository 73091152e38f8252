//! A drain's thread. It outlives a panic in a step: the step has failed, and is tried again like any other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use picket_journal::{JournalError, Position, Reader, Tail};

use super::backoff::Backoff;
use super::cursor::Cursor;
use super::drain::{Config, Deps, Shared, meta_name};
use super::forwarder::{Forwarder, SendError};
use super::metrics::Reason;
use crate::model::Frame;
use crate::pipeline::commit;
use crate::state::StateError;
use crate::telemetry;

/// How long the thread sleeps when nothing comes: what a forwarder does now and then without a batch is so late
/// at most. Results and the order to stop wake it.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How often a cursor is stored that moved only over commits without a wanted frame: storing it
/// saves reading them again, and nothing else.
const STORE_SKIPPED_EVERY: Duration = Duration::from_secs(10);

pub(super) struct Worker {
    name: String,
    tail: Tail,
    forwarder: Box<dyn Forwarder>,
    config: Config,
    deps: Deps,
    shared: Arc<Shared>,
    backoff: Backoff,
    reader: Reader,
    /// Everything up to here was accepted.
    cursor: Cursor,
    /// The stored cursor differs, in its position or its note.
    unstored: bool,
    /// It differs in its note, or a batch was accepted: nothing else is done before it is stored.
    due: bool,
    /// A note of `prepare` is not durable yet: no batch is sent before it is.
    note_unsynced: bool,
    stored_at: Instant,
    /// The forwarder is where the cursor's note says.
    resumed: bool,
    /// When this process first saw that something waits behind the cursor.
    waiting_since: Option<Instant>,
}

/// Wanted frames of whole commits.
#[derive(Default)]
struct Batch {
    frames: Vec<Frame>,
    bytes: usize,
    /// The position behind them, if there was a commit at all.
    next: Option<Position>,
}

/// What a step came to.
enum Step {
    Went,
    NothingWaits,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Send(#[from] SendError),
    #[error("cannot read the journal: {0}")]
    Read(#[from] JournalError),
    #[error("cannot store the cursor: {0}")]
    Store(#[from] StateError),
    #[error("a bug of the agent ({0}); please report this")]
    Panicked(String),
}

impl Worker {
    pub(super) fn new(
        name: &str,
        forwarder: Box<dyn Forwarder>,
        config: Config,
        deps: Deps,
        cursor: Cursor,
        shared: Arc<Shared>,
    ) -> Self {
        let tail = deps.committer.tail();
        let host = rustix::system::uname().nodename().to_bytes().to_owned();
        let backoff = Backoff::new(config.backoff, &[&host[..], name.as_bytes()].concat());
        let reader = tail.reader(cursor.position);
        let mut worker = Self {
            name: name.to_owned(),
            tail,
            forwarder,
            config,
            deps,
            shared,
            backoff,
            reader,
            cursor,
            unstored: false,
            due: false,
            note_unsynced: false,
            stored_at: Instant::now(),
            resumed: false,
            waiting_since: None,
        };
        worker.check_cursor();
        // So that the journal keeps what is to be read from now on.
        worker.deps.committer.set_floor(name, worker.cursor.position);
        worker.show(None);
        // Here, so that who starts a drain finds it ready; what fails is tried again by the thread.
        worker.resumed = worker.forwarder.resume(&worker.cursor.note).is_ok();
        worker
    }

    pub(super) fn run(mut self) {
        loop {
            let step = self.caught_step();
            self.show(step.as_ref().err());
            let wait = match step {
                Ok(Step::Went) => {
                    self.backoff.succeeded();
                    Duration::ZERO
                }
                Ok(Step::NothingWaits) => {
                    if self.shared.stop().is_some() || self.tail.is_closed() {
                        break;
                    }
                    let stopping = || self.shared.stop().is_some();
                    self.tail.wait_beyond_or(self.cursor.position, LOOK_EVERY, stopping);
                    Duration::ZERO
                }
                Err(failed) => self.wait_after(&failed),
            };
            if !self.shared.pause(wait) {
                break;
            }
        }
        if let Err(failed) = self.store() {
            tracing::warn!(forwarder = self.name, error = %failed,
                "The cursor could not be stored; the last results will be sent again.");
        }
    }

    /// A cursor that does not fit the journal says that one of the two was replaced. Checked by who
    /// starts the drain, before it commits anything.
    fn check_cursor(&mut self) {
        let (first, end) = (self.tail.first(), self.tail.durable_end());
        if self.cursor.position > end {
            tracing::warn!(forwarder = self.name, cursor = %self.cursor.position, %end,
                "The cursor is behind the end of the journal, which was cut or replaced; going on at its end.");
            self.cursor.position = end;
            self.unstored = true;
            self.reader = self.tail.reader(end);
        } else if self.cursor.position.segment != 0 && self.cursor.position.segment < first.segment {
            tracing::error!(forwarder = self.name, cursor = %self.cursor.position, %first,
                "The journal no longer has what comes next; results were not sent.");
            self.deps.metrics.failed(&self.name, Reason::Expelled, 1);
        }
    }

    /// Only the cursor outlives a panic. It moves when a batch was accepted; the forwarder resumes at its note
    /// and the reader at its position, as after any error.
    fn caught_step(&mut self) -> Result<Step, Failed> {
        catch_unwind(AssertUnwindSafe(|| self.step())).unwrap_or_else(|panic| {
            self.resumed = false;
            Err(Failed::Panicked(telemetry::panic_message(panic.as_ref()).to_owned()))
        })
    }

    fn step(&mut self) -> Result<Step, Failed> {
        if self.due {
            self.store()?;
        }
        if !self.resumed {
            self.forwarder.resume(&self.cursor.note)?;
            self.reader = self.tail.reader(self.cursor.position);
            self.resumed = true;
        }
        if let Some(note) = self.sent(|forwarder| forwarder.prepare())? {
            self.cursor.note = note;
            self.note_unsynced = true;
            self.store_now()?;
        }
        if self.note_unsynced {
            self.deps.state.sync()?;
            self.note_unsynced = false;
        }
        let batch = self.read()?;
        let Some(next) = batch.next else {
            // The reader may have passed over damage, behind which nothing has come yet.
            self.moved_to(self.reader.position());
            self.waiting_since = None;
            self.store_skipped()?;
            return Ok(Step::NothingWaits);
        };
        if batch.frames.is_empty() {
            self.moved_to(next);
            self.store_skipped()?;
            return Ok(Step::Went);
        }
        match self.sent(|forwarder| forwarder.send(&batch.frames)) {
            Ok(note) => {
                self.cursor = Cursor { position: next, note };
                self.deps.metrics.sent(&self.name, batch.frames.len());
            }
            Err(SendError::Refused { reason }) => {
                tracing::error!(
                    forwarder = self.name,
                    reason,
                    frames = batch.frames.len(),
                    "The receiver refused results for good; they are dropped."
                );
                self.deps.metrics.failed(&self.name, Reason::Refused, batch.frames.len());
                self.cursor.position = next;
            }
            Err(later) => return Err(later.into()),
        }
        self.waiting_since = None;
        self.store_now()?;
        Ok(Step::Went)
    }

    fn moved_to(&mut self, position: Position) {
        if position > self.cursor.position {
            self.cursor.position = position;
            self.unstored = true;
        }
    }

    fn store_now(&mut self) -> Result<(), StateError> {
        self.unstored = true;
        self.due = true;
        self.store()
    }

    /// Calls the forwarder; after an error of any kind it has to resume.
    fn sent<T>(
        &mut self,
        call: impl FnOnce(&mut dyn Forwarder) -> Result<T, SendError>,
    ) -> Result<T, SendError> {
        call(self.forwarder.as_mut()).inspect_err(|_| self.resumed = false)
    }

    fn read(&mut self) -> Result<Batch, JournalError> {
        // A step that failed behind its reading has left the reader beyond the cursor.
        if self.reader.position() != self.cursor.position {
            self.reader = self.tail.reader(self.cursor.position);
        }
        let mut batch = Batch::default();
        while batch.frames.len() < self.config.batch_frames && batch.bytes < self.config.batch_bytes {
            let Some(entry) = self.reader.next()? else { break };
            self.waiting_since.get_or_insert_with(Instant::now);
            batch.bytes += entry.payload.len();
            batch.next = Some(entry.next);
            match commit::frames(&entry.payload) {
                Ok(frames) => {
                    let wanted = frames.into_iter().filter(|frame| self.forwarder.wants(frame.kind()));
                    batch.frames.extend(wanted);
                }
                Err(error) => {
                    tracing::error!(forwarder = self.name, position = %entry.position, %error,
                        "A commit in the journal cannot be read and is passed over.");
                    self.deps.metrics.failed(&self.name, Reason::Unreadable, 1);
                }
            }
        }
        Ok(batch)
    }

    fn store_skipped(&mut self) -> Result<(), StateError> {
        if self.unstored && self.stored_at.elapsed() >= STORE_SKIPPED_EVERY {
            self.store()?;
        }
        Ok(())
    }

    fn store(&mut self) -> Result<(), StateError> {
        if !self.unstored {
            return Ok(());
        }
        self.deps.state.meta_put(&meta_name(&self.name), self.cursor.encode())?;
        self.unstored = false;
        self.due = false;
        self.stored_at = Instant::now();
        self.deps.committer.set_floor(&self.name, self.cursor.position);
        Ok(())
    }

    fn wait_after(&mut self, failed: &Failed) -> Duration {
        let wait = self.backoff.failed();
        let asked = match failed {
            Failed::Send(SendError::Later { after, .. }) => after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        let wait = wait.max(asked);
        self.deps.metrics.retried(&self.name);
        tracing::warn!(forwarder = self.name, error = %failed, ?wait,
            "Results could not be sent; they wait in the journal.");
        wait
    }

    fn show(&mut self, failed: Option<&Failed>) {
        let position = self.cursor.position;
        // The head of a segment alone is nothing that waits.
        let queued_bytes = if self.tail.has_more(position) { self.tail.bytes_after(position) } else { 0 };
        let oldest = self.waiting_since.map(|since| since.elapsed()).unwrap_or_default();
        self.deps.metrics.waiting(&self.name, queued_bytes, oldest);
        let mut status = self.shared.status();
        status.queued_bytes = queued_bytes;
        status.oldest_seconds = oldest.as_secs_f64();
        status.error = failed.map(ToString::to_string);
    }
}
