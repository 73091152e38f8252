//! Why something was not taken, selected or opened.

use std::io;
use std::path::PathBuf;

/// Why the store did not take a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refused {
    /// The metric's name does not match `[a-zA-Z_:][a-zA-Z0-9_:]*` or is longer than 256 bytes.
    #[error("the metric's name does not match `[a-zA-Z_:][a-zA-Z0-9_:]*` or is longer than 256 bytes")]
    BadName,
    /// A label's name is none, or its value is longer than 4096 bytes.
    #[error(
        "a label's name does not match `[a-zA-Z_][a-zA-Z0-9_]*`, is `__name__`, or its value is too long"
    )]
    BadLabel,
    /// Two labels have one name.
    #[error("two labels have the same name")]
    DuplicateLabel,
    /// More than [`crate::MAX_LABELS`], the name included.
    #[error("the sample has more than 63 labels")]
    TooManyLabels,
    /// More than [`crate::MAX_AHEAD`] later than the clock.
    #[error("its time is more than 10 minutes ahead of the clock")]
    Ahead,
    /// Older than the store keeps samples.
    #[error("it is older than the store keeps samples")]
    TooOld,
    /// The series has a later sample.
    #[error("the series has a later sample already")]
    OutOfOrder,
    /// The series has a sample of this time, in milliseconds, with another value.
    #[error("the series has a sample of this time with another value")]
    Conflict,
    /// It would begin a new series, and there are as many as there may be.
    #[error("the store holds as many series as it may; raise the bound or send fewer label sets")]
    SeriesBound,
    /// It would begin a new series, and the store is as large as it may be.
    #[error("the store is as large as it may be; raise the bound or send fewer label sets")]
    ByteBound,
}

impl Refused {
    /// A word for the metrics' label `reason`.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::BadName => "bad-name",
            Self::BadLabel => "bad-label",
            Self::DuplicateLabel => "duplicate-label",
            Self::TooManyLabels => "too-many-labels",
            Self::Ahead => "ahead",
            Self::TooOld => "too-old",
            Self::OutOfOrder => "out-of-order",
            Self::Conflict => "conflict",
            Self::SeriesBound => "series-bound",
            Self::ByteBound => "byte-bound",
        }
    }
}

/// Why a selection was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// A selector cannot be used.
    #[error("selector {selector} cannot be used: {reason}")]
    BadSelector {
        /// Which, counted from 0.
        selector: u32,
        /// What is wrong with it.
        reason: String,
    },
    /// The answer would be larger than [`crate::Bounds::max_samples`].
    #[error("the selection has more than {max} samples; ask for less time or fewer series")]
    TooManySamples {
        /// The bound.
        max: u64,
    },
    /// [`crate::Bounds::deadline`] has passed.
    #[error("the selection was not done when its time was over")]
    Deadline,
}

/// Why labels were not looked up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// A selector cannot be used.
    #[error("selector {selector} cannot be used: {reason}")]
    BadSelector {
        /// Which, counted from 0.
        selector: u32,
        /// What is wrong with it.
        reason: String,
    },
    /// The answer would have more entries than the bound.
    #[error("the answer has more than {max} entries; ask with narrower matchers")]
    TooMany {
        /// The bound.
        max: usize,
    },
    /// The deadline has passed.
    #[error("the answer was not done when its time was over")]
    Deadline,
}

/// The store has no series of this id: it never had, or it has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the store has no series {0}")]
pub struct UnknownSeries(
    /// The id.
    pub u64,
);

/// Why a folder could not be opened. Damage is no reason: it is set aside and counted.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made or listed.
    #[error("the folder {} of the series store cannot be used: {source}; check its owner and its disk", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file was written by a newer version.
    #[error("{} was written by a newer version (format {version}); start that version, or move the file away", path.display())]
    Newer {
        /// Which.
        path: PathBuf,
        /// The version of its format.
        version: u32,
    },
}
