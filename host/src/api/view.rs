//! What the API asks the agent for. The API knows nothing else of it.

use std::time::Instant;

use super::dto::{AlertView, Findings, Plugins, ReloadReport, RetractReport, SilenceView, Silences, Status};
use super::problem::{Code, Problem};
use super::prometheus::view::{Found, Lookup, LookupError, Metadata};
use crate::alerts::{ActiveAlert, NewSilence, RuleGroup, SilenceError};
use crate::model::{Digest, Label, Severity};
use crate::pipeline::query::{AskError, Pending, Question};
use crate::tap::{Point, Tapped};

/// The agent as the API sees it. Methods may block for as long as a disk takes; they are called on
/// threads that may.
pub trait View: Send + Sync + 'static {
    /// Whether the agent has loaded its configuration and every plugin has got a first answer, good or
    /// bad. Stays true once it was.
    fn is_started(&self) -> bool;

    /// Whether the agent does its work: its journal can be written and its sources run. A plugin that
    /// fails does not make the agent unready: to restart the agent would not help it. The error says
    /// what is wrong and what to do.
    fn ready(&self) -> Result<(), String>;

    /// How the agent is doing.
    fn status(&self) -> Status;

    /// All plugins.
    fn plugins(&self) -> Plugins;

    /// Findings, the newest first, at most `limit`, and whether there are more. Gives up at the deadline.
    fn findings(&self, query: &FindingQuery, deadline: Instant) -> Result<Findings, FindingsError>;

    /// Takes findings and verdicts back. Gives up at the deadline, unless it has begun to.
    fn retract(&self, _query: &RetractQuery, _deadline: Instant) -> Result<RetractReport, RetractError> {
        Err(RetractError::Unavailable("the agent is starting; ask again in a second".to_owned()))
    }

    /// Alerts that are pending or firing.
    fn alerts(&self) -> Vec<AlertView>;

    /// The rules of all plugins by their groups, and how their last evaluation went.
    fn rules(&self) -> Vec<RuleGroup> {
        Vec::new()
    }

    /// All silences.
    fn silences(&self) -> Silences {
        Silences::default()
    }

    /// Keeps a new silence.
    fn add_silence(&self, _wanted: NewSilence) -> Result<SilenceView, SilenceError> {
        Err(SilenceError::NotStored("the agent is starting".to_owned()))
    }

    /// Ends a silence now.
    fn expire_silence(&self, _id: &str) -> Result<SilenceView, SilenceError> {
        Err(SilenceError::NotStored("the agent is starting".to_owned()))
    }

    /// Loads configuration, components and assets anew and waits until what changed is active or
    /// rejected. Never called twice at once.
    fn reload(&self) -> ReloadReport;

    /// Shows what passes a point from now on, at most so many lines in a second.
    fn tap(&self, _point: &Point, _limit: u32) -> Result<Tapped, TapError> {
        Err(TapError::Unavailable(STARTING.to_owned()))
    }

    /// Ends all taps for good: the agent stops.
    fn end_taps(&self) {}

    /// Asks for the value of an expression. Never blocks for long: the answer comes later.
    fn ask(&self, _question: Question) -> Result<Pending, AskError> {
        Err(AskError::Unavailable(STARTING.to_owned()))
    }

    /// The labels of series, sorted.
    fn series(&self, _lookup: &Lookup, _deadline: Instant) -> Result<Found<Vec<Label>>, LookupError> {
        Err(LookupError::Unavailable(STARTING.to_owned()))
    }

    /// The names of labels that series have, `__name__` among them.
    fn label_names(&self, _lookup: &Lookup, _deadline: Instant) -> Result<Found<String>, LookupError> {
        Err(LookupError::Unavailable(STARTING.to_owned()))
    }

    /// The values that a label has.
    fn label_values(
        &self,
        _name: &str,
        _lookup: &Lookup,
        _deadline: Instant,
    ) -> Result<Found<String>, LookupError> {
        Err(LookupError::Unavailable(STARTING.to_owned()))
    }

    /// What is known of metrics, by name.
    fn metadata(&self) -> Vec<Metadata> {
        Vec::new()
    }

    /// Alerts that are pending or firing, as their rules know them.
    fn rule_alerts(&self) -> Vec<ActiveAlert> {
        Vec::new()
    }
}

/// What is said of that for which there is no agent yet.
const STARTING: &str = "the agent is starting; ask again in a second";

/// Why there is no tap.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TapError {
    /// There is no such point, or nothing passes there.
    #[error("{0}")]
    Unknown(String),
    /// As many are open as may be.
    #[error("{0}")]
    Busy(String),
    /// The agent is starting or stopping.
    #[error("{0}")]
    Unavailable(String),
}

impl From<TapError> for Problem {
    fn from(error: TapError) -> Self {
        let code = match error {
            TapError::Unknown(_) => Code::BadQuery,
            TapError::Busy(_) => Code::Busy,
            TapError::Unavailable(_) => Code::Unavailable,
        };
        Self::new(code, error.to_string())
    }
}

impl From<SilenceError> for Problem {
    fn from(error: SilenceError) -> Self {
        let code = match error {
            SilenceError::Bad(_) => Code::BadBody,
            SilenceError::Full | SilenceError::TooManyPatterns => Code::Full,
            SilenceError::Unknown(_) => Code::NotFound,
            SilenceError::NotStored(_) => Code::Unavailable,
        };
        Self::new(code, error.to_string())
    }
}

/// Why results were not taken back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RetractError {
    /// They could not be found.
    #[error(transparent)]
    Unfound(#[from] FindingsError),
    /// It took too long, and nothing was done.
    #[error("{0}")]
    Late(String),
    /// Not all could be made durable.
    #[error("{0}")]
    Uncommitted(String),
    /// The agent is starting or stopping.
    #[error("{0}")]
    Unavailable(String),
}

impl From<RetractError> for Problem {
    fn from(error: RetractError) -> Self {
        match error {
            RetractError::Unfound(error) => error.into(),
            RetractError::Late(why) => Self::new(Code::Timeout, why),
            RetractError::Uncommitted(why) | RetractError::Unavailable(why) => {
                Self::new(Code::Unavailable, why)
            }
        }
    }
}

/// Why there is no answer to a query for findings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindingsError {
    /// As many searches run as may: it can be asked for again at once.
    #[error("{0}")]
    Busy(String),
    /// It took longer than an answer may.
    #[error("{0}")]
    Late(String),
    /// The archive cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

impl From<FindingsError> for Problem {
    fn from(error: FindingsError) -> Self {
        let code = match error {
            FindingsError::Busy(_) => Code::Busy,
            FindingsError::Late(_) => Code::Timeout,
            FindingsError::Unreadable(_) => Code::Internal,
        };
        Self::new(code, error.to_string())
    }
}

/// Which findings are wanted; all conditions have to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingQuery {
    /// Not earlier than this Unix time in nanoseconds.
    pub since: Option<u64>,
    /// Earlier than this one.
    pub until: Option<u64>,
    /// At least so bad.
    pub min_severity: Option<Severity>,
    /// Made by this plugin.
    pub plugin: Option<String>,
    /// Holds this text, in any case, in its message, attributes or record.
    pub text: Option<String>,
    /// Was taken back, or was not; any when it is not said.
    pub retracted: Option<bool>,
    /// At most so many.
    pub limit: usize,
}

/// Which findings and verdicts are taken back; all conditions have to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetractQuery {
    /// Made by this plugin.
    pub plugin: String,
    /// By this generation of it.
    pub generation: Option<Digest>,
    /// Findings of this rule.
    pub rule: Option<String>,
    /// Not earlier than this Unix time in nanoseconds.
    pub since: Option<u64>,
    /// Earlier than this one.
    pub until: Option<u64>,
    /// Why, for those who got them; at most [`crate::model::MAX_RETRACTION_REASON_BYTES`].
    pub reason: String,
    /// Only say what would be done.
    pub dry_run: bool,
}
