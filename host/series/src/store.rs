//! The store itself: series by their labels, and what may be done with them from any thread.
//!
//! One lock guards memory. Appending takes it for writing, for a microsecond a sample; selecting takes it for
//! reading, and only to look up what it then decodes. What writes to the folder has a lock of its own, which is
//! taken first.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::bounds::{Bounds, Watch};
use crate::config::{Clock, Config, to_ms};
use crate::disk::recover::{self, Recovered};
use crate::disk::{Disk, Status};
use crate::error::{LookupError, OpenError, Refused, SelectError, UnknownSeries};
use crate::inner::Inner;
use crate::labels::{Labels, canonical};
use crate::lookup::{self, Lookup};
use crate::matcher::Patterns;
use crate::memory::Memory;
use crate::metadata::{Descriptions, Metadata};
use crate::metrics::Metrics;
use crate::segment::Block;
use crate::select::{Request, Select, Selection};

/// How far ahead of the clock a sample's time may be: clocks differ by less, and what is further ahead is a mistake.
pub const MAX_AHEAD: Duration = Duration::from_secs(10 * 60);

/// Requests of one selection: all selectors of some ten thousand rules.
pub const MAX_REQUESTS: u32 = 65_536;

/// Recent samples of the node. Share it in an `Arc`.
pub struct Store {
    clock: Clock,
    patterns: Patterns,
    descriptions: Descriptions,
    memory: Memory,
    disk: Option<Mutex<Disk>>,
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

impl Appended {
    /// The id of its series.
    pub fn series(self) -> u64 {
        match self {
            Self::Stored { series } | Self::Duplicate { series } => series,
        }
    }
}

/// How much the store holds in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Series, with those whose samples are on disk only.
    pub series: usize,
    /// Samples in memory.
    pub samples: u64,
    /// Bytes of series, labels and chunks, as accounted for [`Config::max_bytes`].
    pub bytes: u64,
}

impl Store {
    /// An empty store in memory.
    pub fn new(config: Config, clock: Clock, metrics: Metrics) -> Self {
        let memory = Memory::new(config, metrics, Inner::default());
        let (patterns, descriptions) = Default::default();
        Self { clock, patterns, descriptions, memory, disk: None }
    }

    /// A store with what is in a folder, which is made if it is not there; without a folder an empty one. Nobody else
    /// may have the folder open. Damage keeps nothing from starting: it is told, and counted.
    pub fn open(
        folder: Option<&Path>,
        config: Config,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<(Self, Recovered), OpenError> {
        let Some(folder) = folder else {
            return Ok((Self::new(config, clock, metrics), Recovered::default()));
        };
        let (disk, inner, recovered) = recover::open(folder, &config, to_ms(clock()))?;
        metrics.recovered(&recovered);
        let store = Self {
            disk: Some(Mutex::new(disk)),
            memory: Memory::new(config, metrics, inner),
            ..Self::new(Config::default(), clock, Metrics::unregistered())
        };
        store.show(&mut store.memory.write());
        Ok((store, recovered))
    }

    /// Adds a sample: `time` is Unix time in nanoseconds, `labels` need not be sorted.
    ///
    /// Times are kept in milliseconds, rounded down, and those of a series only rise. A sample that the series
    /// has already (same time, same value bit for bit) changes nothing; one of the same time with another value,
    /// and one that is earlier than the last, are refused. But when the last is more than 30 seconds ahead of the clock,
    /// the clock was set back: then a sample of the last five minutes is taken, and what the series has from its time on
    /// leaves, so that the series goes on and does not wait.
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
        let outcome = canonical(name, labels).and_then(|pairs| {
            let mut inner = self.memory.write();
            let now = to_ms((self.clock)());
            let config = &self.memory.config;
            let outcome = inner.append(config, &pairs, (to_ms(time), value), now);
            self.show(&mut inner);
            outcome
        });
        self.memory.metrics.count(&outcome);
        outcome
    }

    /// The samples of each request.
    pub fn select(&self, requests: &[Request], bounds: Bounds) -> Result<Selection, SelectError> {
        // The columns count in 32 bits.
        let bounds = Bounds { max_samples: bounds.max_samples.min(u64::from(u32::MAX)), ..bounds };
        let mut select = Select {
            memory: &self.memory,
            horizon: self.horizon(),
            bounds,
            watch: Watch::new(bounds.deadline),
            answer: Selection::default(),
            block: Block::default(),
        };
        for (request, number) in requests.iter().zip(0..) {
            let bad = |reason| SelectError::BadSelector { selector: number, reason };
            if number == MAX_REQUESTS {
                return Err(bad(format!("at most {MAX_REQUESTS} may be asked for at once")));
            }
            if bounds.deadline.is_some_and(|at| Instant::now() >= at) {
                return Err(SelectError::Deadline);
            }
            let tests = self.patterns.compile(&request.selector).map_err(bad)?;
            select.request(&tests, to_ms(request.start)..to_ms(request.end), request.wanted)?;
        }
        Ok(select.answer)
    }

    /// The labels of series with their names among them, sorted by name, in the order asked.
    pub fn labels(&self, series: &[u64]) -> Result<Vec<Labels>, UnknownSeries> {
        let inner = self.memory.read();
        series.iter().map(|id| inner.labels(*id).ok_or(UnknownSeries(*id))).collect()
    }

    /// The label sets of series.
    pub fn series(&self, lookup: Lookup<'_>) -> Result<Vec<Labels>, LookupError> {
        let tests = lookup::compile(&self.patterns, lookup.selectors)?;
        lookup::series(&self.memory.read(), &lookup, self.horizon(), &tests)
    }

    /// The names of the labels that series have, sorted.
    pub fn label_names(&self, lookup: Lookup<'_>) -> Result<Vec<Arc<str>>, LookupError> {
        let tests = lookup::compile(&self.patterns, lookup.selectors)?;
        lookup::texts(&self.memory.read(), &lookup, self.horizon(), &tests, None)
    }

    /// The values of a label that series have, sorted.
    pub fn label_values(&self, name: &str, lookup: Lookup<'_>) -> Result<Vec<Arc<str>>, LookupError> {
        let tests = lookup::compile(&self.patterns, lookup.selectors)?;
        lookup::texts(&self.memory.read(), &lookup, self.horizon(), &tests, Some(name))
    }

    /// Keeps what a metric is. Says whether there was room for it: [`crate::MAX_DESCRIBED`] metrics may have a
    /// description.
    pub fn describe(&self, name: &str, metadata: Metadata) -> bool {
        self.descriptions.set(name, metadata)
    }

    /// What metrics are, by their names; at most so many.
    pub fn all_metadata(&self, max: usize) -> Vec<(String, Metadata)> {
        self.descriptions.all(max)
    }

    /// How much is held now.
    pub fn size(&self) -> Size {
        size(&self.memory.read())
    }

    /// Drops what is too old or no longer needed in memory, and says how many samples that were. Appending does it
    /// now and then; call it when nothing is appended for long.
    pub fn sweep(&self) -> u64 {
        let now = to_ms((self.clock)());
        let mut inner = self.memory.write();
        let before = inner.samples();
        inner.sweep(&self.memory.config, now);
        self.show(&mut inner);
        before - inner.samples()
    }

    /// Writes what was appended to the folder: call it every few seconds. It syncs now and then, and at the end of a
    /// window writes a segment, which may take a second. Fails never: see [`Store::status`].
    pub fn flush(&self) {
        self.write(false);
    }

    /// As [`Store::flush`], and everything is durable afterwards if the disk is well: call it at the end.
    pub fn sync(&self) {
        self.write(true);
    }

    fn write(&self, sync: bool) {
        if let Some(mut disk) = self.disk() {
            disk.flush(&self.memory, to_ms((self.clock)()), sync);
        }
    }

    /// How the folder is doing. Waits while something is being written.
    pub fn status(&self) -> Status {
        self.disk().map_or_else(Status::default, |disk| disk.status(&self.memory))
    }

    // A panic while writing leaves a file that the next start passes over.
    fn disk(&self) -> Option<MutexGuard<'_, Disk>> {
        Some(self.disk.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn horizon(&self) -> i64 {
        to_ms((self.clock)()).saturating_sub(self.memory.config.max_age_ms())
    }

    fn show(&self, inner: &mut Inner) {
        self.memory.metrics.show(size(inner), inner.take_expelled());
    }
}

fn size(inner: &Inner) -> Size {
    Size { series: inner.series.len(), samples: inner.samples(), bytes: inner.bytes() }
}
