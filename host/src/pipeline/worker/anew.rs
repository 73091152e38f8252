//! The first moments of a thread that follows one that panicked: upstream is told, and the plugin rests.
//!
//! The plugin can be exchanged, drained and removed while it rests, as always. Its memory and its place are
//! what was committed last. How long it rests is decided by the lifecycle.

use std::time::{Duration, Instant};

use super::{Event, Worker};
use crate::model::LifecycleEvent;

/// Why a plugin has another thread, and how long it rests first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anew {
    /// The message of the panic that ended the thread before.
    pub reason: String,
    /// Before it takes work.
    pub pause: Duration,
}

impl Worker {
    /// Commits at once that the thread before has ended, since this one may end soon too.
    pub(super) fn rest_at_first(&mut self) {
        let Some(Anew { reason, pause }) = self.anew.clone() else { return };
        let until = Instant::now() + pause;
        self.notice(LifecycleEvent::ThreadEnded, reason);
        // What was committed last is still on its way: a full commit would wait for more than the notice.
        self.commit_notices();
        self.not_before = Some(until);
    }

    /// The rest is over: the plugin takes work again.
    pub(super) fn rested(&mut self) {
        if self.anew.take().is_some() {
            self.tell(Event::Circuit { origin: self.generation.origin.clone(), open: None });
        }
    }
}
