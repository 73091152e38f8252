//! One plugin of the table: its thread, its lane, and what serves in it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::candidate::{Candidate, Rejection};
use super::config::Plugin;
use crate::model::Digest;
use crate::pipeline::control::{Control, Prepare};
use crate::pipeline::generation::{Generation, Surroundings};
use crate::pipeline::lane::LaneSender;
use crate::pipeline::work::Work;

/// Beyond the deadlines of the calls that a worker may be in: the wait for its commit.
const BOUNDARY_SLACK: Duration = Duration::from_secs(30);

/// A plugin that serves.
pub(super) struct Slot {
    /// What serves.
    pub(super) generation: Arc<Generation>,
    /// The section it was made of.
    pub(super) section: Plugin,
    /// What served before, while it is worth coming back to.
    previous: Option<(Arc<Generation>, Plugin)>,
    /// What its instances may ask for.
    pub(super) surroundings: Surroundings,
    /// Where its work goes.
    pub(super) lane: LaneSender<Work, Control>,
    /// Its thread.
    pub(super) thread: JoinHandle<()>,
}

/// A candidate that has taken its predecessor's memory and waits for the word.
pub(super) struct Ready {
    decision: Sender<()>,
}

impl Ready {
    /// The candidate serves from now on. Dropping it instead gives the candidate up.
    pub(super) fn serve(self) {
        // A worker that is gone serves nobody.
        let _ = self.decision.send(());
    }
}

impl Slot {
    /// A new slot.
    pub(super) fn new(
        candidate_of: (Arc<Generation>, Plugin),
        surroundings: Surroundings,
        lane: LaneSender<Work, Control>,
        thread: JoinHandle<()>,
    ) -> Self {
        let (generation, section) = candidate_of;
        Self { generation, section, previous: None, surroundings, lane, thread }
    }

    /// Asks the worker to take a candidate in at its next batch boundary.
    pub(super) fn prepare(
        &self,
        candidate: Candidate,
    ) -> Result<(Ready, (Arc<Generation>, Plugin)), Rejection> {
        let (ready, answer) = bounded(1);
        let (decision, decided) = bounded(1);
        let generation = candidate.generation.clone();
        let section = candidate.staged.section.clone();
        let prepare = Prepare {
            generation: candidate.generation,
            instance: candidate.instance,
            ready,
            decision: decided,
        };
        let patience = self.boundary();
        let busy = || Rejection::Busy(patience);
        self.lane.control(Control::Prepare(Box::new(prepare))).map_err(|_| busy())?;
        match answer.recv_timeout(patience) {
            Ok(Ok(())) => Ok((Ready { decision }, (generation, section))),
            Ok(Err(reason)) => Err(Rejection::Restore(reason)),
            Err(_) => Err(busy()),
        }
    }

    /// The longest that a worker may take to a batch boundary: a call, its second try, the bisection
    /// of a batch of a million records, and the snapshot.
    fn boundary(&self) -> Duration {
        let limits = &self.generation.limits;
        limits.call_deadline * 22 + limits.configure_deadline * 2 + BOUNDARY_SLACK
    }

    /// The digest of the component alone.
    pub(super) fn component(&self) -> Digest {
        Digest(self.generation.linked.component().digest())
    }

    /// Another generation serves.
    pub(super) fn serves(&mut self, generation: Arc<Generation>, section: Plugin) {
        let generation = std::mem::replace(&mut self.generation, generation);
        let section = std::mem::replace(&mut self.section, section);
        self.previous = Some((generation, section));
    }

    /// The former generation serves again.
    pub(super) fn put_back(&mut self) {
        if let Some((generation, section)) = self.previous.take() {
            self.generation = generation;
            self.section = section;
        }
    }

    /// The generations to keep on disk.
    pub(super) fn generations(&self) -> Vec<Digest> {
        let previous = self.previous.as_ref().map(|(generation, _)| generation.origin.generation);
        std::iter::once(self.generation.origin.generation).chain(previous).collect()
    }

    /// Asks the worker to finish what waits.
    pub(super) fn drain(self) -> Draining {
        let (done, finished) = bounded(1);
        // A worker that is gone already has nothing to finish; the closed channel tells.
        let _ = self.lane.control(Control::Stop { drain: true, done });
        Draining { lane: self.lane, finished, thread: self.thread, plugin: self.section.name }
    }
}

/// A plugin on its way out.
pub(super) struct Draining {
    lane: LaneSender<Work, Control>,
    finished: Receiver<()>,
    thread: JoinHandle<()>,
    plugin: String,
}

impl Draining {
    /// Waits until it is finished or the deadline has passed; then it is stopped as it is, and what it
    /// did not finish is read again by whoever serves next.
    pub(super) fn wait(self, until: Instant) {
        let left = until.saturating_duration_since(Instant::now());
        if self.finished.recv_timeout(left) == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
            tracing::warn!(plugin = self.plugin, "The plugin was stopped before it had finished its work.");
            let (done, _) = bounded(1);
            let _ = self.lane.control(Control::Stop { drain: false, done });
        }
        if self.thread.join().is_err() {
            tracing::error!(plugin = self.plugin, "The plugin's thread panicked. Please report this.");
        }
    }
}
