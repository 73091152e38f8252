//! A bounded store of recent samples.
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
pub use store::{Appended, MAX_AHEAD, MAX_REQUESTS, NewSample, Of, Size, Store};
