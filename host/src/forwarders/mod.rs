//! Carries committed frames upstream. Each forwarder drains the lanes of the journal by its own cursor;
//! none sees a source, and none holds up another.
//!
//! What is the same for all is here: reading, batching, retrying, keeping the cursor, setting aside what was
//! refused, and the metrics. How a receiver is talked to is the crate `picket_forwarders`' business, with one
//! module for each kind; a new one implements [`Forwarder`] there and adds its line to [`Config`].
//!
//! They do not commit anything and do not change frames, save for relabelling on the way out.

pub mod aside;
pub mod cursor;
pub mod drain;

mod circuit;
mod kinds;
mod late;
mod metrics;
mod reading;
mod set;
mod worker;

pub use cursor::CursorError;
pub use kinds::{Config, Unfit};
pub use metrics::Metrics;
pub use picket_forwarders::{
    Backoff, BackoffConfig, Batch, Description, Forwarder, Link, MetricType, SendError, Sent, explained,
    file, remedy,
};
pub use set::{ForwarderStatus, Forwarders, StartError, Surroundings};

#[cfg(test)]
mod tests;
