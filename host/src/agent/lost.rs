//! Threads without which the agent does not do its work, and that cannot be started anew while it runs. When
//! one has ended, which it does by a bug only, the agent stops and says so with its exit code: whoever keeps it
//! running starts it again, and it goes on where results were committed.

use std::convert::Infallible;

use crossbeam_channel::Receiver;

/// For each such thread a channel that is closed when it has ended.
pub(super) struct Lifelines {
    /// Of the commit thread.
    pub(super) commit: Receiver<Infallible>,
    /// Of the thread of all `file` sources.
    pub(super) files: Receiver<Infallible>,
    /// Of the thread that fills the lanes.
    pub(super) lanes: Receiver<Infallible>,
}

/// The thread that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Nothing can be committed.
    #[error(
        "the commit thread has ended by a bug, so the agent has stopped; start it again, nothing that was \
         committed is lost; please report this with its log"
    )]
    Commit,
    /// No log file is read.
    #[error(
        "the thread that reads log files has ended by a bug, so the agent has stopped; start it again, it goes \
         on where results were committed; please report this with its log"
    )]
    Files,
    /// Nothing reaches a receiver.
    #[error(
        "the thread that hands results to the forwarders has ended by a bug, so the agent has stopped; start it \
         again, nothing that was committed is lost; please report this with its log"
    )]
    Lanes,
}
