//! The bounded queue between a source and one plugin's thread, and the plugin's mailbox for control.
//!
//! A lane belongs to a plugin's thread and outlives its generations: a swap is a message in the
//! mailbox, taken before any work that waits. A source asks [`LaneSender::has_room`] first and keeps
//! its place when there is none, so nothing is ever dropped here.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::model::{Block, Selection};

/// Records on their way to a plugin.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Shared with the other plugins that read it.
    pub block: Arc<Block>,
    /// What of the block this plugin wants; may be nothing, then only the checkpoint counts.
    pub selection: Selection,
    /// The id of the interest that made the selection. A worker whose interest is another by now
    /// selects again.
    pub interest: u64,
    /// Records of the stream since the last delivery that lay in blocks which held nothing for this
    /// plugin and were not delivered.
    pub passed_over: u64,
}

/// The interest of a plugin whose generation may still give way to the former one: it is handed every block,
/// so that whichever serves in the end can choose.
pub const UNSETTLED: u64 = 0;

/// The lane's other end is gone: the plugin was removed, or its thread has panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the plugin's thread is gone")]
pub struct Closed;

struct Queue<W, C> {
    work: VecDeque<(W, usize)>,
    control: VecDeque<C>,
    bytes: usize,
    closed: bool,
}

struct Shared<W, C> {
    plugin: String,
    id: u64,
    /// A number by itself: nothing else depends on when a new one is seen.
    bound: AtomicUsize,
    /// The interest by which the plugin wants its records chosen now; 0 for: choose nothing for it.
    interest: AtomicU64,
    // A mutex and a condition variable instead of channels: one wait for both queues, and the bound
    // is in bytes.
    queue: Mutex<Queue<W, C>>,
    filled: Condvar,
    /// Called when room appears, so that a source need not poll.
    drained: Condvar,
}

impl<W, C> Shared<W, C> {
    fn bound(&self) -> usize {
        self.bound.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Queue<W, C>> {
        // A panic while holding the lock leaves both queues whole: every change is one push or pop.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end that sources and the lifecycle hold.
pub struct LaneSender<W, C> {
    shared: Arc<Shared<W, C>>,
}

impl<W, C> Clone for LaneSender<W, C> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

/// The end that the plugin's thread holds. Dropping it closes the lane.
pub struct LaneReceiver<W, C> {
    shared: Arc<Shared<W, C>>,
}

/// What a plugin's thread wakes up for.
#[derive(Debug, PartialEq, Eq)]
pub enum Wake<W, C> {
    /// A message from the lifecycle; always before work.
    Control(C),
    /// Work of the given size in bytes.
    Work(W),
    /// The deadline passed.
    Timeout,
}

/// Makes a lane that holds work until it is more than `bound` bytes: the last one may exceed it.
pub fn lane<W, C>(plugin: impl Into<String>, bound: usize) -> (LaneSender<W, C>, LaneReceiver<W, C>) {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let shared = Arc::new(Shared {
        plugin: plugin.into(),
        id: NEXT.fetch_add(1, Ordering::Relaxed),
        bound: AtomicUsize::new(bound),
        interest: AtomicU64::new(UNSETTLED),
        queue: Mutex::new(Queue { work: VecDeque::new(), control: VecDeque::new(), bytes: 0, closed: false }),
        filled: Condvar::new(),
        drained: Condvar::new(),
    });
    (LaneSender { shared: shared.clone() }, LaneReceiver { shared })
}

impl<W, C> LaneSender<W, C> {
    /// The plugin's name in the configuration.
    pub fn plugin(&self) -> &str {
        &self.shared.plugin
    }

    /// Unique in this process. A source that meets a new id starts from the committed checkpoint.
    pub fn id(&self) -> u64 {
        self.shared.id
    }

    /// Whether the next [`send`](Self::send) stays within the bound. Each stream has one sender, so the
    /// answer may only be outdated by other streams of the same plugin: a bound of a few blocks is then
    /// exceeded by one each.
    pub fn has_room(&self) -> bool {
        self.shared.lock().bytes < self.shared.bound()
    }

    /// Changes the bound; what waits already stays.
    pub fn set_bound(&self, bound: usize) {
        self.shared.bound.store(bound, Ordering::Relaxed);
        // Taken and given back, so that nobody is between a look at the old bound and the wait.
        drop(self.shared.lock());
        self.shared.drained.notify_all();
    }

    /// The interest by which the plugin wants its records chosen, or [`UNSETTLED`].
    pub fn interest(&self) -> u64 {
        self.shared.interest.load(Ordering::Acquire)
    }

    /// Bytes that wait.
    pub fn waiting(&self) -> usize {
        self.shared.lock().bytes
    }

    /// Whether the plugin was removed, or its thread has panicked.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().closed
    }

    /// Queues work of a size in bytes; never blocks.
    pub fn send(&self, work: W, bytes: usize) -> Result<(), Closed> {
        let mut queue = self.shared.lock();
        if queue.closed {
            return Err(Closed);
        }
        queue.bytes += bytes;
        queue.work.push_back((work, bytes));
        drop(queue);
        self.shared.filled.notify_one();
        Ok(())
    }

    /// Waits until there is room or the deadline has passed; says whether there is room.
    pub fn wait_for_room(&self, deadline: Instant) -> Result<bool, Closed> {
        let mut queue = self.shared.lock();
        loop {
            if queue.closed {
                return Err(Closed);
            }
            if queue.bytes < self.shared.bound() {
                return Ok(true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            queue = self.shared.drained.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Puts a message into the mailbox, ahead of all work.
    pub fn control(&self, message: C) -> Result<(), Closed> {
        let mut queue = self.shared.lock();
        if queue.closed {
            return Err(Closed);
        }
        queue.control.push_back(message);
        drop(queue);
        self.shared.filled.notify_one();
        Ok(())
    }
}

impl<W, C> LaneReceiver<W, C> {
    /// Says by which interest records are to be chosen from now on, or [`UNSETTLED`].
    pub fn set_interest(&self, id: u64) {
        self.shared.interest.store(id, Ordering::Release);
    }

    /// Waits for a message or for work, or until `deadline`. With `only_control`, work keeps waiting.
    pub fn next(&self, deadline: Option<Instant>, only_control: bool) -> Wake<W, C> {
        let mut queue = self.shared.lock();
        loop {
            if let Some(message) = queue.control.pop_front() {
                return Wake::Control(message);
            }
            if !only_control && let Some((work, bytes)) = queue.work.pop_front() {
                queue.bytes -= bytes;
                drop(queue);
                self.shared.drained.notify_all();
                return Wake::Work(work);
            }
            queue = match deadline {
                None => self.shared.filled.wait(queue).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Wake::Timeout;
                    }
                    self.shared.filled.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl<W: Send + 'static, C: Send + 'static> LaneReceiver<W, C> {
    /// Tells whether a message waits, for work that takes long enough to be broken off for one.
    pub fn control_waits(&self) -> impl Fn() -> bool + Send + 'static {
        let shared = Arc::clone(&self.shared);
        move || !shared.lock().control.is_empty()
    }
}

impl<W, C> LaneReceiver<W, C> {
    /// Takes the next work if it waits already and satisfies a condition.
    pub fn next_if(&self, condition: impl FnOnce(&W) -> bool) -> Option<W> {
        let mut queue = self.shared.lock();
        if !queue.work.front().is_some_and(|(work, _)| condition(work)) {
            return None;
        }
        let (work, bytes) = queue.work.pop_front()?;
        queue.bytes -= bytes;
        drop(queue);
        self.shared.drained.notify_all();
        Some(work)
    }
}

impl<W, C> Drop for LaneReceiver<W, C> {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        queue.work.clear();
        queue.control.clear();
        queue.bytes = 0;
        drop(queue);
        self.shared.drained.notify_all();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::time::Duration;

    fn soon() -> Option<Instant> {
        Some(Instant::now() + Duration::from_millis(1))
    }

    #[test]
    fn control_overtakes_work() {
        let (sender, receiver) = lane::<u8, &str>("p", 10);
        let control_waits = receiver.control_waits();
        sender.send(1, 1).unwrap();
        assert!(!control_waits());
        sender.control("swap").unwrap();
        assert!(control_waits());
        assert_eq!(receiver.next(None, false), Wake::Control("swap"));
        assert_eq!(receiver.next(soon(), true), Wake::Timeout);
        assert_eq!(receiver.next(None, false), Wake::Work(1));
        assert_eq!(receiver.next(soon(), false), Wake::Timeout);
    }

    #[test]
    fn room_ends_at_the_bound_and_comes_back() {
        let (sender, receiver) = lane::<u8, ()>("p", 10);
        sender.send(1, 11).unwrap();
        assert!(!sender.has_room());
        assert_eq!(sender.wait_for_room(Instant::now()), Ok(false));
        assert_eq!(receiver.next(None, false), Wake::Work(1));
        assert_eq!(sender.wait_for_room(Instant::now()), Ok(true));
    }

    #[test]
    fn a_new_bound_holds_for_what_waits_already() {
        let (sender, _receiver) = lane::<u8, ()>("p", 10);
        sender.send(1, 11).unwrap();
        sender.set_bound(12);
        assert!(sender.has_room());
        sender.set_bound(11);
        assert_eq!(sender.wait_for_room(Instant::now()), Ok(false));
    }

    #[test]
    fn a_dropped_receiver_closes_the_lane() {
        let (sender, receiver) = lane::<u8, ()>("p", 10);
        drop(receiver);
        assert_eq!(sender.send(1, 1), Err(Closed));
        assert_eq!(sender.control(()), Err(Closed));
        assert_eq!(sender.wait_for_room(Instant::now()), Err(Closed));
    }
}
