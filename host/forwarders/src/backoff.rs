//! How long to wait before trying again: exponential, with jitter, so that a fleet does not knock
//! on a recovering receiver's door in step. Does not wait itself.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use picket_model::{Digest, Span};

/// Bounds of the waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The longest wait after the first failure; each further one doubles it.
    pub first: Span,
    /// The longest wait of all.
    pub most: Span,
}

impl Default for Config {
    /// Half a second covers a receiver's restart; half a minute is how late the recovery of a
    /// receiver that was away for hours is noticed.
    fn default() -> Self {
        Self { first: Span(Duration::from_millis(500)), most: Span::seconds(30) }
    }
}

/// The waits of one forwarder.
#[derive(Debug)]
pub struct Backoff {
    config: Config,
    failures: u32,
    /// State of the jitter's generator (SplitMix64, Steele, Lea and Flood 2014). It need not be
    /// secret, only different on each node.
    random: u64,
}

impl Backoff {
    /// `seed` is something that differs between nodes and forwarders.
    pub fn new(config: Config, seed: &[u8]) -> Self {
        let mut random = [0; 8];
        random.copy_from_slice(&Digest::of(seed).0[..8]);
        Self { config, failures: 0, random: u64::from_le_bytes(random) }
    }

    /// Notes a failure and says how long to wait: any time up to the present bound ("full jitter", M. Brooker,
    /// "Exponential Backoff And Jitter", 2015), so that a fleet that failed at once comes back spread out.
    pub fn failed(&mut self) -> Duration {
        let doubled =
            self.config.first.0.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        let bound = doubled.min(self.config.most.0);
        bound.mul_f64(self.fraction())
    }

    /// The next failure is a first one.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// From 0 to 1.
    fn fraction(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as f64 / u64::MAX as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_bound_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new(Config::default(), b"node");
        for bound in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] {
            let (wait, bound) = (backoff.failed(), Duration::from_millis(bound));
            assert!(wait <= bound, "{wait:?} of {bound:?}");
        }
        for _ in 0..100 {
            assert!(backoff.failed() <= Duration::from_secs(30));
        }
        backoff.succeeded();
        assert!(backoff.failed() <= Duration::from_millis(500));
    }

    #[test]
    fn nodes_wait_differently() {
        let wait = |seed: &[u8]| Backoff::new(Config::default(), seed).failed();
        assert_ne!(wait(b"a"), wait(b"b"));
    }
}
