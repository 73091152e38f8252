//! Where requests run, and until when. Clones share the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::watch;

/// Told of each answer.
type RoundTrips = Arc<dyn Fn(Duration) + Send + Sync>;

/// What a client works with.
#[derive(Clone)]
pub struct Net {
    /// Where network connections run; who waits for them may block.
    pub runtime: Handle,
    stop: watch::Receiver<Option<Instant>>,
    round_trips: RoundTrips,
}

impl Net {
    /// With a channel that tells until when requests may go on, once the agent stops.
    pub fn new(runtime: Handle, stop: watch::Receiver<Option<Instant>>) -> Self {
        Self { runtime, stop, round_trips: Arc::new(|_| ()) }
    }

    /// Telling how long each answer took.
    #[must_use]
    pub fn timing(mut self, round_trips: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        self.round_trips = Arc::new(round_trips);
        self
    }

    /// An answer came after so long.
    pub fn answered(&self, after: Duration) {
        (self.round_trips)(after);
    }

    /// Whether there is no more time.
    pub fn is_stopped(&self) -> bool {
        self.stop.borrow().is_some_and(|until| until <= Instant::now())
    }

    /// Returns when there is no more time: what waits for the network waits for this as well.
    pub async fn stopped(&self) {
        let mut stop = self.stop.clone();
        loop {
            let until = *stop.borrow_and_update();
            let changed = match until {
                Some(until) => tokio::select! {
                    () = tokio::time::sleep_until(until.into()) => return,
                    changed = stop.changed() => changed,
                },
                None => stop.changed().await,
            };
            if changed.is_err() {
                // Nobody is left who could say until when: the last word counts.
                match until {
                    Some(until) => tokio::time::sleep_until(until.into()).await,
                    None => std::future::pending().await,
                }
                return;
            }
        }
    }
}
