//! The store itself: series by their labels, and what may be done with them from any thread.
//!
//! One lock guards everything. Appending takes it for writing and holds it for a microsecond;
//! selecting takes it for reading, until the answer is copied out or the deadline has passed.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use crate::config::{Clock, Config};
use crate::inner::{Inner, nanos};
use crate::labels::{Labels, canonical};
use crate::matcher::{Patterns, Selector};
use crate::metrics::Metrics;

/// How far ahead of the clock a sample's time may be. One wrong time far in the future would
/// otherwise make every later sample of its series out of order.
pub const MAX_AHEAD: Duration = Duration::from_secs(10 * 60);

/// Selectors of one selection: a large rule group asks with a tenth.
pub const MAX_SELECTORS: u32 = 1000;

/// Recent samples of the node. Share it in an `Arc`.
pub struct Store {
    config: Config,
    clock: Clock,
    metrics: Metrics,
    patterns: Patterns,
    inner: RwLock<Inner>,
}

/// What became of a sample that was not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is stored.
    Stored {
        /// The id of its series.
        series: u64,
    },
    /// The series has it already, with the same time and value.
    Duplicate {
        /// The id of its series.
        series: u64,
    },
}

/// Why the store did not take a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refused {
    /// The metric's name does not match `[a-zA-Z_:][a-zA-Z0-9_:]*` or is longer than 256 bytes.
    #[error("the metric's name does not match `[a-zA-Z_:][a-zA-Z0-9_:]*` or is longer than 256 bytes")]
    BadName,
    /// A label's name is none, or its value is longer than 4096 bytes.
    #[error(
        "a label's name does not match `[a-zA-Z_][a-zA-Z0-9_]*`, begins with `__`, or its value is too long"
    )]
    BadLabel,
    /// Two labels have one name.
    #[error("two labels have the same name")]
    DuplicateLabel,
    /// More than [`crate::MAX_LABELS`], the name included.
    #[error("the sample has more than 63 labels")]
    TooManyLabels,
    /// More than [`MAX_AHEAD`] later than the clock.
    #[error("its time is more than 10 minutes ahead of the clock")]
    Ahead,
    /// Older than the store keeps samples.
    #[error("it is older than the store keeps samples")]
    TooOld,
    /// The series has a later sample.
    #[error("the series has a later sample already")]
    OutOfOrder,
    /// The series has a sample of this time with another value.
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
    pub fn reason(self) -> &'static str {
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

/// The time that a selection covers: later than `after`, not later than `to`. Unix time in
/// nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Exclusive.
    pub after: u64,
    /// Inclusive.
    pub to: u64,
}

/// What a selection may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Samples in the answer; a series that two selectors match counts twice.
    pub max_samples: u64,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
}

/// Samples as flat columns.
///
/// Row `r` is a series; its samples are `times` and `values` from `sample_ends[r - 1]` to
/// `sample_ends[r]`, by time. Selector `s` has the rows from `row_ends[s - 1]` to `row_ends[s]`,
/// by series id. A series without a sample in the window has no row, and one that has ended by its
/// end has none either; stale markers are never given.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Selection {
    /// Where each selector's rows end.
    pub row_ends: Vec<u32>,
    /// The id of each row's series.
    pub series: Vec<u64>,
    /// Where each row's samples end.
    pub sample_ends: Vec<u32>,
    /// Unix times in nanoseconds.
    pub times: Vec<u64>,
    /// One for each time.
    pub values: Vec<f64>,
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
    /// The answer would be larger than [`Bounds::max_samples`].
    #[error("the selection has more than {max} samples; ask for less time or fewer series")]
    TooManySamples {
        /// The bound.
        max: u64,
    },
    /// [`Bounds::deadline`] has passed.
    #[error("the selection was not done when its time was over")]
    Deadline,
}

/// The store has no series of this id: it never had, or it has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the store has no series {0}")]
pub struct UnknownSeries(
    /// The id.
    pub u64,
);

/// How much the store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Series.
    pub series: usize,
    /// Samples of all series.
    pub samples: u64,
    /// Bytes of samples and labels, as accounted for [`Config::max_bytes`].
    pub bytes: u64,
}

impl Store {
    /// An empty store.
    pub fn new(config: Config, clock: Clock, metrics: Metrics) -> Self {
        Self { config, clock, metrics, patterns: Patterns::default(), inner: RwLock::default() }
    }

    /// Adds a sample: `time` is Unix time in nanoseconds, `labels` need not be sorted.
    ///
    /// The times of a series only rise. A sample that the series has already (same time, same
    /// value bit for bit) changes nothing; one of the same time with another value, and one that
    /// is earlier than the last, are refused. When the clock was set back, what is further ahead
    /// of it than [`MAX_AHEAD`] leaves the series, so that it goes on and does not wait.
    ///
    /// The value with the bits of `picket_model::STALE_NAN` is a stale marker: the series ends there, until it has
    /// a later sample.
    pub fn append<'a>(
        &self,
        name: &'a str,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        time: u64,
        value: f64,
    ) -> Result<Appended, Refused> {
        let now = (self.clock)();
        let outcome = canonical(name, labels).and_then(|pairs| {
            let mut inner = self.write();
            let outcome = inner.append(&self.config, &pairs, (time, value), now);
            self.show(&mut inner);
            outcome
        });
        match &outcome {
            Ok(Appended::Stored { .. }) => self.metrics.appended.inc(),
            Ok(Appended::Duplicate { .. }) => self.metrics.duplicates.inc(),
            Err(refused) => self.metrics.refused.with_label_values(&[refused.reason()]).inc(),
        }
        outcome
    }

    /// The samples of each selector in the window.
    pub fn select(
        &self,
        selectors: &[Selector],
        window: Window,
        bounds: Bounds,
    ) -> Result<Selection, SelectError> {
        let mut tests = Vec::new();
        for (selector, number) in selectors.iter().zip(0..) {
            let bad = |reason| SelectError::BadSelector { selector: number, reason };
            if number == MAX_SELECTORS {
                return Err(bad(format!("at most {MAX_SELECTORS} may be asked for at once")));
            }
            if bounds.deadline.is_some_and(|at| Instant::now() >= at) {
                return Err(SelectError::Deadline);
            }
            tests.push(self.patterns.compile(selector).map_err(bad)?);
        }
        let horizon = (self.clock)().saturating_sub(nanos(self.config.max_age));
        let window = Window { after: window.after.max(horizon), to: window.to };
        // The columns count in 32 bits.
        let max_samples = bounds.max_samples.min(u64::from(u32::MAX));
        self.read().select(&tests, window, Bounds { max_samples, ..bounds })
    }

    /// The labels of series with their names among them, sorted by name, in the order asked.
    pub fn labels(&self, series: &[u64]) -> Result<Vec<Labels>, UnknownSeries> {
        let inner = self.read();
        series.iter().map(|id| inner.labels(*id).ok_or(UnknownSeries(*id))).collect()
    }

    /// How much is held now.
    pub fn size(&self) -> Size {
        self.read().size()
    }

    /// Drops what is too old, and says how many samples that were. Appending does it now and then;
    /// call it when nothing is appended for long.
    pub fn sweep(&self) -> u64 {
        let now = (self.clock)();
        let mut inner = self.write();
        let before = inner.size().samples;
        inner.sweep(&self.config, now);
        self.show(&mut inner);
        before - inner.size().samples
    }

    fn show(&self, inner: &mut Inner) {
        let size = inner.size();
        let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.metrics.series.set(gauge(size.series as u64));
        self.metrics.samples.set(gauge(size.samples));
        self.metrics.bytes.set(gauge(size.bytes));
        let expelled = inner.take_expelled();
        for (bound, count) in
            [("samples", expelled.by_samples), ("bytes", expelled.by_bytes), ("clock", expelled.by_clock)]
        {
            if count > 0 {
                self.metrics.expelled.with_label_values(&[bound]).inc_by(count);
            }
        }
    }

    // A panic under the lock leaves at worst a sample uncounted: go on with what is there.
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}
