//! Counts of the API.

use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};

/// How the API is used.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(super) requests: IntCounterVec,
    pub(super) duration: HistogramVec,
    pub(super) connections: IntGaugeVec,
    pub(super) stalled: IntCounter,
}

impl Metrics {
    /// Registers them.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new(
                "picket_api_requests_total",
                "Requests by route (`other` for paths that do not exist) and status.",
            ),
            &["route", "status"],
        )?;
        let duration = HistogramVec::new(
            HistogramOpts::new(
                "picket_api_request_duration_seconds",
                "Time from a request's head to its answer.",
            )
            .buckets(vec![0.001, 0.01, 0.1, 1.0, 10.0]),
            &["route"],
        )?;
        let connections = IntGaugeVec::new(
            Opts::new("picket_api_connections", "Open connections by listener (`tcp`, `unix`)."),
            &["listener"],
        )?;
        let stalled = IntCounter::new(
            "picket_api_stalled_connections_total",
            "Connections that were closed because the client did not read its answer.",
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(duration.clone()))?;
        registry.register(Box::new(connections.clone()))?;
        registry.register(Box::new(stalled.clone()))?;
        Ok(Self { requests, duration, connections, stalled })
    }
}
