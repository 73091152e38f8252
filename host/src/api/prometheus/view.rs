//! What Prometheus' API asks the agent for beside expressions and rules: series by their labels.

/// Which series are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// Selectors as PromQL writes them; a series that one of them matches is meant. None: all are.
    pub selectors: Vec<String>,
    /// With a sample not earlier than this Unix time in nanoseconds.
    pub start: u64,
    /// And not later than this one.
    pub end: u64,
    /// At most so many are wanted.
    pub limit: usize,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// Sorted.
    pub items: Vec<T>,
    /// Whether there are more than were wanted.
    pub truncated: bool,
}

/// Why nothing was looked up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// A selector is none.
    #[error("{0}")]
    BadSelector(String),
    /// More was found than is gathered for one answer.
    #[error("{0}")]
    TooMany(String),
    /// It took longer than an answer may.
    #[error("{0}")]
    Late(String),
    /// The agent is starting or stopping.
    #[error("{0}")]
    Unavailable(String),
}

/// What is known of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Its name.
    pub name: String,
    /// `counter`, `gauge`, `histogram`, `summary`, `unknown`, or one of the other words of OpenMetrics.
    pub kind: &'static str,
    /// What it says, for people; may be empty.
    pub help: String,
    /// Its unit; may be empty.
    pub unit: String,
}
