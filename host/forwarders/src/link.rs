//! What the agent gives a forwarder to work with. Clones share the same.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use picket_http::Net;
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

/// What a forwarder works with.
#[derive(Clone)]
pub struct Link {
    /// This machine's name, for labels and handshakes.
    pub node: Arc<str>,
    net: Net,
    descriptions: Descriptions,
}

impl Link {
    /// With a channel that tells until when requests may go on, once the agent stops.
    pub fn new(runtime: Handle, node: &str, stop: watch::Receiver<Option<Instant>>) -> Self {
        Self { node: node.into(), net: Net::new(runtime, stop), descriptions: Arc::new(Vec::new) }
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
        self.net = self.net.timing(round_trips);
        self
    }

    /// What metrics are, as far as it is known now.
    pub fn descriptions(&self) -> Vec<Description> {
        (self.descriptions)()
    }
}

/// A forwarder's link is used as what its connections run on, too.
impl Deref for Link {
    type Target = Net;

    fn deref(&self) -> &Net {
        &self.net
    }
}
