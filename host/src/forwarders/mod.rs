//! What carries committed frames upstream. Each forwarder drains the journal by its own cursor;
//! none sees a source, and none holds up another.
//!
//! Every forwarder has the same files: `config` (what can be set), `encode` (a frame in the
//! receiver's format, pure), `send` (hands a batch over), and tests. What they share is in
//! [`drain`]: reading, batching, retrying, keeping the cursor, and the metrics. A new one
//! implements [`Forwarder`] and adds its line to [`Config`].
//!
//! They do not commit anything and do not change frames.

pub mod drain;
pub mod file;

mod backoff;
mod cursor;
mod forwarder;
mod metrics;
mod set;
mod worker;

pub use backoff::Config as BackoffConfig;
pub use cursor::CursorError;
pub use forwarder::{Forwarder, SendError};
pub(crate) use forwarder::{explained, remedy};
pub use metrics::Metrics;
pub use set::{Config, ForwarderStatus, Forwarders, StartError};

#[cfg(test)]
mod tests;
