//! When a target is due: all targets of an interval at moments of their own, the same after every start, so that
//! neither the node nor what is scraped has all the work at once. Prometheus does it alike.

use std::time::Duration;

/// How long until a target is due for the first time. `key` names the target, `now` is Unix time in nanoseconds.
/// Less than the interval.
pub fn until_first(key: &str, interval: Duration, now: u64) -> Duration {
    let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
    let (phase, passed) = (hash(key) % interval, now % interval);
    let wait = if phase >= passed { phase - passed } else { interval - (passed - phase) };
    Duration::from_nanos(wait)
}

/// FNV-1a, and the finisher of SplitMix64 (Steele, Lea and Flood, 2014), without which the low bits would follow the
/// last letters.
fn hash(key: &str) -> u64 {
    let step = |mixed: u64, byte: u8| (mixed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let mut mixed = key.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(15);

    #[test]
    fn targets_are_spread_over_the_interval() {
        let mut thirds = [0; 3];
        for port in 0..300 {
            let wait = until_first(&format!("http://127.0.0.1:{}/metrics", 9000 + port), INTERVAL, 0);
            thirds[(wait.as_secs() / 5) as usize] += 1;
        }
        assert!(thirds.iter().all(|count| (60..140).contains(count)), "{thirds:?}");
    }

    proptest! {
        #[test]
        fn a_target_keeps_its_moment_whenever_the_agent_starts(key in ".*", now in 0..u64::MAX / 2) {
            let wait = until_first(&key, INTERVAL, now).as_nanos() as u64;
            prop_assert!(u128::from(wait) < INTERVAL.as_nanos());
            let moment = (now + wait) % INTERVAL.as_nanos() as u64;
            prop_assert_eq!(moment, until_first(&key, INTERVAL, 0).as_nanos() as u64);
        }
    }
}
