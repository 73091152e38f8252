//! Why a scrape failed. A scrape fails as a whole: then nothing of the page is taken.

use picket_http::NoAnswer;

use crate::exposition::ParseError;
use crate::round::MAX_SAMPLES;

/// Why a scrape failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScrapeError {
    /// Nothing came back.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// Another status than 200.
    #[error("it answered {said}")]
    Status {
        /// The status.
        status: u16,
        /// Status and words, bounded and fit for messages.
        said: String,
    },
    /// The page is in no format that is known.
    #[error("it sent `{content_type}`, which is neither text nor OpenMetrics")]
    ContentType {
        /// The beginning of what it said.
        content_type: String,
    },
    /// The page is compressed in a way that was not asked for, or damaged.
    #[error("the page is no gzip that can be read: {cause}")]
    Encoding {
        /// What is wrong.
        cause: String,
    },
    /// The page is larger than it may be.
    #[error("the page has more than {limit} bytes")]
    Body {
        /// The bound.
        limit: usize,
    },
    /// The page is not in its format.
    #[error("the page is malformed: {0}")]
    Malformed(#[from] ParseError),
    /// There are more samples than there may be.
    #[error("the page has {found} samples after relabelling, and {limit} may be there")]
    Samples {
        /// How many there are, as far as they were counted.
        found: usize,
        /// The bound.
        limit: usize,
    },
    /// A sample has more labels than it may, or a longer name or value.
    #[error("a sample of `{metric}` has {found} {what}, and {limit} may be")]
    Labels {
        /// Its name.
        metric: String,
        /// What is too large.
        what: &'static str,
        /// How large it is.
        found: usize,
        /// The bound.
        limit: usize,
    },
    /// Rules took the name of a sample away.
    #[error("`metric_relabel_configs` leave a sample of `{metric}` without a name")]
    Nameless {
        /// Its name before.
        metric: String,
    },
    /// All targets together have too many series.
    #[error("the targets of the source have too many series: this one may have {limit}")]
    Series {
        /// The bound.
        limit: usize,
    },
}

impl ScrapeError {
    /// A word for metrics; there are eleven.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoAnswer(NoAnswer::Connect { .. } | NoAnswer::Proxy { .. }) => "unreachable",
            Self::NoAnswer(NoAnswer::Tls { .. }) => "tls",
            Self::NoAnswer(NoAnswer::Timeout { .. }) => "timeout",
            Self::NoAnswer(NoAnswer::NotSent { .. }) => "not-sent",
            Self::NoAnswer(NoAnswer::Broken { .. } | NoAnswer::Stopped) => "broken",
            Self::Status { .. } => "status",
            Self::ContentType { .. } | Self::Encoding { .. } => "format",
            Self::Body { .. } => "body-limit",
            Self::Malformed(_) => "malformed",
            Self::Samples { .. } | Self::Series { .. } => "sample-limit",
            Self::Labels { .. } | Self::Nameless { .. } => "label-limit",
        }
    }

    /// What an operator can do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoAnswer(NoAnswer::Timeout { .. }) => {
                "Find out why the target is slow, or raise `timeout` (and `interval`, which is at least as long)."
            }
            Self::NoAnswer(_) => "Check that the target runs and listens there, and the section `http`.",
            Self::Status { status: 401 | 403, .. } => {
                "Check `http.basic_auth`, `http.bearer_token_file` or `http.bearer_token_env`."
            }
            Self::Status { status: 300..=399, .. } => {
                "Redirects are not followed: name the place itself in `targets`, `scheme` and `metrics_path`."
            }
            Self::Status { .. } => "Check the port and `metrics_path`.",
            Self::ContentType { .. } => "Check `metrics_path`: something else than metrics is there.",
            Self::Encoding { .. } | Self::Malformed(_) => {
                "Check `metrics_path`, and the target itself: `promtool check metrics` says more."
            }
            Self::Body { .. } => "Raise `body_size_limit`, or make the target export less.",
            Self::Samples { limit: MAX_SAMPLES, .. } => "Make the target export less.",
            Self::Samples { .. } => "Raise `sample_limit`, or drop series with `metric_relabel_configs`.",
            Self::Labels { .. } => "Raise the limit of labels, or drop them with `metric_relabel_configs`.",
            Self::Nameless { .. } => "Keep `__name__` in the rules.",
            Self::Series { .. } => {
                "Drop series with `metric_relabel_configs`, or spread targets over several sources."
            }
        }
    }
}
