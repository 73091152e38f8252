//! A drain's thread. It outlives a panic in a step: the step has failed, and is tried again like any other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use picket_forwarders::{Backoff, Forwarder, SendError, Sent, Unnamed};
use picket_journal::JournalError;

use super::circuit::Circuit;
use super::cursor::Cursor;
use super::drain::{Config, Deps, Shared, meta_name};
use super::metrics::Reason;
use super::reading::{Next, Read, Reading};
use crate::lanes::{Lanes, Place};
use crate::model::Lane;
use crate::state::StateError;
use crate::tap::Outcome;
use crate::telemetry;

/// How long the thread sleeps when nothing comes: what a forwarder does now and then without a batch is so late
/// at most. Results and the order to stop wake it.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How often what waits is shown while batches go: looking costs more than a small batch.
const SHOW_EVERY: Duration = Duration::from_millis(250);
/// How often a cursor is stored that moved only over records without a wanted frame: storing it
/// saves reading them again, and nothing else.
const STORE_SKIPPED_EVERY: Duration = Duration::from_secs(10);

pub(super) struct Worker {
    name: String,
    lanes: Lanes,
    forwarder: Box<dyn Forwarder>,
    deps: Deps,
    shared: Arc<Shared>,
    backoff: Backoff,
    circuit: Circuit,
    reading: Reading,
    /// What was read and is not handed over yet. A batch that failed stays as it is until it is.
    in_hand: Option<Read>,
    /// Everything up to here was accepted.
    cursor: Cursor,
    /// The stored cursor differs, in a place or its note.
    unstored: bool,
    /// It differs in its note, or a batch was accepted: nothing else is done before it is stored.
    due: bool,
    /// A note of `prepare` is not durable yet: no batch is sent before it is.
    note_unsynced: bool,
    stored_at: Instant,
    shown_at: Instant,
    /// The forwarder is where the cursor's note says.
    resumed: bool,
}

/// What a step came to.
enum Step {
    Went,
    /// Nothing is to be done for so long, unless something comes.
    Waits(Duration),
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
        let host = rustix::system::uname().nodename().to_bytes().to_owned();
        let backoff = Backoff::new(config.retry, &[&host[..], name.as_bytes()].concat());
        let circuit = Circuit::new(config.retry.most.0);
        let Config { batch, select, .. } = config;
        let wants = |kind| forwarder.wants(kind);
        let reading = Reading::new(&deps.lanes, &cursor.places, wants, select, batch);
        let mut worker = Self {
            name: name.to_owned(),
            lanes: deps.lanes.clone(),
            forwarder,
            deps,
            shared,
            backoff,
            circuit,
            reading,
            in_hand: None,
            cursor,
            unstored: false,
            due: false,
            note_unsynced: false,
            stored_at: Instant::now(),
            shown_at: Instant::now(),
            resumed: false,
        };
        // So that the lanes keep what is to be read from now on.
        worker.set_floors();
        worker.deps.metrics.begins(name);
        worker.show(None);
        // Here, so that who starts a drain finds it ready; what fails is tried again by the thread.
        worker.resumed = worker.forwarder.resume(&worker.cursor.note).is_ok();
        worker
    }

    pub(super) fn run(mut self) {
        loop {
            // Asked for first: what comes during the step ends the wait behind it.
            let version = self.lanes.version();
            let step = self.caught_step();
            let busy = matches!(step, Ok(Step::Went)) && self.shown_at.elapsed() < SHOW_EVERY;
            if !busy {
                self.show(step.as_ref().err());
            }
            match step {
                Ok(Step::Went) => {}
                Ok(Step::Waits(_)) if self.shared.stop().is_some() || self.lanes.is_closed() => break,
                Ok(Step::Waits(wait)) => self.lanes.wait(version, wait),
                Err(failed) => {
                    let wait = self.wait_after(&failed);
                    self.pause(wait);
                }
            }
            if self.shared.stop().is_some_and(|until| until <= Instant::now()) {
                break;
            }
        }
        if let Err(failed) = self.store() {
            tracing::warn!(forwarder = self.name, error = %failed,
                "The cursor could not be stored; the last results will be sent again.");
        }
    }

    /// Waits after a failure, whatever comes; the order to stop shortens it. What comes meanwhile is shown.
    fn pause(&mut self, wait: Duration) {
        let resume = Instant::now() + wait;
        loop {
            let version = self.lanes.version();
            let until = self.shared.stop().map_or(resume, |stop| stop.min(resume));
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.lanes.wait(version, left.min(LOOK_EVERY));
            self.show_queue();
        }
    }

    /// Only the cursor and the batch in hand outlive a panic. The cursor moves when a batch was accepted; the
    /// forwarder resumes at its note, as after any error.
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
            self.resumed = true;
        }
        self.prepare()?;
        if self.in_hand.is_none() {
            let hurry = self.shared.stop().is_some();
            match self.reading.next(&self.cursor.places, hurry)? {
                Next::Read(read) => self.take(read),
                Next::Gathers(wait) => return Ok(Step::Waits(wait.min(LOOK_EVERY))),
                Next::Nothing => {
                    self.store_skipped()?;
                    return Ok(Step::Waits(LOOK_EVERY));
                }
            }
        }
        self.hand_over()
    }

    /// Called before each batch. What failed before is tried again first.
    fn prepare(&mut self) -> Result<(), Failed> {
        match self.forwarder.prepare() {
            Ok(None) => {}
            Ok(Some(note)) => {
                self.cursor.note = note;
                self.note_unsynced = true;
                self.store_now()?;
            }
            Err(error) => {
                self.resumed = false;
                return Err(error.into());
            }
        }
        if self.note_unsynced {
            self.deps.state.sync()?;
            self.note_unsynced = false;
        }
        Ok(())
    }

    /// Takes a batch in hand, and counts what was missing before it.
    fn take(&mut self, read: Read) {
        let lost = read.lost;
        for (reason, frames) in [(Reason::Expelled, lost.expelled), (Reason::Damaged, lost.damaged)] {
            if frames > 0 {
                tracing::error!(
                    forwarder = self.name,
                    lane = read.lane.name(),
                    frames,
                    ?reason,
                    "Results were lost before they could be sent."
                );
                self.deps.metrics.dropped(&self.name, reason, frames);
                self.shared.status().dropped_frames += frames;
            }
        }
        self.in_hand = Some(read);
    }

    /// The batch stays in hand until the receiver has it, whatever happens on the way.
    fn hand_over(&mut self) -> Result<Step, Failed> {
        let Some(read) = &self.in_hand else { return Ok(Step::Went) };
        if read.batch.frames.is_empty() {
            let (lane, place) = (read.lane, read.place);
            self.in_hand = None;
            let moved = place != self.cursor.places[lane.index()];
            self.moved_to(lane, place);
            self.store_skipped()?;
            return Ok(if moved { Step::Went } else { Step::Waits(LOOK_EVERY) });
        }
        let sent = self.forwarder.send(&read.batch);
        self.tell(read, |at| match &sent {
            Err(_) => Outcome::Failed,
            Ok(sent) if sent.refused.iter().any(|refused| refused.frame == at) => Outcome::Refused,
            Ok(_) => Outcome::Accepted,
        });
        let sent = sent.inspect_err(|_| self.resumed = false)?;
        let Some(read) = self.in_hand.take() else { return Ok(Step::Went) };
        self.accepted(&read, &sent);
        self.cursor.places[read.lane.index()] = read.place;
        self.cursor.note = sent.note.unwrap_or_else(|| std::mem::take(&mut self.cursor.note));
        self.backoff.succeeded();
        self.circuit.works();
        self.store_now()?;
        Ok(Step::Went)
    }

    /// Shows a batch to those who look.
    fn tell(&self, read: &Read, outcome: impl Fn(usize) -> Outcome) {
        self.deps.taps.handed_over(&self.name, &read.batch.frames, outcome);
    }

    /// Counts what became of a batch and sets aside what was refused.
    fn accepted(&mut self, read: &Read, sent: &Sent) {
        let (frames, refused) = (&read.batch.frames, &sent.refused);
        let unnamed: usize = sent.refused_unnamed.iter().map(|unnamed| unnamed.count).sum();
        let accepted = frames.len().saturating_sub(refused.len() + unnamed);
        self.deps.metrics.sent(&self.name, accepted);
        self.shared.status().sent_frames += accepted as u64;
        for Unnamed { count, reason } in &sent.refused_unnamed {
            self.deps.metrics.refused(&self.name, *count);
            self.shared.status().refused_frames += *count as u64;
            tracing::error!(
                forwarder = self.name,
                frames = count,
                reason,
                "The receiver refused results for good and did not say which."
            );
        }
        let Some(first) = refused.first() else { return };
        self.deps.metrics.refused(&self.name, refused.len());
        self.shared.status().refused_frames += refused.len() as u64;
        tracing::error!(
            forwarder = self.name,
            frames = refused.len(),
            reason = first.reason,
            file = %self.deps.aside.path(&self.name).display(),
            "The receiver refused results for good; they are set aside, and what follows goes on."
        );
        let found = refused
            .iter()
            .filter_map(|refused| frames.get(refused.frame).map(|frame| (frame, refused.reason.as_str())));
        if let Err(error) = self.deps.aside.put(&self.name, found) {
            tracing::error!(forwarder = self.name, %error, "Refused results cannot be set aside; they are dropped.");
        }
    }

    fn moved_to(&mut self, lane: Lane, place: Place) {
        if self.cursor.places[lane.index()] != place {
            self.cursor.places[lane.index()] = place;
            self.unstored = true;
        }
    }

    fn store_now(&mut self) -> Result<(), StateError> {
        self.unstored = true;
        self.due = true;
        self.store()
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
        self.set_floors();
        Ok(())
    }

    fn set_floors(&self) {
        for lane in Lane::ALL {
            match self.reading.reads(lane) {
                true => self.lanes.set_floor(&self.name, lane, self.cursor.places[lane.index()]),
                false => self.lanes.leave(&self.name, lane),
            }
        }
    }

    fn wait_after(&mut self, failed: &Failed) -> Duration {
        let wait = self.backoff.failed();
        let wait = match failed {
            Failed::Send(error) => {
                self.deps.metrics.retried(&self.name);
                let (asked, hopeless) = match error {
                    SendError::Later { after, .. } => (after.unwrap_or_default(), false),
                    SendError::Unusable { .. } => (Duration::ZERO, true),
                };
                self.circuit.failed(hopeless, wait).max(asked)
            }
            // Nothing is the matter with the receiver.
            Failed::Read(_) | Failed::Store(_) => wait,
            Failed::Panicked(_) => {
                self.deps.metrics.retried(&self.name);
                wait
            }
        };
        tracing::warn!(forwarder = self.name, error = %failed, ?wait,
            "Results could not be sent; they wait in the journal.");
        wait
    }

    fn show(&mut self, failed: Option<&Failed>) {
        self.shared.status().error = failed.map(ToString::to_string);
        self.show_queue();
    }

    fn show_queue(&mut self) {
        self.shown_at = Instant::now();
        let (queued, oldest) = self.reading.queued(&self.cursor.places);
        self.deps.metrics.waiting(&self.name, queued.bytes, queued.frames, oldest);
        self.deps.metrics.circuit(&self.name, self.circuit.is_open());
        let mut status = self.shared.status();
        status.queued_bytes = queued.bytes;
        status.queued_frames = queued.frames;
        status.oldest_seconds = oldest.as_secs_f64();
        status.circuit_open = self.circuit.is_open();
    }
}
