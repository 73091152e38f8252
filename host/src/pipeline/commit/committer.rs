//! The callers' side of the commit thread.

use std::convert::Infallible;
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded, select};
use picket_journal::{Position, Tail};

use super::core::Request;
use super::floors::Floors;
use super::thread::Message;
use super::{Commit, CommitError, Drain, Health, Metrics, SamplesWanted, payload};

type Reply = Receiver<Result<Position, CommitError>>;

/// Hands commits to the commit thread. Cheap to clone; for any number of threads.
#[derive(Clone)]
pub struct Committer {
    pub(super) sender: Sender<Message>,
    /// Closed when the commit thread has ended.
    pub(super) ended: Receiver<Infallible>,
    pub(super) tail: Tail,
    pub(super) floors: Floors,
    pub(super) max_bytes: usize,
    pub(super) metrics: Metrics,
    pub(super) health: Health,
    pub(super) samples_wanted: SamplesWanted,
}

impl Committer {
    /// Makes a commit durable and applies it to the state; blocks until both is done. Returns the
    /// position behind it in the journal.
    ///
    /// Commits of one caller are in the journal in the order of its calls; commits of several callers
    /// share a sync.
    pub fn commit(&self, commit: Commit) -> Result<Position, CommitError> {
        let committed = self.send(commit).and_then(|reply| self.answer(&reply));
        counted(&self.metrics, committed)
    }

    /// What a commit came to that was handed in. Nobody answers one that came into the queue when the thread had
    /// looked at it for the last time, so the thread's end is an answer too.
    fn answer(&self, reply: &Reply) -> Result<Position, CommitError> {
        select! {
            recv(reply) -> answer => answer.unwrap_or(Err(CommitError::Stopped)),
            // What it answered, it answered before.
            recv(self.ended) -> _ => reply.try_recv().unwrap_or(Err(CommitError::Stopped)),
        }
    }

    /// Hands a commit in and does not wait for it: while the state fails, that may take very long.
    pub fn submit(&self, commit: Commit) -> Result<Submitted, CommitError> {
        let reply = counted(&self.metrics, self.send(commit))?;
        Ok(Submitted { reply, ended: self.ended.clone(), metrics: self.metrics.clone() })
    }

    /// Whether commits work.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Whether samples are to be committed. Who makes commits leaves them out when they are not; nothing here does.
    pub fn samples_wanted(&self) -> SamplesWanted {
        self.samples_wanted.clone()
    }

    /// The readers' side of the journal.
    pub fn tail(&self) -> Tail {
        self.tail.clone()
    }

    /// Reads the frames of all commits behind a position.
    pub fn drain(&self, from: Position) -> Drain {
        Drain::new(self.tail(), from)
    }

    /// Says up to where a reader needs the journal no more. What lies before is deleted as soon as the
    /// other readers and the state have passed it as well.
    ///
    /// Call it after the cursor was put into the state, with the same position: the commit thread syncs
    /// the state before it acts on a floor, so that no start finds a cursor in deleted segments.
    pub fn set_floor(&self, name: &str, position: Position) {
        self.floors.set(name, position);
    }

    /// Up to where a reader needs the journal no more, by its own word in this run or the last one.
    pub fn floor(&self, name: &str) -> Option<Position> {
        self.floors.of(name)
    }

    /// Names all readers that there are. One that has never set its floor holds everything back; one
    /// that is known from the last run, and not named, nothing any more. Until this is called nothing is
    /// deleted, save at the journal's bound.
    pub fn set_readers(&self, names: &[String]) {
        self.floors.set_readers(names);
    }

    fn send(&self, commit: Commit) -> Result<Reply, CommitError> {
        let (request, reply) = Request::new(commit, self.max_bytes)?;
        self.sender.send(Message::Commit(request)).map_err(|_| CommitError::Stopped)?;
        Ok(reply)
    }
}

/// A commit that was handed in. Dropping it leaves the commit on its way.
pub struct Submitted {
    reply: Reply,
    /// Closed when the commit thread has ended.
    ended: Receiver<Infallible>,
    metrics: Metrics,
}

impl Submitted {
    /// What it came to, as [`Committer::commit`] says it; none when that is not known by then. To be asked
    /// until it is known, and no more.
    pub fn wait(&self, until: Instant) -> Option<Result<Position, CommitError>> {
        let committed = match self.reply.recv_deadline(until) {
            Ok(committed) => committed,
            Err(RecvTimeoutError::Timeout) if self.ended.try_recv() == Err(TryRecvError::Empty) => {
                return None;
            }
            // What the thread answered, it answered before its end.
            Err(RecvTimeoutError::Timeout) => self.reply.try_recv().unwrap_or(Err(CommitError::Stopped)),
            Err(RecvTimeoutError::Disconnected) => Err(CommitError::Stopped),
        };
        Some(counted(&self.metrics, committed))
    }
}

fn counted<T>(metrics: &Metrics, outcome: Result<T, CommitError>) -> Result<T, CommitError> {
    outcome.inspect_err(|error| metrics.failures.with_label_values(&[error.reason()]).inc())
}

impl Request {
    /// Checks and packs a commit, on the thread of its caller.
    pub(super) fn new(
        commit: Commit,
        max_bytes: usize,
    ) -> Result<(Self, Receiver<Result<Position, CommitError>>), CommitError> {
        commit.writes.iter().try_for_each(crate::state::Write::check)?;
        let payload = payload::encode(&commit).map_err(|error| CommitError::Encode(error.to_string()))?;
        if payload.len() > max_bytes {
            return Err(CommitError::TooLarge { bytes: payload.len(), limit: max_bytes });
        }
        let (reply, receiver) = bounded(1);
        Ok((Self { payload, writes: commit.writes, reply }, receiver))
    }
}
