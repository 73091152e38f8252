//! Scrapes targets in Prometheus' formats: which targets there are, one page of one of them, and the samples that it
//! becomes, with the stale markers of what is no longer on it.
//!
//! It keeps no time and starts no thread: the agent's `prometheus` source does, and says when which target is due. It
//! knows nothing of where samples go.
#![forbid(unsafe_code)]

pub mod exposition;
pub mod targets;

mod error;
mod fetch;
mod labels;
mod phase;
mod round;
mod series;

#[cfg(test)]
mod tests;

pub use error::ScrapeError;
pub use fetch::{ACCEPT, Fetcher, MAX_BODY, Page};
pub use phase::until_first;
pub use round::{Described, Limits, MAX_DESCRIBED, MAX_SAMPLES, Round, Rules, Taken};
pub use series::Series;
pub use targets::Target;
