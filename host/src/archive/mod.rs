//! Results that are kept for reading: findings, evidence, alerts' transitions, notices,
//! verdicts that somebody should see, and retractions, in segment files with their own retention.
//!
//! The archive is a forwarder whose receiver is a folder: it drains the journal by its own cursor
//! on its own thread, so a journal segment may go while its findings stay for a month. The index
//! of the segments, with their lengths, is the note that is stored together with the cursor:
//! whatever a crash leaves behind those lengths is cut off at the start and written again, so
//! everything stands there exactly once.
//!
//! # Layout
//!
//! The folder holds `<number with 20 digits>.segment` files. Numbers are little-endian.
//!
//! ```text
//! segment := "PICKETA\n"  version u32  record*
//! record  := length u32   crc-32 of the payload u32   payload
//! payload := a frame as a MessagePack map
//! ```
//!
//! # Bounds
//!
//! A segment goes as a whole when it was last written to longer ago than the retention's age, or
//! when all together are larger than the retention's bytes, oldest first. A search reads segment
//! by segment, and holds the places of its best matches and one frame; two searches run at once, and
//! each ends at its deadline.
//!
//! It does not hold samples (`picket-series` does), and nothing is changed or deleted in it by
//! hand: what was taken back stays, and is shown as that (`retracted`).

mod config;
mod index;
mod keeper;
mod metrics;
mod query;
mod retracted;
mod search;
mod segment;

pub use config::Config;
pub use keeper::{Archive, Retractions, Searcher};
pub use metrics::Metrics;
pub use query::{MAX_ANSWER_BYTES, MAX_LIMIT, Query};
pub use retracted::{MAX_STANDING, Standing, Taken};
pub use search::{Found, SearchError};

#[cfg(test)]
mod tests;
