//! One plugin of the table: its thread, its lane, and what serves in it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::candidate::{Candidate, Rejection};
use super::config::Plugin;
use super::served::Served;
use crate::model::{Digest, Origin};
use crate::pipeline::circuit::Patience;
use crate::pipeline::control::{Control, Ending, NotReady, Prepare};
use crate::pipeline::ends::Ends;
use crate::pipeline::generation::{Generation, Surroundings};
use crate::pipeline::lane::LaneSender;
use crate::pipeline::work::Work;

/// Beyond the deadlines of the calls that a worker may be in: the wait for its commit.
const BOUNDARY_SLACK: Duration = Duration::from_secs(30);
/// Beyond the deadline for its work, a plugin may finish the call that it is in.
const LAST_CALL: Duration = Duration::from_secs(5);

/// A generation and the section it was made of.
pub(super) type Made = (Arc<Generation>, Plugin);

/// A plugin that serves.
pub(super) struct Slot {
    /// What serves, and what may serve again.
    served: Served<Made>,
    /// What its instances may ask for.
    pub(super) surroundings: Surroundings,
    /// Where its work goes.
    pub(super) lane: LaneSender<Work, Control>,
    /// Its thread.
    pub(super) thread: JoinHandle<()>,
    /// When it rests.
    pub(super) patience: Patience,
    /// Threads that have ended by themselves.
    pub(super) ends: Ends,
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
        first: Made,
        surroundings: Surroundings,
        lane: LaneSender<Work, Control>,
        thread: JoinHandle<()>,
        patience: Patience,
    ) -> Self {
        let served = Served::new(first.0.origin.generation, first);
        let ends = Ends::new(patience, Instant::now());
        Self { served, surroundings, lane, thread, patience, ends }
    }

    /// The generation that serves.
    pub(super) fn generation(&self) -> &Arc<Generation> {
        &self.served.current().0
    }

    /// The generation that serves again if that one's first call fails.
    pub(super) fn comes_back(&self) -> Option<&Arc<Generation>> {
        self.served.comes_back().map(|(generation, _)| generation)
    }

    /// The section it was made of.
    pub(super) fn section(&self) -> &Plugin {
        &self.served.current().1
    }

    /// Whether an event is about the generation that serves.
    pub(super) fn is_served_by(&self, origin: &Origin) -> bool {
        self.served.is_current(&origin.generation)
    }

    /// Asks the worker to take a candidate in at its next batch boundary.
    pub(super) fn prepare(&self, candidate: Candidate) -> Result<(Ready, Made), Rejection> {
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
            Ok(Err(NotReady::Refused(reason))) => Err(Rejection::Restore(reason)),
            Ok(Err(NotReady::NotNow(reason))) => Err(Rejection::Snapshot(reason)),
            Err(_) => Err(busy()),
        }
    }

    /// The longest that a worker may take to a batch boundary: a call, its second try, the bisection
    /// of a batch of a million records, and the snapshot.
    fn boundary(&self) -> Duration {
        let limits = &self.generation().limits;
        limits.call_deadline * 22 + limits.configure_deadline * 2 + BOUNDARY_SLACK
    }

    /// The digest of the component alone.
    pub(super) fn component(&self) -> Digest {
        Digest(self.generation().linked.component().digest())
    }

    /// Another generation serves.
    pub(super) fn serves(&mut self, made: Made) {
        self.served.serves(made.0.origin.generation, made);
        self.bound_lane();
    }

    /// The first call of a generation worked.
    pub(super) fn proven(&mut self, generation: &Digest) {
        self.served.proven(generation);
    }

    /// The worker went back to a former generation. Says whether that is what serves now.
    pub(super) fn reverted(&mut self, refused: &Digest, serves: &Digest) -> bool {
        let changed = self.served.reverted(refused, serves);
        self.bound_lane();
        changed
    }

    /// The lane outlives generations, its bound is of the one that serves.
    fn bound_lane(&self) {
        self.lane.set_bound(queue(self.section()));
    }

    /// The generations to keep on disk.
    pub(super) fn generations(&self) -> Vec<Digest> {
        self.served.digests()
    }

    /// Asks the worker to finish what waits.
    pub(super) fn drain(self, ending: Ending) -> Draining {
        let (done, finished) = bounded(1);
        // A worker that is gone already has nothing to finish; the closed channel tells.
        let _ = self.lane.control(Control::Stop { ending, done });
        let plugin = self.section().name.clone();
        Draining { lane: self.lane, finished, thread: self.thread, plugin }
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
    /// did not finish is read again by whoever serves next. The error is the name of a plugin whose thread
    /// had panicked.
    pub(super) fn wait(self, until: Instant) -> Result<(), String> {
        self.wait_twice(until, until + LAST_CALL)
    }

    /// Waits for the work until one moment and for the thread until another.
    fn wait_twice(self, until: Instant, give_up: Instant) -> Result<(), String> {
        if timed_out(&self.finished, until) {
            tracing::warn!(plugin = self.plugin, "The plugin was stopped before it had finished its work.");
            let (done, stopped) = bounded(1);
            // Closed, the lane tells the same as the answer that never comes: the thread has ended.
            let _ = self.lane.control(Control::Stop { ending: Ending::AtOnce, done });
            if timed_out(&stopped, give_up) {
                // It may wait for a commit that is answered only when the journal closes, after the plugins.
                tracing::error!(
                    plugin = self.plugin,
                    "The plugin's thread does not end and is left behind: it waits for a commit, or a call \
                     does not come back. What it has not committed is read again by whoever serves next."
                );
                return Ok(());
            }
        }
        self.thread.join().map_err(|_| {
            tracing::error!(plugin = self.plugin, "The plugin's thread panicked. Please report this.");
            self.plugin
        })
    }
}

fn timed_out(answer: &Receiver<()>, until: Instant) -> bool {
    let left = until.saturating_duration_since(Instant::now());
    answer.recv_timeout(left) == Err(RecvTimeoutError::Timeout)
}

/// The bound of a plugin's lane in bytes.
pub(super) fn queue(section: &Plugin) -> usize {
    usize::try_from(section.limits.queue.0).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::lane::lane;

    #[test]
    fn a_thread_that_does_not_answer_is_left_behind() {
        let (sender, receiver) = lane("stuck", 1);
        let (done, finished) = bounded(1);
        let (go_on, until_told) = bounded::<()>(0);
        let thread = std::thread::spawn(move || {
            // As one that waits for a commit: it looks at no message.
            let _waits = (until_told.recv(), receiver, done);
        });
        let draining = Draining { lane: sender, finished, thread, plugin: "stuck".into() };
        assert_eq!(draining.wait_twice(Instant::now(), Instant::now()), Ok(()));
        drop(go_on);
    }

    #[test]
    fn a_thread_that_panicked_is_named() {
        let (sender, receiver) = lane("p", 1);
        let (done, finished) = bounded(1);
        let thread = std::thread::spawn(move || {
            let _kept = (receiver, done);
            panic!("a bug");
        });
        let draining = Draining { lane: sender, finished, thread, plugin: "p".into() };
        assert_eq!(draining.wait(Instant::now() + Duration::from_secs(3600)), Err("p".into()));
    }

    #[test]
    fn a_thread_that_heeds_the_second_word_is_waited_for() {
        let (sender, receiver) = lane("slow", 1);
        let (done, finished) = bounded(1);
        let ended = Arc::new(());
        let here = ended.clone();
        let thread = std::thread::spawn(move || {
            let _kept = (here, done);
            drop(receiver.next(None, true));
        });
        let draining = Draining { lane: sender, finished, thread, plugin: "slow".into() };
        let waited = draining.wait_twice(Instant::now(), Instant::now() + Duration::from_secs(3600));
        assert_eq!(waited, Ok(()));
        assert_eq!(Arc::strong_count(&ended), 1, "the thread has ended");
    }
}
