//! The journal's only writer: one record makes a batch's results, state and checkpoints durable.
//!
//! A [`Commit`] goes through these steps, all on the commit thread:
//!
//! 1. *Append*: its bytes become one record of the journal.
//! 2. *Sync*: one for all commits that came while the last one ran. The commit is durable now and
//!    visible to readers of the [`Tail`].
//! 3. *Apply*: the writes of all of them go to the [`State`] in one batch with the journal position
//!    behind them.
//! 4. *Ack*: [`Committer::commit`] returns.
//!
//! A failure in the first two steps fails the commit: it is not in the journal, and its caller
//! discards the instance that produced it. The loop goes on, so that later commits succeed once a
//! full disk has room again. A failure in the third step cannot fail the commit, which is durable:
//! the state is opened again and brought up to date from the journal; until that has worked, the
//! commit is not acknowledged, reads of the state are refused, and new commits fail.
//!
//! At the start, what the journal has beyond [`State::applied`] is applied. So after any crash the
//! state shows exactly the commits that the journal holds, and a source that reads on from the
//! checkpoints repeats nothing and misses nothing.
//!
//! Segments are deleted when the state has really been synced past them and every reader
//! ([`Committer::set_readers`]) has set its floor ([`Committer::set_floor`]) past them, or when the
//! journal exceeds its bound; what a reader then misses is counted.
//!
//! This module does not decide what to do about a failed commit, and reads no frames: forwarders and
//! the archive do, with [`Drain`] or [`frames`].

mod committer;
mod core;
mod drain;
mod error;
mod floors;
mod health;
mod metrics;
mod payload;
mod thread;
mod wanted;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{ByteSize, Frame, Span};
#[cfg(doc)]
use crate::state::State;
use crate::state::Write;

pub use committer::{Committer, Submitted};
pub use drain::{Drain, DrainError};
pub use error::CommitError;
pub use health::Health;
pub use metrics::{Metrics, disk_full};
pub use payload::{DecodeError, Packed, frames, packed, writes};
pub use picket_journal::{Position, Tail};
pub use thread::{CommitThread, start};
pub use wanted::SamplesWanted;

/// What becomes durable together, or not at all.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Commit {
    /// Results, for readers of the journal; samples are left out while nobody takes them ([`SamplesWanted`]).
    pub frames: Vec<Frame>,
    /// Changes of the state: plugin state, checkpoints, snapshots, alerts.
    pub writes: Vec<Write>,
}

/// The section `[journal]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Size at which a segment file is left for a new one. Only whole segments are deleted.
    pub segment_bytes: ByteSize,
    /// How large the journal may become while a forwarder lags. Beyond it the oldest segments are
    /// deleted, and what a forwarder misses by that is counted.
    pub max_bytes: ByteSize,
    /// How often the state is synced, after which the journal before it is no longer needed. A
    /// longer time makes the start after a crash slower.
    pub state_sync_interval: Span,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            segment_bytes: ByteSize(64 << 20),
            max_bytes: ByteSize(1 << 30),
            state_sync_interval: Span(Duration::from_secs(5)),
        }
    }
}

impl Config {
    /// The bounds for [`picket_journal::Journal::open`].
    pub fn journal(&self) -> picket_journal::Config {
        picket_journal::Config {
            segment_bytes: self.segment_bytes.0.max(MIN_SEGMENT_BYTES),
            ..picket_journal::Config::default()
        }
    }
}

/// Smaller segments would mean a file and two syncs for every few commits.
const MIN_SEGMENT_BYTES: u64 = 64 << 10;

/// Commits beyond this many bytes wait for the next sync, so that the first of a group does not wait
/// for ever, and a failed sync does not fail everybody.
const GROUP_BYTES: usize = 8 << 20;

/// The state is synced after this many bytes of commits even if its interval has not passed, so that
/// a start after a crash has no more than that to apply again.
const STATE_SYNC_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests;
