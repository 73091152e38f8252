//! The bounds of the store, and the clock it is given. Reads no file.

use std::sync::Arc;
use std::time::Duration;

/// Tells the wall-clock time, Unix time in nanoseconds. The store takes it as an argument so that
/// tests need not wait.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What bounds the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How many series may be held at once. A sample of a further series is refused.
    pub max_series: usize,
    /// How many samples a series may hold. The next one expels the oldest.
    pub max_samples_per_series: usize,
    /// How long a sample is kept. Older ones are not selected and leave at the next sweep.
    pub max_age: Duration,
    /// Bytes of all samples (16 each) and labels. Beyond it a new series is refused, and a sample
    /// of a known series expels that series' oldest one.
    pub max_bytes: u64,
}

impl Default for Config {
    /// For one node: 500 host metrics every 15 seconds for six hours take 11 MiB, and 64 MiB are
    /// what an agent may cost that is meant to be forgotten on its node.
    fn default() -> Self {
        Self {
            max_series: 20_000,
            max_samples_per_series: 8_640,
            max_age: Duration::from_secs(6 * 60 * 60),
            max_bytes: 64 << 20,
        }
    }
}
