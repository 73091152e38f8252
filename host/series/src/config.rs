//! The bounds of the store, and the clock it is given. Reads no file.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// Tells the wall-clock time, Unix time in nanoseconds. The store takes it as an argument so that
/// tests need not wait.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Bytes of the disk that are left to the journal and the state, on a disk of usual size: some segments of the journal,
/// and time to notice that the disk is filling up. As much as the spool folder leaves to them.
const RESERVE: u64 = 256 << 20;
/// On a small disk a tenth of it is left, but not less than this: a segment of the journal.
const LEAST_RESERVE: u64 = 64 << 20;

/// What bounds the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How many series may be held at once. A sample of a further series is refused.
    pub max_series: usize,
    /// How long a sample is kept: as long as it is younger than this, in whole milliseconds. Older ones and those of
    /// exactly this age are neither taken nor selected; a series without a younger one leaves. The folder holds 512
    /// segments at most, one for each [`Config::window`] and more when chunks are written early, so that samples may
    /// leave earlier.
    pub max_age: Duration,
    /// Bytes of series, labels and chunks in memory. Near it, chunks go to the folder early and those that are
    /// there leave memory. Beyond it a new series is refused, and a sample of a known series expels that
    /// series' oldest chunk.
    pub max_bytes: u64,
    /// Bytes of all files in the folder. Beyond it the oldest segments are deleted.
    pub max_disk_bytes: u64,
    /// Bytes of the folder's disk that stay free for others: a tenth of it, but not less and not more than these. With
    /// less room nothing is written, and samples are in memory only until there is more.
    pub disk_reserve: RangeInclusive<u64>,
    /// How long a window of time is at whose end chunks are closed and written as a segment. At least a second.
    pub window: Duration,
    /// How long after its last sample a chunk that is in a segment stays in memory too.
    pub cached: Duration,
}

impl Default for Config {
    /// For one node.
    ///
    /// 100,000 series are ten busy exporters of 10,000 each. A series with eight labels costs 280 bytes. At two
    /// bytes a sample, which most series need, its open chunk of half an hour grows to 250, and in the first ten
    /// minutes of a window, the time of `cached`, the chunk before it takes 320 more: 70 MB at the worst moment.
    /// Series that change in all their bits cost twice that in chunks; then 96 MiB are reached, and chunks go to the
    /// disk early. The allocator takes up to a quarter more than is accounted for. An agent with a tenth of
    /// the series stays at 10 MB. On disk, with 48 bytes of index and the log of the window, half an hour of
    /// them takes some 30 MB and the log 80: 512 MiB are seven hours of so many, and the whole day of 25,000.
    fn default() -> Self {
        Self {
            max_series: 100_000,
            max_age: Duration::from_secs(24 * 60 * 60),
            max_bytes: 96 << 20,
            max_disk_bytes: 512 << 20,
            disk_reserve: LEAST_RESERVE..=RESERVE,
            window: Duration::from_secs(30 * 60),
            cached: Duration::from_secs(10 * 60),
        }
    }
}

impl Config {
    pub(crate) fn max_age_ms(&self) -> i64 {
        millis(self.max_age)
    }

    pub(crate) fn window_ms(&self) -> i64 {
        millis(self.window).max(1000)
    }

    pub(crate) fn cached_ms(&self) -> i64 {
        millis(self.cached)
    }
}

/// A duration in the store's unit; what is longer than anybody keeps samples is ten thousand years.
pub(crate) fn millis(duration: Duration) -> i64 {
    const LONGEST: u128 = 10_000 * 366 * 24 * 60 * 60 * 1000;
    i64::try_from(duration.as_millis().min(LONGEST)).expect("ten thousand years of milliseconds are 50 bits")
}

/// Nanoseconds to the store's milliseconds, rounded down.
pub(crate) fn to_ms(nanos: u64) -> i64 {
    i64::try_from(nanos / 1_000_000).expect("a millionth of 64 bits fits 63")
}

/// Milliseconds to nanoseconds. What was never given by [`to_ms`] is held to the range.
pub(crate) fn to_ns(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0).saturating_mul(1_000_000)
}
