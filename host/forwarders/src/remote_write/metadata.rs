//! When a receiver is told what metrics are and mean.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use crate::{Description, MetricType};

/// How often it is looked whether something has changed, and the shortest interval.
pub(super) const LOOK: Duration = Duration::from_secs(10);
/// Families of one request; as many as Prometheus sends.
pub(super) const FAMILIES: usize = 500;
/// More families than any agent has metrics.
const MAX_FAMILIES: usize = 20_000;

/// What was told when.
#[derive(Debug)]
pub(super) struct Metadata {
    /// None to tell nothing.
    interval: Option<Duration>,
    looked: Option<Instant>,
    told: Option<(Instant, u64)>,
}

impl Metadata {
    /// With zero for never.
    pub(super) fn every(interval: Duration) -> Self {
        let interval = (!interval.is_zero()).then(|| interval.max(LOOK));
        Self { interval, looked: None, told: None }
    }

    /// What is to be told now; nothing most of the time. What is returned counts as told.
    pub(super) fn due(&mut self, now: Instant, known: impl FnOnce() -> Vec<Description>) -> Vec<Description> {
        let Some(interval) = self.interval else { return Vec::new() };
        if self.looked.is_some_and(|looked| now.duration_since(looked) < LOOK) {
            return Vec::new();
        }
        self.looked = Some(now);
        let mut known = known();
        known.truncate(MAX_FAMILIES);
        let hash = hash(&known);
        match self.told {
            Some((told, before)) if before == hash && now.duration_since(told) < interval => Vec::new(),
            _ => {
                self.told = Some((now, hash));
                known
            }
        }
    }
}

fn hash(known: &[Description]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for description in known {
        let kind = match description.kind {
            MetricType::Counter => 0,
            MetricType::Gauge => 1,
            MetricType::Histogram => 2,
        };
        (&description.name, kind, &description.help).hash(&mut hasher);
    }
    hasher.finish()
}
