//! Silences: for a time, alerts with certain labels are not sent to people.
//!
//! A silence has matchers for labels, a beginning and an end, and says who made it and why. It ends by itself, and
//! is forgotten some days after. Silences are kept in the state store, outside of commits.
//!
//! It ends no alert and holds no event back: [`Alerts`](super::Alerts) marks events by [`Active`], and forwarders
//! decide what the mark means for them.

mod check;
mod matcher;
mod record;
mod store;

pub use check::{MAX_COMMENT, MAX_CREATOR, MAX_LENGTH, MAX_MATCHERS, Mistake};
pub use matcher::{BadMatcher, MAX_NAME, MAX_VALUE, Matcher, Op};
pub use store::{Active, MAX_PATTERNS, MAX_SILENCES, SilenceError, Silences};

use serde::{Deserialize, Serialize};

use crate::model::Label;

/// What somebody wants to be silent. Times are Unix time in nanoseconds by the wall clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSilence {
    /// An alert has to match all of them; one at least matches no absent label.
    pub matchers: Vec<Matcher>,
    /// From when on.
    pub starts_at: u64,
    /// Until when.
    pub ends_at: u64,
    /// Who wants it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

/// A silence that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// 16 hexadecimal digits.
    pub id: String,
    /// What was wanted; its end is moved when it is expired by hand.
    pub what: NewSilence,
}

/// Where a silence is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It begins later.
    Pending,
    /// It silences.
    Active,
    /// It is over.
    Expired,
}

impl Phase {
    /// As it stands in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Expired => "expired",
        }
    }
}

/// What a silence would silence.
#[derive(Debug)]
pub struct Covers(Vec<matcher::Test>);

impl Covers {
    /// Whether it would silence an alert with these labels.
    pub fn covers(&self, labels: &[Label]) -> bool {
        self.0.iter().all(|test| test.holds(labels))
    }
}

impl NewSilence {
    /// What it would silence, or what is wrong with it at a time.
    pub fn silences(&self, now: u64) -> Result<Covers, Mistake> {
        check::checked(self, now).map(Covers)
    }

    /// Where it is in its life at a time.
    pub fn phase(&self, now: u64) -> Phase {
        if now >= self.ends_at {
            Phase::Expired
        } else if now < self.starts_at {
            Phase::Pending
        } else {
            Phase::Active
        }
    }
}
