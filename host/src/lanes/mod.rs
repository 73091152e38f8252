//! The lanes of the journal: what forwarders and the archive still have to read, events apart from samples.
//!
//! A commit is one record of the journal. Behind its durable end one thread, the [`Feeder`], copies results
//! into two lanes, which are journals of the same format with bounds of their own: a flood of samples expels
//! samples and never an event. The journal of commits is needed only until lanes and state have synced past
//! it, and stays small however long an upstream is away.
//!
//! Each record of a lane says up to where of the journal it goes, so that after a crash the feeder goes on
//! exactly behind the last one that is durable, and which numbers its frames have in the lane, so that a reader
//! whose frames were expelled or damaged knows how many it has lost.
//!
//! What happens to frames that nobody wants is not decided here: a lane keeps them until each of its readers
//! has passed them.

mod config;
mod feeder;
mod floors;
mod lane;
mod mend;
mod metrics;
mod reader;
mod record;
mod set;

pub use config::Config;
pub use feeder::{Deps, Feeder, start};
pub use metrics::Metrics;
pub use reader::{Batch, LaneReader, Lost, Place, Queued};
pub use record::{RecordError, frames};
pub use set::{Lanes, OpenError, Status};

#[cfg(test)]
mod tests;
