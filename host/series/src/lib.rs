//! A bounded store of recent samples: append by name and labels, select by matchers and time.
//!
//! It is what alert rules and the query API read, and what scrapes, the node's own metrics, plugins and recording rules
//! are written to. It does not evaluate expressions, does not forward anything, and knows neither plugins nor
//! sources.
//!
//! # In memory
//!
//! A series has a number for each of its labels, its last sample, and chunks: an open one, and closed ones that are in
//! no segment yet or were closed not long ago. Chunks are compressed after Pelkonen et al., "Gorilla" (VLDB 2015),
//! with times in milliseconds; nanoseconds outside are rounded down. An index leads from each pair of label and
//! value to the series that have it.
//!
//! Measured with `examples/size.rs` (120 samples at 15 s with some milliseconds of jitter), bytes a sample: 1.25 for
//! a constant, 1.3 for a counter that moves now and then, 3.8 for a busy counter, 3.0 for a gauge in pages of memory,
//! 7.7 for a counter of seconds with random fractions. Resident memory of 100,000 series with eight labels: 265
//! bytes each with one sample, 956 each with 120 samples of all these kinds (3.4 bytes each on average). That is a
//! quarter more than is accounted for, which the allocator takes.
//!
//! # Bounds
//!
//! Everything is bounded ([`Config`]): the number of series, their age, the bytes in memory and on disk. At a bound
//! nothing grows and nothing waits: a new series is refused, memory lets go first of what is on disk too, and only
//! then does a series lose its own oldest samples. All of that is counted ([`Metrics`]).
//!
//! # In the folder
//!
//! Time is cut into windows. When one is over, its chunks are written as one segment, with the labels of their series
//! and an index, and read from there when a selection goes back that far. What is younger is in a log, to which
//! [`Store::flush`] writes what was appended since: a kill loses what was appended since the last flush, a power cut
//! at most a minute. What is written later holds from its first sample on, so that a log may say again what a
//! segment has, and a clock that was set back is followed. Everything read is checked (CRC32, lengths, order); what is
//! damaged is set aside or passed over, and counted. A disk that takes nothing, or whose last room is
//! left to others ([`Config::disk_reserve`]), costs nothing but durability: the store goes on in memory and begins its
//! log anew when it can.
//!
//! # Answers
//!
//! The answer of [`Store::select`] is made of flat columns, the shape in which it crosses into a
//! guest, so that a million samples are two vectors and not a million objects.
#![forbid(unsafe_code)]

mod bits;
mod bounds;
mod chunk;
mod config;
mod disk;
mod error;
mod index;
mod inner;
mod labels;
mod log;
mod lookup;
mod matcher;
mod memory;
mod metadata;
mod metrics;
mod resolve;
mod segment;
mod select;
mod series;
mod store;
mod varint;

pub use bounds::Bounds;
pub use config::{Clock, Config};
pub use disk::Status;
pub use disk::recover::Recovered;
pub use error::{LookupError, OpenError, Refused, SelectError, UnknownSeries};
pub use labels::{Label, Labels, MAX_LABELS, MAX_NAME_BYTES, MAX_VALUE_BYTES, NAME};
pub use lookup::Lookup;
pub use matcher::{MAX_MATCHERS, MAX_PATTERN_BYTES, Matcher, Op, Selector};
pub use metadata::{Kind, MAX_DESCRIBED, MAX_HELP_BYTES, Metadata};
pub use metrics::Metrics;
pub use select::{Request, Selection, Wanted};
pub use store::{Appended, MAX_AHEAD, MAX_REQUESTS, Size, Store};
