//! What the lifecycle tells a plugin's thread.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use picket_sandbox::Instance;

use super::generation::Generation;

/// A message in a plugin's mailbox.
pub enum Control {
    /// Exchange the generation at the next batch boundary.
    Prepare(Box<Prepare>),
    /// Stop.
    Stop {
        /// What is still to be done.
        ending: Ending,
        /// Told when the work is finished.
        done: Sender<()>,
    },
}

/// How a plugin's thread ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As it is; what waits is read again by whoever serves next.
    AtOnce,
    /// With the work that waits, and a last snapshot: the plugin goes on after the agent's next start.
    Drained,
    /// The same, and its alerts end: the plugin was removed.
    Removed,
}

/// A candidate on its way to serve, in two steps: first it takes the memory of the generation that
/// serves, then somebody decides, because several plugins may have to change together.
pub struct Prepare {
    /// The candidate.
    pub generation: Arc<Generation>,
    /// An instance of it, configured and never called.
    pub instance: Instance,
    /// Told whether the candidate is ready, or why it is not.
    pub ready: Sender<Result<(), NotReady>>,
    /// A message means: serve. A closed channel means: give up. The plugin rests until then.
    pub decision: Receiver<()>,
}

/// Why a candidate does not take the memory of the generation that serves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// It refuses it.
    #[error("{0}")]
    Refused(String),
    /// What was stored cannot be read now, or there is no room to take it.
    #[error("{0}")]
    NotNow(String),
}
