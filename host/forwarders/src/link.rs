//! What the agent gives a forwarder to work with. Clones share the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::watch;

/// What a metric is, as far as its maker has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricType {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// `_bucket`, `_sum` and `_count` series.
    Histogram,
}

/// What a metric is and means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The name of the family: for histograms without `_bucket`, `_sum` and `_count`.
    pub name: String,
    /// What it is.
    pub kind: MetricType,
    /// One sentence.
    pub help: String,
}

/// Lists what metrics are.
type Descriptions = Arc<dyn Fn() -> Vec<Description> + Send + Sync>;
/// Told of each answer.
type RoundTrips = Arc<dyn Fn(Duration) + Send + Sync>;

/// What a forwarder works with.
#[derive(Clone)]
pub struct Link {
    /// Where its network connections run; a forwarder itself may block.
    pub runtime: Handle,
    /// This machine's name, for labels and handshakes.
    pub node: Arc<str>,
    stop: watch::Receiver<Option<Instant>>,
    descriptions: Descriptions,
    round_trips: RoundTrips,
}

impl Link {
    /// With a channel that tells until when requests may go on, once the agent stops.
    pub fn new(runtime: Handle, node: &str, stop: watch::Receiver<Option<Instant>>) -> Self {
        let (descriptions, round_trips) = (Arc::new(Vec::new), Arc::new(|_| ()));
        Self { runtime, node: node.into(), stop, descriptions, round_trips }
    }

    /// With the descriptions of the metrics whose samples are sent.
    #[must_use]
    pub fn describing(mut self, descriptions: impl Fn() -> Vec<Description> + Send + Sync + 'static) -> Self {
        self.descriptions = Arc::new(descriptions);
        self
    }

    /// Telling how long each answer took.
    #[must_use]
    pub fn timing(mut self, round_trips: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        self.round_trips = Arc::new(round_trips);
        self
    }

    /// What metrics are, as far as it is known now.
    pub fn descriptions(&self) -> Vec<Description> {
        (self.descriptions)()
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
