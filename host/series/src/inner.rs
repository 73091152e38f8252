//! What the store's lock guards: all series, where to find them, and what is to be logged. Takes checked labels and
//! times in milliseconds.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

use crate::chunk::MAX_SAMPLE_BYTES;
use crate::config::{Config, millis};
use crate::error::Refused;
use crate::index::Index;
use crate::labels::Labels;
use crate::log::Pending;
use crate::segment::Segments;
use crate::series::{Gone, NONE, Series};
use crate::store::{Appended, MAX_AHEAD};

/// What a series costs beside its chunks and labels: the structure, its entry in the table by labels, the
/// allocations of its labels and its open chunk.
const SERIES_BYTES: u64 = 184;
/// Between two sweeps for what is too old, in milliseconds. Selecting never shows it, so only memory waits.
const SWEEP_EVERY: i64 = 30_000;
/// Between two sweeps when something finds no room, so that a flood of new series does not make every append go
/// through the whole store.
const SWEEP_FULL_EVERY: i64 = 1000;

/// How far ahead of the clock the last sample of a series may be, in milliseconds, and still refuse an earlier one.
/// Clocks of targets that tell times of their own are closer together than that, and a clock that is set back by less
/// stops no series for longer.
const SKEW: i64 = 30_000;
/// How old a sample may be, in milliseconds, that takes the place of what lies ahead of the clock: the longest scrape.
/// An older one takes no place, or a late sample would cost its series all that came since.
const LATE: i64 = 300_000;

/// Series by rising id. A series' place moves only when others leave.
#[derive(Default)]
pub(crate) struct Inner {
    /// Ids are given in rising order and never again.
    pub(crate) next_id: u64,
    pub(crate) series: Vec<Series>,
    /// Places by labels. The hash is keyed, so that nobody who chooses label values can make them collide.
    by_labels: HashTable<u32>,
    hasher: RandomState,
    pub(crate) index: Index,
    /// Bytes of chunks in memory.
    chunk_bytes: u64,
    /// Labels of all series.
    labels: u64,
    samples: u64,
    swept: i64,
    expelled: Expelled,
    pub(crate) pending: Pending,
    /// By the order in which they were written.
    pub(crate) segments: Arc<Segments>,
    /// A segment is being written: labels' numbers stay as they are.
    pub(crate) writing: bool,
    /// While it is being written a series lost its end: the segment may have samples that are not there any more.
    pub(crate) cut: bool,
}

/// Samples that left because of a bound, since this was last asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Expelled {
    pub(crate) by_bytes: u64,
    pub(crate) by_clock: u64,
}

/// The labels of a series with its name among them, sorted by name.
pub(crate) type Pairs<'a> = [(&'a str, &'a str)];

impl Inner {
    /// `now` is the clock in milliseconds.
    pub(crate) fn append(
        &mut self,
        config: &Config,
        pairs: &Pairs<'_>,
        (time, value): (i64, f64),
        now: i64,
    ) -> Result<Appended, Refused> {
        if time <= now.saturating_sub(config.max_age_ms()) {
            return Err(Refused::TooOld);
        }
        if time > now.saturating_add(millis(MAX_AHEAD)) {
            return Err(Refused::Ahead);
        }
        self.sweep_if_due(config, now, SWEEP_EVERY);
        let place = match self.find(pairs) {
            Some(place) => place,
            None => self.begin(config, pairs, now)?,
        };
        if was_set_back(self.series[place].last, time, now) {
            // From this time on, as the log will say it: a restart sees the same.
            let gone = self.series[place].cut(time);
            self.forget(gone);
            self.expelled.by_clock += gone.samples;
            self.cut |= self.writing;
        }
        let series = &self.series[place];
        let id = series.id;
        if series.last >= time {
            return match (series.last == time, series.value == value.to_bits()) {
                (true, true) => Ok(Appended::Duplicate { series: id }),
                (true, false) => Err(Refused::Conflict),
                (false, _) => Err(Refused::OutOfOrder),
            };
        }
        if self.bytes() + MAX_SAMPLE_BYTES > config.max_bytes && series.last != NONE {
            self.make_room(config, place, now);
        }
        self.push(config, place, time, value.to_bits());
        let series = &mut self.series[place];
        self.pending.sample(series, &self.index, time, value);
        Ok(Appended::Stored { series: id })
    }

    /// Adds a sample that is later than the last of its series.
    pub(crate) fn push(&mut self, config: &Config, place: usize, time: i64, value: u64) {
        let grown = self.series[place].push(time, value, config.window_ms());
        self.grow(grown);
        self.samples += 1;
    }

    pub(crate) fn grow(&mut self, grown: i64) {
        self.chunk_bytes = self.chunk_bytes.saturating_add_signed(grown);
    }

    pub(crate) fn forget(&mut self, gone: Gone) {
        self.samples -= gone.samples;
        self.chunk_bytes = self.chunk_bytes.saturating_sub(gone.bytes);
    }

    /// What is on disk too leaves memory first. Only if there is nothing of it, something of this series is lost.
    fn make_room(&mut self, config: &Config, place: usize, now: i64) {
        if now < self.swept || now - self.swept >= SWEEP_FULL_EVERY {
            self.drop_written(i64::MAX);
            self.sweep_chunks(config, now);
            if self.bytes() + MAX_SAMPLE_BYTES <= config.max_bytes {
                return;
            }
        }
        let gone = self.series[place].make_room();
        self.forget(gone);
        self.expelled.by_bytes += gone.samples;
    }

    /// Where a series stands.
    pub(crate) fn place(&self, id: u64) -> Option<usize> {
        self.series.binary_search_by_key(&id, |series| series.id).ok()
    }

    pub(crate) fn find(&self, pairs: &Pairs<'_>) -> Option<usize> {
        let same = |place: &u32| self.index.same(&self.series[*place as usize].labels, pairs);
        self.by_labels.find(self.hasher.hash_one(pairs), same).map(|place| *place as usize)
    }

    fn begin(&mut self, config: &Config, pairs: &Pairs<'_>, now: i64) -> Result<usize, Refused> {
        let cost = SERIES_BYTES + MAX_SAMPLE_BYTES + 4 * pairs.len() as u64 + self.index.cost(pairs);
        let full = |inner: &Self| {
            if inner.series.len() >= config.max_series {
                Err(Refused::SeriesBound)
            } else if inner.bytes() + cost > config.max_bytes
                // A quarter stays for samples, or each would expel one of its own series.
                || inner.bytes() - inner.chunk_bytes() + cost > config.max_bytes / 4 * 3
            {
                Err(Refused::ByteBound)
            } else {
                Ok(())
            }
        };
        // Chunks that leave memory make no room for a series when the number of series is at its bound.
        let by_bytes = matches!(full(self), Err(Refused::ByteBound));
        if full(self).is_err() && (now < self.swept || now - self.swept >= SWEEP_FULL_EVERY) {
            if by_bytes {
                self.drop_written(i64::MAX);
            }
            self.sweep(config, now);
        }
        full(self)?;
        let id = self.next_id;
        self.next_id += 1;
        Ok(self.insert(id, pairs))
    }

    /// Adds a series behind all others. At the start, ids may come in any order if they are put in order afterwards.
    pub(crate) fn insert(&mut self, id: u64, pairs: &Pairs<'_>) -> usize {
        let hash = self.hasher.hash_one(pairs);
        let place = u32::try_from(self.series.len()).expect("memory ends before there are so many series");
        let labels = self.index.add(place, pairs);
        self.labels += labels.len() as u64;
        if self.series.len() == self.series.capacity() {
            self.series.reserve_exact(16 + self.series.len() / 8);
        }
        self.series.push(Series::new(id, hash, labels));
        let series = &self.series;
        self.by_labels.insert_unique(hash, place, |place| series[*place as usize].hash);
        place as usize
    }

    /// Also when the clock went back: the last sweep's time means nothing then.
    fn sweep_if_due(&mut self, config: &Config, now: i64, every: i64) {
        if now < self.swept || now - self.swept >= every {
            self.sweep(config, now);
        }
    }

    /// Drops chunks that are too old, those that are in segments and no longer new, and series without any sample
    /// that is young enough.
    pub(crate) fn sweep(&mut self, config: &Config, now: i64) {
        self.sweep_chunks(config, now);
        let horizon = now.saturating_sub(config.max_age_ms());
        if !self.writing && self.series.iter().any(|series| series.last <= horizon) {
            self.retain(|series| series.last > horizon);
        }
    }

    fn sweep_chunks(&mut self, config: &Config, now: i64) {
        self.swept = now;
        let horizon = now.saturating_sub(config.max_age_ms());
        for place in 0..self.series.len() {
            let gone = self.series[place].drop_oldest(|chunk| chunk.last <= horizon);
            self.forget(gone);
        }
        self.drop_written(now.saturating_sub(config.cached_ms()));
    }

    /// Drops chunks that are in a segment and end at or before a time.
    pub(crate) fn drop_written(&mut self, until: i64) {
        for place in 0..self.series.len() {
            let gone = self.series[place].drop_oldest(|chunk| chunk.written && chunk.last <= until);
            self.forget(gone);
        }
    }

    fn retain(&mut self, keep: impl Fn(&Series) -> bool) {
        let mut moved = Vec::with_capacity(self.series.len());
        let mut next = 0;
        for series in &self.series {
            moved.push(keep(series).then_some(next));
            next += u32::from(keep(series));
        }
        let (mut gone, mut labels) = (Vec::new(), 0);
        self.series.retain(|series| {
            let stays = keep(series);
            if !stays {
                gone.push(series.held());
                labels += series.labels.len() as u64;
            }
            stays
        });
        gone.into_iter().for_each(|gone| self.forget(gone));
        self.labels -= labels;
        self.index.move_places(&moved, false);
        self.fill_table();
    }

    /// Puts series in the order of their ids.
    pub(crate) fn put_in_order(&mut self) {
        let mut order: Vec<u32> = (0..self.series.len() as u32).collect();
        order.sort_unstable_by_key(|place| self.series[*place as usize].id);
        let mut moved = vec![None; order.len()];
        order.iter().zip(0..).for_each(|(old, new)| moved[*old as usize] = Some(new));
        self.series.sort_unstable_by_key(|series| series.id);
        self.index.move_places(&moved, true);
        self.fill_table();
    }

    fn fill_table(&mut self) {
        self.by_labels.clear();
        let series = &self.series;
        for (one, place) in series.iter().zip(0..) {
            self.by_labels.insert_unique(one.hash, place, |place| series[*place as usize].hash);
        }
    }

    pub(crate) fn labels(&self, id: u64) -> Option<Labels> {
        Some(self.index.labels(&self.series[self.place(id)?].labels))
    }

    pub(crate) fn samples(&self) -> u64 {
        self.samples
    }

    /// As accounted for the bound.
    pub(crate) fn bytes(&self) -> u64 {
        self.chunk_bytes + self.index.bytes() + SERIES_BYTES * self.series.len() as u64 + 4 * self.labels
    }

    /// Of these, bytes of chunks.
    pub(crate) fn chunk_bytes(&self) -> u64 {
        self.chunk_bytes
    }

    pub(crate) fn take_expelled(&mut self) -> Expelled {
        std::mem::take(&mut self.expelled)
    }
}

/// Whether the clock was set back since the last sample of a series, so that an earlier one takes the place of what is
/// there from its time on.
fn was_set_back(last: i64, time: i64, now: i64) -> bool {
    // What is so far ahead would be refused by now: then series whose samples lie back (`query_offset`) go on too.
    let is_certain = last > now.saturating_add(millis(MAX_AHEAD));
    let is_likely = last > now.saturating_add(SKEW) && time > now.saturating_sub(LATE);
    last > time && (is_certain || is_likely)
}
