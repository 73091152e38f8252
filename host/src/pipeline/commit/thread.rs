//! The thread around the core.

use std::convert::Infallible;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use picket_journal::Journal;

use super::core::{Core, Request};
use super::health::Watch;
use super::{CommitError, Committer, Config, GROUP_BYTES, Metrics, SamplesWanted};
use crate::state::State;

/// Callers wait for their answer, all but the few of [`Committer::submit`], so hardly more than one commit per
/// calling thread is ever queued.
const QUEUE: usize = 256;

pub(super) enum Message {
    Commit(Request),
    Stop,
}

/// Brings the state up to the journal's end, then starts the commit thread.
///
/// Say who reads with [`Committer::set_readers`]: no segment is deleted before.
pub fn start(
    journal: Journal,
    state: State,
    config: Config,
    metrics: Metrics,
) -> Result<(Committer, CommitThread), CommitError> {
    let max_bytes = config.journal().max_record_bytes as usize;
    let core = Core::open(journal, state, config, metrics.clone())?;
    let floors = core.floors();
    let (sender, receiver) = bounded(QUEUE);
    let (health, tail) = (core.health(), core.journal().tail());
    let (lives, ended) = bounded(0);
    let committer = Committer {
        sender: sender.clone(),
        ended: ended.clone(),
        tail,
        floors,
        max_bytes,
        metrics,
        health,
        samples_wanted: SamplesWanted::default(),
    };
    let thread = std::thread::Builder::new().name("commit".into()).spawn(move || {
        let _lives = lives;
        run(core, &receiver)
    });
    let thread = thread.map_err(|error| CommitError::Thread(Arc::new(error)))?;
    Ok((committer, CommitThread { sender, ended, thread: Some(thread) }))
}

/// The running commit thread. Dropping it stops it as well.
pub struct CommitThread {
    sender: Sender<Message>,
    ended: Receiver<Infallible>,
    thread: Option<JoinHandle<Result<(), CommitError>>>,
}

impl CommitThread {
    /// Finishes the commits that have been handed in, syncs the state and ends the thread. Later
    /// commits fail with [`CommitError::Stopped`].
    pub fn stop(mut self) -> Result<(), CommitError> {
        self.join()
    }

    /// A channel that is closed when the thread has ended, which it does unasked only by a panic: nothing can
    /// be committed any more, and the journal has all that was.
    pub fn ended(&self) -> Receiver<Infallible> {
        self.ended.clone()
    }

    fn join(&mut self) -> Result<(), CommitError> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        // It fails only when the thread has ended already.
        let _ = self.sender.send(Message::Stop);
        thread.join().unwrap_or(Err(CommitError::Stopped))
    }
}

impl Drop for CommitThread {
    fn drop(&mut self) {
        if let Err(error) = self.join() {
            tracing::error!(%error, "The commit thread did not end well.");
        }
    }
}

fn run(mut core: Core, messages: &Receiver<Message>) -> Result<(), CommitError> {
    let _watch = Watch(core.health());
    loop {
        let stop = match messages.recv_timeout(core.next_maintenance()) {
            Ok(Message::Commit(first)) => {
                let (group, stop) = gather(first, messages);
                core.group(group);
                stop
            }
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => true,
            Err(RecvTimeoutError::Timeout) => false,
        };
        if stop {
            break;
        }
        core.maintain();
    }
    // Handed in before the stop, by callers that were blocked.
    while let Ok(Message::Commit(first)) = messages.try_recv() {
        let (group, _) = gather(first, messages);
        core.group(group);
    }
    core.close()
}

/// Takes what waits besides the first, up to a bound. Says whether it met the stop.
fn gather(first: Request, messages: &Receiver<Message>) -> (Vec<Request>, bool) {
    let mut bytes = first.payload.len();
    let mut group = vec![first];
    while bytes < GROUP_BYTES {
        match messages.try_recv() {
            Ok(Message::Commit(request)) => {
                bytes += request.payload.len();
                group.push(request);
            }
            Ok(Message::Stop) => return (group, true),
            Err(_) => break,
        }
    }
    (group, false)
}
