//! The commit thread panics: everybody learns of it, nobody waits for it, and the next start has all that was
//! made durable.

use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{RecvError, TryRecvError};

use super::*;
use crate::state::{Batch, KeyValue, StateError, Table};

/// A store with a bug that shows when it is told to.
struct Buggy {
    table: Arc<MemoryTable>,
    panics: AtomicBool,
}

impl Table for Buggy {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.table.get(key)
    }
    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<KeyValue>, StateError> {
        self.table.scan(prefix, after, limit)
    }
    fn apply(&self, batch: Batch) -> Result<(), StateError> {
        assert!(!self.panics.load(Ordering::Relaxed), "a bug of the store");
        self.table.apply(batch)
    }
    fn sync(&self) -> Result<(), StateError> {
        self.table.sync()
    }
    fn reopen(&self) -> Result<(), StateError> {
        self.table.reopen()
    }
    fn bytes(&self) -> u64 {
        self.table.bytes()
    }
}

#[test]
fn a_commit_that_came_into_the_queue_too_late_does_not_wait_for_ever() {
    let machine = Machine::new(0);
    let (committer, thread, _state) = machine.start(Config::default());
    thread.stop().unwrap();
    // As between the thread's last look at its queue and the queue's end.
    let (sender, queue) = crossbeam_channel::bounded(2);
    let committer = Committer { sender, ..committer };
    assert!(matches!(committer.commit(batch("p", 0, 1)), Err(CommitError::Stopped)));
    let submitted = committer.submit(batch("p", 0, 1)).unwrap();
    assert!(matches!(submitted.wait(std::time::Instant::now()), Some(Err(CommitError::Stopped))));
    assert_eq!(queue.len(), 2, "nobody has taken them");
}

#[test]
fn a_commit_thread_that_panics_closes_its_lifeline_and_fails_all_commits() {
    let machine = Machine::new(0);
    let buggy = Arc::new(Buggy { table: machine.table.clone(), panics: false.into() });
    let (journal, _) = machine.parts();
    let state = State::with_table(buggy.clone()).unwrap();
    let (committer, thread) = start(journal, state.clone(), Config::default(), metrics()).unwrap();
    committer.commit(batch("p", 0, 1)).unwrap();
    assert_eq!(thread.ended().try_recv(), Err(TryRecvError::Empty));
    assert_eq!(committer.health().trouble(), None);
    buggy.panics.store(true, Ordering::Relaxed);
    // It is in the journal by then, but nobody may rely on it: the agent stops.
    assert!(matches!(committer.commit(batch("p", 1, 2)), Err(CommitError::Stopped)));
    assert_eq!(thread.ended().recv(), Err(RecvError));
    assert!(matches!(committer.commit(batch("q", 0, 1)), Err(CommitError::Stopped)));
    assert!(committer.health().trouble().unwrap().contains("a bug"));
    assert!(matches!(thread.stop(), Err(CommitError::Stopped)));
    drop((committer, state));

    let (committer, _thread, state) = machine.start(Config::default());
    assert_eq!((counter(&state, "p"), counter(&state, "q")), (2, 0));
    let found = records(&mut committer.tail().reader(Position::ZERO));
    assert_eq!(found, [("p".to_owned(), 0), ("p".to_owned(), 1)]);
}
