//! Expressions over the node's series, answered by a plugin that exports `query`.
//!
//! Rules must not be late because somebody looks at a dashboard: questions never go through a plugin's lane.
//! They have a thread and an instance of their own, made at the first question from the generation that
//! serves, and thrown away when that generation gives way or after some minutes without a question.
//!
//! Everything is bounded: how many wait ([`WAITING`]), how long each may take, and how much an answer
//! holds ([`ANSWER_BYTES`]). What an expression means is the plugin's business, what an answer looks like
//! is the API's.

mod engines;
mod metrics;
mod thread;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::TrySendError;
use picket_sandbox::{Answer, QueryTime};
use tokio::sync::oneshot;

pub use engines::Engines;
pub use metrics::Metrics;

use thread::{Job, Thread};

/// Questions that wait while one is answered. A dashboard asks a dozen at once; more would only wait for
/// longer than anybody looks.
pub const WAITING: usize = 16;
/// Bytes of an answer as the plugin gives it: half a million points, which is a thousand points of each of
/// five hundred series. More than `limits.output` allows a daily call, because rules give few alerts and
/// graphs many points.
pub const ANSWER_BYTES: u64 = 8 << 20;

/// Who answers, and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The longest that an expression may be evaluated.
    pub timeout: Duration,
    /// The plugin that answers when several could; otherwise the first by name does.
    pub engine: Option<String>,
}

/// An expression and when its answer is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// In the plugin's language.
    pub expression: String,
    /// The time or times at which it is evaluated.
    pub time: QueryTime,
    /// When the caller stops waiting.
    pub deadline: Instant,
}

/// What a question came to.
pub type Outcome = Result<Answer, AskError>;

/// An answer that is on its way. It never comes when the thread panicked, which is a bug of the agent.
pub type Pending = oneshot::Receiver<Outcome>;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No plugin exports `query`, or not the one that should answer.
    #[error("{0}")]
    NoEngine(String),
    /// As many questions wait as may.
    #[error("{WAITING} expressions wait already; ask again in a second")]
    Busy,
    /// It was not answered in time.
    #[error(
        "query timed out in expression evaluation: ask for a shorter range, a larger step or fewer series; the longest time is set by `api.query_timeout`"
    )]
    Late,
    /// It is no expression, in the plugin's words, with the place.
    #[error("{0}")]
    BadExpression(String),
    /// It cannot be evaluated over these series, in the plugin's words.
    #[error("{0}")]
    Failed(String),
    /// The plugin met one of its bounds, or broke.
    #[error("plugin `{plugin}` could not evaluate it: {reason}")]
    Broken {
        /// Its name.
        plugin: String,
        /// The error of the call.
        reason: String,
    },
    /// There is no instance that could be asked, for want of memory as a rule.
    #[error("plugin `{plugin}` cannot be asked now: {reason}")]
    NoInstance {
        /// Its name.
        plugin: String,
        /// Why none could be made.
        reason: String,
    },
    /// The agent stops, or has no thread for it.
    #[error("{0}")]
    Unavailable(String),
}

impl AskError {
    /// A stable word for metric labels.
    fn outcome(&self) -> &'static str {
        match self {
            Self::NoEngine(_) => "no-engine",
            Self::Busy => "busy",
            Self::Late => "late",
            Self::BadExpression(_) => "bad-expression",
            Self::Failed(_) => "failed",
            Self::Broken { .. } => "broken",
            Self::NoInstance { .. } | Self::Unavailable(_) => "unavailable",
        }
    }
}

/// Where expressions are asked. Share it in an `Arc`.
pub struct Queries {
    engines: Engines,
    config: Config,
    metrics: Metrics,
    state: Mutex<State>,
}

/// The thread that answers.
enum State {
    /// Nobody has asked yet.
    Idle,
    Runs(Thread),
    Stopped,
}

impl Queries {
    /// Nothing runs before the first question.
    pub fn new(engines: Engines, config: Config, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self { engines, config, metrics, state: Mutex::new(State::Idle) })
    }

    /// Asks. Returns at once; the answer comes later.
    pub fn ask(&self, question: Question) -> Result<Pending, AskError> {
        let asked = self.enqueue(question);
        if let Err(error) = &asked {
            self.metrics.count(error.outcome());
        }
        asked
    }

    fn enqueue(&self, question: Question) -> Result<Pending, AskError> {
        let engine = self.engines.choose(self.config.engine.as_deref())?;
        let (answer, pending) = oneshot::channel();
        let job = Job { question, engine, answer };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let job = match &*state {
            State::Stopped => return Err(AskError::Unavailable("the agent is stopping".to_owned())),
            State::Idle => job,
            State::Runs(thread) => match thread.jobs.try_send(job) {
                Ok(()) => return Ok(pending),
                Err(TrySendError::Full(_)) => return Err(AskError::Busy),
                // It panicked, which the log tells. Another one takes its place.
                Err(TrySendError::Disconnected(job)) => job,
            },
        };
        let thread = thread::spawn(self.engines.clone(), self.config.timeout, self.metrics.clone());
        let thread = thread.map_err(|error| {
            let why = format!("there is no thread for queries: {error}; raise the limit of processes");
            AskError::Unavailable(why)
        })?;
        // A new queue has room, and its thread waits for it.
        let _ = thread.jobs.try_send(job);
        *state = State::Runs(thread);
        Ok(pending)
    }

    /// Takes no more questions and waits for the end of the one that is evaluated, at most so long.
    pub fn stop(&self, patience: Duration) {
        let state = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *state, State::Stopped)
        };
        if let State::Runs(thread) = state {
            thread.stop(patience);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn queries() -> Arc<Queries> {
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        let config = Config { timeout: Duration::from_secs(1), engine: None };
        Queries::new(Engines::default(), config, metrics)
    }

    fn question() -> Question {
        let deadline = Instant::now() + Duration::from_secs(3600);
        Question { expression: "up".into(), time: QueryTime::Instant(0), deadline }
    }

    #[test]
    fn without_a_plugin_that_answers_the_error_says_what_to_install() {
        let queries = queries();
        let error = queries.ask(question()).unwrap_err();
        assert!(matches!(&error, AskError::NoEngine(_)), "{error}");
        assert!(error.to_string().contains("promql-rules"), "{error}");
        assert_eq!(queries.metrics.counted("no-engine"), 1);
    }

    #[test]
    fn what_has_no_thread_is_stopped_at_once() {
        let queries = queries();
        queries.stop(Duration::from_secs(3600));
        queries.stop(Duration::from_secs(3600));
        assert!(queries.ask(question()).is_err());
    }
}
