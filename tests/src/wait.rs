//! Waiting for conditions.

use std::time::{Duration, Instant};

/// After this long a condition will not come true any more. Generous, since it is only spent when
/// a test fails.
pub const HOPELESS: Duration = Duration::from_secs(120);

/// Waits until `condition` gives something; panics with `what` when it never does.
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + HOPELESS;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {HOPELESS:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
