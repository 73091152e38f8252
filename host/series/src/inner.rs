//! What the store's lock guards. Takes checked labels and compiled selectors.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::index::Index;
use crate::labels::Labels;
use crate::matcher::Test;
use crate::ring::{Ring, SAMPLE_BYTES};
use crate::store::{Appended, Bounds, MAX_AHEAD, Refused, SelectError, Selection, Size, Window};

/// What a series costs beside its samples and the text of its labels: the maps' entries.
const SERIES_BYTES: u64 = 256;
/// Between two sweeps for what is too old. Selecting never shows it, so only memory waits.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// Between two sweeps when a new series finds no room, so that a flood of them does not make every
/// append go through the whole store.
const SWEEP_FULL_EVERY: Duration = Duration::from_secs(1);
/// How many steps of a selection go between two looks at the deadline.
const STEPS_BETWEEN_LOOKS: u32 = 256;

/// Series and where to find them.
#[derive(Default)]
pub(crate) struct Inner {
    /// Ids are given in rising order and never again.
    next_id: u64,
    series: BTreeMap<u64, Series>,
    /// Ids by the hash of their labels; nearly always one. The hash is keyed, so that nobody who
    /// chooses label values can make them collide.
    by_hash: HashMap<u64, Vec<u64>>,
    hasher: RandomState,
    index: Index,
    size: Size,
    swept: u64,
    expelled: Expelled,
}

struct Series {
    labels: Labels,
    hash: u64,
    ring: Ring,
}

/// Samples that left because of a bound, since this was last asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Expelled {
    pub(crate) by_samples: u64,
    pub(crate) by_bytes: u64,
    pub(crate) by_clock: u64,
}

impl Inner {
    pub(crate) fn append(
        &mut self,
        config: &Config,
        pairs: &[(&str, &str)],
        (time, value): (u64, f64),
        now: u64,
    ) -> Result<Appended, Refused> {
        let horizon = now.saturating_sub(nanos(config.max_age));
        let limit = now.saturating_add(nanos(MAX_AHEAD));
        if time <= horizon {
            return Err(Refused::TooOld);
        }
        if time > limit {
            return Err(Refused::Ahead);
        }
        self.sweep_if_due(config, now, SWEEP_EVERY);
        let hash = self.hasher.hash_one(pairs);
        let id = match self.find(hash, pairs) {
            Some(id) => id,
            None => self.begin(config, hash, pairs, now)?,
        };
        let Some(series) = self.series.get_mut(&id) else { return Err(Refused::SeriesBound) };
        let ring = &mut series.ring;
        let mut gone = ring.drop_until(horizon) as u64;
        if ring.last().is_some_and(|(last, _)| last > limit) {
            let ahead = ring.drop_beyond(limit) as u64;
            self.expelled.by_clock += ahead;
            gone += ahead;
        }
        self.size.remove_samples(gone);
        match ring.last() {
            Some((last, old)) if last == time && old.to_bits() == value.to_bits() => {
                return Ok(Appended::Duplicate { series: id });
            }
            Some((last, _)) if last == time => return Err(Refused::Conflict),
            Some((last, _)) if last > time => return Err(Refused::OutOfOrder),
            _ => {}
        }
        if ring.len() >= config.max_samples_per_series.max(1) {
            ring.pop_oldest();
            self.size.remove_samples(1);
            self.expelled.by_samples += 1;
        } else if self.size.bytes + SAMPLE_BYTES > config.max_bytes && ring.len() > 0 {
            ring.pop_oldest();
            self.size.remove_samples(1);
            self.expelled.by_bytes += 1;
        }
        ring.push(time, value);
        self.size.add_sample();
        Ok(Appended::Stored { series: id })
    }

    fn find(&self, hash: u64, pairs: &[(&str, &str)]) -> Option<u64> {
        let same = |id: &&u64| self.series.get(id).is_some_and(|series| same_labels(&series.labels, pairs));
        self.by_hash.get(&hash)?.iter().find(same).copied()
    }

    fn begin(
        &mut self,
        config: &Config,
        hash: u64,
        pairs: &[(&str, &str)],
        now: u64,
    ) -> Result<u64, Refused> {
        let bytes = SERIES_BYTES + text_bytes(pairs.iter().copied());
        let full = |inner: &Self| {
            if inner.series.len() >= config.max_series {
                Err(Refused::SeriesBound)
            } else if inner.size.bytes + bytes + SAMPLE_BYTES > config.max_bytes {
                Err(Refused::ByteBound)
            } else {
                Ok(())
            }
        };
        if full(self).is_err() {
            self.sweep_if_due(config, now, SWEEP_FULL_EVERY);
        }
        full(self)?;
        let id = self.next_id;
        self.next_id += 1;
        let labels = self.index.add(id, pairs);
        self.series.insert(id, Series { labels, hash, ring: Ring::default() });
        self.by_hash.entry(hash).or_default().push(id);
        self.size.series += 1;
        self.size.bytes += bytes;
        Ok(id)
    }

    /// Also when the clock went back: the last sweep's time means nothing then.
    fn sweep_if_due(&mut self, config: &Config, now: u64, every: Duration) {
        if now < self.swept || now - self.swept >= nanos(every) {
            self.sweep(config, now);
        }
    }

    /// Drops samples that are too old, and series that have no others.
    pub(crate) fn sweep(&mut self, config: &Config, now: u64) {
        self.swept = now;
        let horizon = now.saturating_sub(nanos(config.max_age));
        let mut gone = HashSet::new();
        for (id, series) in &mut self.series {
            self.size.remove_samples(series.ring.drop_until(horizon) as u64);
            if series.ring.len() == 0 {
                gone.insert(*id);
            }
        }
        let labels = gone.iter().filter_map(|id| self.series.get(id)).map(|series| &series.labels);
        self.index.remove(&gone, labels);
        for series in gone.iter().filter_map(|id| self.series.remove(id)) {
            self.size.series -= 1;
            self.size.bytes -=
                SERIES_BYTES + text_bytes(series.labels.iter().map(|label| (&*label.name, &*label.value)));
            if let Some(ids) = self.by_hash.get_mut(&series.hash) {
                ids.retain(|id| !gone.contains(id));
                if ids.is_empty() {
                    self.by_hash.remove(&series.hash);
                }
            }
        }
    }

    pub(crate) fn select(
        &self,
        selectors: &[Vec<Test>],
        window: Window,
        bounds: Bounds,
    ) -> Result<Selection, SelectError> {
        let mut clock = Deadline { at: bounds.deadline, steps: 0 };
        let mut answer = Selection::default();
        for tests in selectors {
            let ids = self.index.candidates(tests, &mut || clock.passed()).ok_or(SelectError::Deadline)?;
            for id in ids {
                if clock.passed() {
                    return Err(SelectError::Deadline);
                }
                let Some(series) = self.series.get(&id) else { continue };
                if tests.iter().all(|test| test.matches(value_of(&series.labels, &test.name))) {
                    answer.add(id, &series.ring, window, bounds.max_samples)?;
                }
            }
            answer.row_ends.push(column_end(answer.series.len()));
        }
        Ok(answer)
    }

    pub(crate) fn labels(&self, id: u64) -> Option<Labels> {
        self.series.get(&id).map(|series| Arc::clone(&series.labels))
    }

    pub(crate) fn size(&self) -> Size {
        self.size
    }

    pub(crate) fn take_expelled(&mut self) -> Expelled {
        std::mem::take(&mut self.expelled)
    }
}

impl Size {
    fn add_sample(&mut self) {
        self.samples += 1;
        self.bytes += SAMPLE_BYTES;
    }

    fn remove_samples(&mut self, count: u64) {
        self.samples -= count;
        self.bytes -= count * SAMPLE_BYTES;
    }
}

impl Selection {
    fn add(&mut self, id: u64, ring: &Ring, window: Window, max: u64) -> Result<(), SelectError> {
        let range = ring.range(window.after, window.to);
        // Empty, or its series has ended in the window.
        let last = range.end.checked_sub(1).filter(|last| range.contains(last));
        if last.and_then(|last| ring.at(last)).is_none_or(|(_, value)| is_marker(value)) {
            return Ok(());
        }
        for (time, value) in ring.iter(range).filter(|(_, value)| !is_marker(*value)) {
            if self.times.len() as u64 >= max {
                return Err(SelectError::TooManySamples { max });
            }
            self.times.push(time);
            self.values.push(value);
        }
        self.series.push(id);
        self.sample_ends.push(column_end(self.times.len()));
        Ok(())
    }
}

/// Whether a value is none, but says that the series ended.
fn is_marker(value: f64) -> bool {
    value.to_bits() == picket_model::STALE_NAN
}

/// Looks at the clock at the first and then at every so many steps.
struct Deadline {
    at: Option<Instant>,
    steps: u32,
}

impl Deadline {
    fn passed(&mut self) -> bool {
        let look = self.steps.is_multiple_of(STEPS_BETWEEN_LOOKS);
        self.steps = self.steps.wrapping_add(1);
        look && self.at.is_some_and(|at| Instant::now() >= at)
    }
}

fn column_end(length: usize) -> u32 {
    u32::try_from(length).expect("a selection is bounded by u32::MAX samples, and no row is empty")
}

/// The value of a label; an absent label has the empty one.
fn value_of<'a>(labels: &'a Labels, name: &str) -> &'a str {
    let found = labels.binary_search_by(|label| (*label.name).cmp(name));
    found.map_or("", |at| &labels[at].value)
}

fn same_labels(labels: &Labels, pairs: &[(&str, &str)]) -> bool {
    labels.len() == pairs.len()
        && labels.iter().zip(pairs).all(|(label, pair)| (&*label.name, &*label.value) == *pair)
}

fn text_bytes<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
    pairs.map(|(name, value)| (name.len() + value.len()) as u64).sum()
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
