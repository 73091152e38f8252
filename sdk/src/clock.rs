//! The capability `clock`: wall and monotonic time. Always granted.

use std::time::Duration;

use crate::Timestamp;

/// The wall clock: nanoseconds since 1970-01-01T00:00:00Z. It may step back.
pub fn now() -> Timestamp {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::imports::picket::plugin::clock::now();
    #[cfg(not(target_arch = "wasm32"))]
    return crate::testing::host::now();
}

/// Time since a fixed but unknown moment; never steps back.
pub fn monotonic() -> Duration {
    #[cfg(target_arch = "wasm32")]
    return Duration::from_nanos(crate::bindings::imports::picket::plugin::clock::monotonic());
    #[cfg(not(target_arch = "wasm32"))]
    return crate::testing::host::monotonic();
}
