//! Whether anybody takes samples: they are committed for forwarders alone, since rules and queries read the series
//! store. Without a forwarder that takes them, writing and syncing them would wear out the disk for nobody.
//!
//! Leaves nothing out itself; who commits samples asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether samples are to be committed. Clones are the same one; samples are wanted until it is said otherwise.
#[derive(Debug, Clone)]
pub struct SamplesWanted(Arc<AtomicBool>);

impl Default for SamplesWanted {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl SamplesWanted {
    /// From now on they are, or are not.
    pub fn set(&self, wanted: bool) {
        // Nothing else is published with it, and a commit more or less after a change does no harm.
        self.0.store(wanted, Ordering::Relaxed);
    }

    /// Whether they are now.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
