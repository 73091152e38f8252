//! Frames as OTLP's messages. Pure: what it needs to know of the agent is in [`Context`].

mod attributes;
mod logs;
mod metrics;

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::resource::v1::Resource;
use picket_model::{Frame, FrameKind, Label};
use prost::Message;

use crate::Description;
use attributes::Attributes;

/// Which of the receiver's two services takes a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Everything but samples.
    Logs,
    /// Samples.
    Metrics,
}

/// What stands in every request, whatever its frames are.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    resource: Resource,
}

impl Signal {
    /// Where a kind of frame goes.
    pub fn of(kind: FrameKind) -> Self {
        match kind {
            FrameKind::Sample => Self::Metrics,
            _ => Self::Logs,
        }
    }

    /// What stands behind the base URL's path (OTLP specification, "OTLP/HTTP Request").
    pub fn path(self) -> &'static str {
        match self {
            Self::Logs => "/v1/logs",
            Self::Metrics => "/v1/metrics",
        }
    }
}

/// A size that the body of a request with these frames reaches at least: that of the texts in them.
pub fn least_size(frames: &[&Frame]) -> usize {
    let pairs =
        |labels: &[Label]| labels.iter().map(|label| label.name.len() + label.value.len()).sum::<usize>();
    let size = |frame: &&Frame| match frame {
        Frame::Finding(finding) => {
            finding.message.len()
                + finding.record.as_ref().map_or(0, String::len)
                + pairs(&finding.attributes)
        }
        Frame::Verdict(verdict) => verdict.path.len() + verdict.reason.len(),
        Frame::Alert(alert) => pairs(&alert.labels) + pairs(&alert.annotations),
        Frame::Evidence(evidence) => evidence.record.len() + evidence.reason.len(),
        Frame::Notice(notice) => notice.reason.len(),
        // Each id as text.
        Frame::Retraction(retraction) => retraction.reason.len() + 32 * retraction.retracts.len(),
        // Names stand there once for all samples of a metric.
        Frame::Sample(sample) => pairs(&sample.labels),
    };
    frames.iter().map(size).sum()
}

/// The version of this agent.
const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Context {
    /// Of an agent on a node. `set` are the operator's attributes: they replace those of the same name, and an
    /// empty one removes it.
    pub fn new(node: &str, set: &BTreeMap<String, String>) -> Self {
        let known = [
            ("service.name", "picket"),
            ("service.version", VERSION),
            ("service.instance.id", node),
            ("host.name", node),
            ("os.type", std::env::consts::OS),
        ];
        let mut all: BTreeMap<&str, &str> = known.into();
        all.extend(set.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let mut attributes = Attributes::default();
        for (name, value) in all.into_iter().filter(|(_, value)| !value.is_empty()) {
            attributes.text(name, value);
        }
        Self { resource: Resource { attributes: attributes.done(), ..Resource::default() } }
    }

    /// The body of a request with these frames, which must all go to that service: others are left out.
    pub fn request(&self, signal: Signal, frames: &[&Frame], descriptions: &[Description]) -> Vec<u8> {
        match signal {
            Signal::Logs => {
                let resource_logs = vec![logs::of(frames, self.resource.clone())];
                ExportLogsServiceRequest { resource_logs }.encode_to_vec()
            }
            Signal::Metrics => {
                let resource_metrics = vec![metrics::of(frames, descriptions, self.resource.clone())];
                ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
            }
        }
    }
}
