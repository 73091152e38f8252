//! The store's lock, with what counts and bounds beside it: shared by questions, appends and the writing to disk.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::config::Config;
use crate::inner::Inner;
use crate::metrics::Metrics;

/// See the module's description.
pub(crate) struct Memory {
    pub(crate) config: Config,
    pub(crate) metrics: Metrics,
    inner: RwLock<Inner>,
}

impl Memory {
    pub(crate) fn new(config: Config, metrics: Metrics, inner: Inner) -> Self {
        Self { config, metrics, inner: RwLock::new(inner) }
    }

    // A panic under the lock leaves at worst a sample uncounted: go on with what is there.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives every series, in slices between which others get the lock.
    pub(crate) fn each_slice(
        &self,
        mut slice: impl FnMut(&Inner, std::ops::Range<usize>),
        mut between: impl FnMut() -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        /// Some milliseconds of work.
        const SLICE: usize = 512;
        let mut next_id = 0;
        loop {
            {
                let inner = self.read();
                let from = inner.series.partition_point(|series| series.id < next_id);
                let to = inner.series.len().min(from + SLICE);
                if from == to {
                    return Ok(());
                }
                slice(&inner, from..to);
                next_id = inner.series[to - 1].id + 1;
            }
            between()?;
        }
    }
}
