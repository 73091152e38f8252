//! Writes the recent samples to the data folder every few seconds, and tells when that does not work.

use std::sync::Arc;
use std::time::Duration;

use picket_series::Store;

/// How often: what `kill -9` or a power cut can take of the recent samples at most. They are no results: those are
/// committed on their own.
pub(super) const PERIOD: Duration = Duration::from_secs(5);

/// See the module's description.
pub(super) struct SampleWriter {
    series: Arc<Store>,
    /// What was told last.
    failing: Option<String>,
}

impl SampleWriter {
    /// Everything is well so far.
    pub(super) fn new(series: Arc<Store>) -> Self {
        Self { series, failing: None }
    }

    /// Writes what came since the last time.
    pub(super) fn write(&mut self) {
        self.series.flush();
        let failing = self.series.status().failing;
        if failing == self.failing {
            return;
        }
        match &failing {
            Some(cause) => tracing::error!(
                cause,
                "Recent samples cannot be written: rules and queries go on in memory, and a restart would lose them. \
                 It is tried again every few seconds."
            ),
            None => tracing::info!("Recent samples are written again."),
        }
        self.failing = failing;
    }
}
