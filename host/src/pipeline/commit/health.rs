//! Whether commits work, for readiness and the status. It decides nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What keeps commits from working now. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<Option<Trouble>>>);

#[derive(Debug)]
struct Trouble {
    reason: String,
    /// A full disk is the cause.
    full: bool,
}

impl Health {
    /// The trouble, if there is any: it holds until a commit has worked, or the state is up to date again.
    pub fn trouble(&self) -> Option<String> {
        self.lock().as_ref().map(|trouble| trouble.reason.clone())
    }

    pub(super) fn is_full(&self) -> bool {
        self.lock().as_ref().is_some_and(|trouble| trouble.full)
    }

    pub(super) fn fails(&self, reason: &impl ToString, full: bool) {
        *self.lock() = Some(Trouble { reason: reason.to_string(), full });
    }

    pub(super) fn works(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Trouble>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by the commit thread: when it ends by a panic, nothing can be committed any more.
pub(super) struct Watch(pub(super) Health);

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let reason = "the commit thread has ended by a bug; restart the agent, and please report its log";
            tracing::error!(reason, "Nothing can be committed any more.");
            self.0.fails(&reason, false);
        }
    }
}
