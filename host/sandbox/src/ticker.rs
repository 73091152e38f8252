//! The thread that makes running guests look at the clock.
//!
//! It raises the engine's epoch every tick, but only while guests run: some ticks after the last
//! call it sleeps until the next one. Waking it costs a system call, so it does not go to sleep
//! between two calls that follow each other closely.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

/// Ticks without any call before the thread goes to sleep. A node whose plugins are called every second
/// would pay for more of them than for the calls.
const IDLE_TICKS: u32 = 20;

/// Shared by the thread and the calls.
struct Shared {
    /// Calls running now.
    running: AtomicU32,
    /// Calls ever begun, so that the thread notices those that came and went between two ticks.
    begun: AtomicU64,
    asleep: AtomicBool,
    stop: AtomicBool,
}

/// The ticking thread. It ends when this is dropped.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    waker: Thread,
}

impl Ticker {
    pub(crate) fn start(engine: wasmtime::Engine, tick: Duration) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            running: AtomicU32::new(0),
            begun: AtomicU64::new(0),
            asleep: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let thread = thread::Builder::new().name("picket-ticker".into()).spawn({
            let shared = shared.clone();
            move || run(&shared, &engine, tick)
        })?;
        let waker = thread.thread().clone();
        Ok(Self { shared, thread: Some(thread), waker })
    }

    /// Keeps the epoch moving until the returned guard is dropped.
    pub(crate) fn running(&self) -> Running<'_> {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        self.shared.begun.fetch_add(1, Ordering::Relaxed);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.waker.unpark();
        }
        Running(&self.shared)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.waker.unpark();
        if let Some(thread) = self.thread.take() {
            // The thread's loop cannot panic; were it to, there is nothing left to stop.
            let _ = thread.join();
        }
    }
}

/// While this lives the epoch moves.
pub(crate) struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

fn run(shared: &Shared, engine: &wasmtime::Engine, tick: Duration) {
    let mut seen = 0;
    let mut idle = 0;
    while !shared.stop.load(Ordering::SeqCst) {
        let begun = shared.begun.load(Ordering::Relaxed);
        let busy = begun != seen || shared.running.load(Ordering::SeqCst) > 0;
        seen = begun;
        idle = if busy { 0 } else { idle + 1 };
        if idle > IDLE_TICKS {
            shared.asleep.store(true, Ordering::SeqCst);
            // Must be looked at after `asleep` is set: a call that began before saw no sleeper to wake.
            while shared.running.load(Ordering::SeqCst) == 0
                && shared.begun.load(Ordering::Relaxed) == seen
                && !shared.stop.load(Ordering::SeqCst)
            {
                thread::park();
            }
            shared.asleep.store(false, Ordering::SeqCst);
            idle = 0;
        }
        // Parking instead of sleeping lets `drop` end the thread at once; a tick that comes early
        // does no harm, since guests look at the clock, not at the number of ticks.
        thread::park_timeout(tick);
        engine.increment_epoch();
    }
}
