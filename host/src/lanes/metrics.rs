//! What the feeder counts.

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::model::Lane;

/// Metrics of the lanes. Clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    frames: IntCounterVec,
    bytes: IntGaugeVec,
    expelled: IntCounterVec,
    failures: IntCounterVec,
    gaps: IntCounterVec,
}

impl Metrics {
    /// Makes and registers them. Fails when a metric of such a name is registered already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounterVec::new(Opts::new(name, help), &["lane"])?;
            registry.register(Box::new(counter.clone()))?;
            for lane in Lane::ALL {
                counter.with_label_values(&[lane.name()]);
            }
            Ok::<_, prometheus::Error>(counter)
        };
        let bytes = Opts::new("picket_lane_bytes", "Size of a lane of the journal on disk.");
        let bytes = IntGaugeVec::new(bytes, &["lane"])?;
        registry.register(Box::new(bytes.clone()))?;
        Ok(Self {
            bytes,
            frames: counter("picket_lane_frames_total", "Frames that came into a lane of the journal.")?,
            expelled: counter(
                "picket_lane_expelled_bytes_total",
                "Bytes of a lane deleted at its bound of size or age before every forwarder had passed them.",
            )?,
            failures: counter(
                "picket_lane_failures_total",
                "Failed writes to a lane; they are tried again, and commits wait in the journal meanwhile.",
            )?,
            gaps: counter(
                "picket_lane_gaps_total",
                "Times that results were lost before the lane: the journal began behind its end, or was damaged.",
            )?,
        })
    }

    pub(super) fn came(&self, lane: Lane, frames: u32) {
        self.frames.with_label_values(&[lane.name()]).inc_by(u64::from(frames));
    }

    pub(super) fn size(&self, lane: Lane, bytes: u64) {
        self.bytes.with_label_values(&[lane.name()]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(super) fn expelled(&self, lane: Lane, bytes: u64) {
        self.expelled.with_label_values(&[lane.name()]).inc_by(bytes);
    }

    pub(super) fn failed(&self, lane: Lane) {
        self.failures.with_label_values(&[lane.name()]).inc();
    }

    pub(super) fn gap(&self, lane: Lane) {
        self.gaps.with_label_values(&[lane.name()]).inc();
    }
}
