//! Which series are live, by who makes them, so that each that ends gets a stale marker, and receivers do not take
//! its last value for the present one.
//!
//! Knows what was committed in this run of the agent. When the agent stops or crashes nothing ends: what was live
//! goes on after the start, or receivers take it for ended after some minutes. Commits nothing itself.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::{IntCounter, Registry};

use crate::model::{Label, Sample};

/// Series that are live at once: as many as the series store holds by default, some 50 MB with usual labels if there
/// are so many. A `prometheus` source knows its targets' itself. Those beyond it end without a marker. A quarter is for
/// sources alone.
pub const MAX_LIVE: usize = 100_000;
/// Text of their names and labels: a plugin's labels may be long, and this memory is not its own.
pub const MAX_LIVE_BYTES: usize = 48 << 20;
/// Receivers take a series for ended by themselves after so long without a sample, in nanoseconds: Prometheus'
/// lookback. Whoever made none for as long may leave when there is no room.
const LOOKBACK: u64 = 5 * 60 * 1_000_000_000;
/// Between two looks for those, in nanoseconds: a flood of series must not go through all of them each time.
const LOOK: u64 = 10 * 1_000_000_000;
/// How much later than the last sample a marker is at least, in nanoseconds: receivers count in milliseconds.
pub const STEP: u64 = 1_000_000;

/// Who makes samples. When it goes away, its series end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A source, by its name.
    Source(String),
    /// A plugin, by its name.
    Plugin(String),
}

/// See the module's description. Clones share the same.
#[derive(Clone)]
pub struct LiveSeries {
    inner: Arc<Mutex<Inner>>,
    hasher: RandomState,
    max: Size,
    untracked: IntCounter,
}

/// How much is live.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    series: usize,
    /// Of text.
    bytes: usize,
}

#[derive(Default)]
struct Inner {
    owners: BTreeMap<Owner, HashMap<u64, Series>>,
    /// Of all owners.
    size: Size,
    /// When it was last looked for those that may leave, Unix time in nanoseconds.
    looked: u64,
}

struct Series {
    name: String,
    labels: Vec<Label>,
    /// The time of its last sample.
    last: u64,
    /// When that sample came. Both are Unix time in nanoseconds.
    came: u64,
}

impl LiveSeries {
    /// None are live. Counts in a registry.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        Self::bounded(Size { series: MAX_LIVE, bytes: MAX_LIVE_BYTES }, registry)
    }

    fn bounded(max: Size, registry: &Registry) -> Result<Self, prometheus::Error> {
        let untracked = IntCounter::new(
            "picket_live_series_untracked_samples_total",
            "Samples of series that get no stale marker when they end, because too many series are live.",
        )?;
        registry.register(Box::new(untracked.clone()))?;
        Ok(Self { inner: Arc::default(), hasher: RandomState::new(), max, untracked })
    }

    /// What a series is called here. Of two with the same key, less than one in a billion, one gets no marker.
    pub fn key(&self, sample: &Sample) -> u64 {
        self.hasher.hash_one((&sample.name, &sample.labels))
    }

    /// Samples were made; a stale marker among them ends its series. `now` is Unix time in nanoseconds.
    pub fn made<'a>(&self, owner: &Owner, samples: impl IntoIterator<Item = &'a Sample>, now: u64) {
        // Plugins with many label sets leave room for the host's.
        let max = match owner {
            Owner::Plugin(_) => {
                let Size { series, bytes } = self.max;
                Size { series: series - series / 4, bytes: bytes - bytes / 4 }
            }
            Owner::Source(_) => self.max,
        };
        let mut inner = self.lock();
        for sample in samples {
            let key = self.key(sample);
            if sample.is_stale() {
                inner.remove(owner, key);
            } else if !inner.add(owner, key, sample, now, max) {
                self.untracked.inc();
            }
        }
    }

    /// All samples that an owner makes now: the markers of what it made before and makes no more.
    pub fn round(&self, owner: &Owner, samples: &[Sample], now: u64) -> Vec<Sample> {
        let made: HashSet<u64> = samples.iter().map(|sample| self.key(sample)).collect();
        let gone = self.others(owner, &made);
        let markers = self.markers(owner, &gone, now);
        self.made(owner, samples, now);
        let mut inner = self.lock();
        gone.into_iter().for_each(|key| inner.remove(owner, key));
        markers
    }

    /// What is live of an owner beside these.
    fn others(&self, owner: &Owner, these: &HashSet<u64>) -> Vec<u64> {
        let inner = self.lock();
        let Some(series) = inner.owners.get(owner) else { return Vec::new() };
        series.keys().copied().filter(|key| !these.contains(key)).collect()
    }

    /// The markers of some series of an owner. They stay live until [`made`](Self::made) is told of the markers.
    /// What another owner makes too does not end.
    pub fn markers(&self, owner: &Owner, keys: &[u64], now: u64) -> Vec<Sample> {
        let inner = self.lock();
        let Some(series) = inner.owners.get(owner) else { return Vec::new() };
        let ends = |key: &&u64| !inner.is_made_by_others(owner, **key);
        keys.iter().filter(ends).filter_map(|key| series.get(key)).map(|series| series.marker(now)).collect()
    }

    /// An owner has gone away: the markers of all its series.
    pub fn ended(&self, owner: &Owner, now: u64) -> Vec<Sample> {
        let mut inner = self.lock();
        let Some(series) = inner.owners.remove(owner) else { return Vec::new() };
        inner.measure();
        let ends = |entry: &(u64, Series)| !inner.is_made_by_others(owner, entry.0);
        series.into_iter().filter(ends).map(|(_, series)| series.marker(now)).collect()
    }

    // A panic under the lock leaves at worst a series without its marker.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Says whether there was room.
    fn add(&mut self, owner: &Owner, key: u64, sample: &Sample, now: u64, max: Size) -> bool {
        if let Some(known) = self.owners.get_mut(owner).and_then(|series| series.get_mut(&key)) {
            // After the clock was set back a series goes on earlier than it was, and a marker behind where it was
            // would not end it.
            let is_behind = now < known.came;
            known.last = if is_behind { sample.time } else { known.last.max(sample.time) };
            known.came = now;
            return true;
        }
        let bytes = text_bytes(&sample.name, &sample.labels);
        if !self.has_room(bytes, max) {
            self.make_room(now);
        }
        if !self.has_room(bytes, max) {
            return false;
        }
        let (name, labels) = (sample.name.clone(), sample.labels.clone());
        let series = Series { name, labels, last: sample.time, came: now };
        self.owners.entry(owner.clone()).or_default().insert(key, series);
        self.size.series += 1;
        self.size.bytes += bytes;
        true
    }

    fn has_room(&self, bytes: usize, max: Size) -> bool {
        self.size.series < max.series && self.size.bytes + bytes <= max.bytes
    }

    fn measure(&mut self) {
        let all = || self.owners.values().flat_map(HashMap::values);
        let bytes = all().map(|series| text_bytes(&series.name, &series.labels)).sum();
        self.size = Size { series: all().count(), bytes };
    }

    /// Also when the clock went back: the time of the last look means nothing then.
    fn make_room(&mut self, now: u64) {
        if now >= self.looked && now - self.looked < LOOK {
            return;
        }
        self.looked = now;
        for series in self.owners.values_mut() {
            series.retain(|_, series| now.saturating_sub(series.came) <= LOOKBACK);
        }
        self.owners.retain(|_, series| !series.is_empty());
        self.measure();
    }

    fn remove(&mut self, owner: &Owner, key: u64) {
        let Some(series) = self.owners.get_mut(owner) else { return };
        if let Some(gone) = series.remove(&key) {
            self.size.series -= 1;
            self.size.bytes -= text_bytes(&gone.name, &gone.labels);
        }
    }

    fn is_made_by_others(&self, owner: &Owner, key: u64) -> bool {
        self.owners.iter().any(|(other, series)| other != owner && series.contains_key(&key))
    }
}

fn text_bytes(name: &str, labels: &[Label]) -> usize {
    name.len() + labels.iter().map(|label| label.name.len() + label.value.len()).sum::<usize>()
}

impl Series {
    fn marker(&self, now: u64) -> Sample {
        let time = now.max(self.last.saturating_add(STEP));
        Sample::stale(self.name.clone(), self.labels.clone(), time)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn live(max: usize) -> LiveSeries {
        LiveSeries::bounded(Size { series: max, bytes: 1 << 10 }, &Registry::new()).unwrap()
    }

    fn sample(name: &str, time: u64) -> Sample {
        let labels = vec![Label { name: "l".into(), value: "v".into() }];
        Sample { name: name.into(), labels, time, value: 1.0 }
    }

    fn plugin(name: &str) -> Owner {
        Owner::Plugin(name.to_owned())
    }

    /// Names and times, sorted; all of them have to be markers with the labels of their series.
    fn ends(markers: Vec<Sample>) -> Vec<(String, u64)> {
        assert!(markers.iter().all(|marker| marker.is_stale() && marker.labels == sample("", 0).labels));
        let mut ends: Vec<_> = markers.into_iter().map(|marker| (marker.name, marker.time)).collect();
        ends.sort();
        ends
    }

    #[test]
    fn what_is_not_in_the_next_round_ends_once_and_later_than_its_last_sample() {
        let (live, owner) = (live(10), Owner::Source("host".into()));
        /// The series of a round, and the markers that come with it.
        type Round<'a> = (&'a [&'a str], &'a [(&'a str, u64)]);
        let rounds: [Round<'_>; 4] =
            [(&["a", "b"], &[]), (&["a"], &[("b", 2)]), (&["a"], &[]), (&["b"], &[("a", 4)])];
        for (second, (made, ended)) in (1..).zip(rounds) {
            let made: Vec<Sample> = made.iter().map(|name| sample(name, second * SECOND)).collect();
            let ended: Vec<_> =
                ended.iter().map(|(name, second)| ((*name).to_owned(), second * SECOND)).collect();
            assert_eq!(ends(live.round(&owner, &made, second * SECOND)), ended, "second {second}");
        }
        // The clock was set back.
        assert_eq!(ends(live.ended(&owner, SECOND)), [("b".to_owned(), 4 * SECOND + STEP)]);
        assert!(live.ended(&owner, SECOND).is_empty());
    }

    #[test]
    fn a_series_that_goes_on_after_the_clock_was_set_back_ends_where_it_is() {
        let (live, owner) = (live(10), plugin("p"));
        for (time, now) in [(90, 100), (30, 40), (29, 41)] {
            live.made(&owner, &[sample("a", time * SECOND)], now * SECOND);
        }
        let key = live.key(&sample("a", 0));
        assert_eq!(ends(live.markers(&owner, &[key], 35 * SECOND)), [("a".to_owned(), 35 * SECOND)]);
        let before = live.markers(&owner, &[key], 20 * SECOND);
        assert_eq!(ends(before), [("a".to_owned(), 30 * SECOND + STEP)], "not before its last sample");
    }

    #[test]
    fn markers_end_series_only_once_they_are_made() {
        let live = live(10);
        live.made(&plugin("p"), &[sample("a", SECOND), sample("b", SECOND)], SECOND);
        let key = live.key(&sample("a", 0));
        let markers = live.markers(&plugin("p"), &[key, 7], 2 * SECOND);
        assert_eq!(live.markers(&plugin("p"), &[key], 2 * SECOND).len(), 1, "they may not be committed");
        live.made(&plugin("p"), &markers, 2 * SECOND);
        assert!(live.markers(&plugin("p"), &[key], 2 * SECOND).is_empty());
        assert_eq!(ends(live.ended(&plugin("p"), 3 * SECOND)), [("b".to_owned(), 3 * SECOND)]);
    }

    #[test]
    fn what_another_makes_too_does_not_end() {
        let live = live(10);
        live.made(&plugin("p"), &[sample("a", SECOND)], SECOND);
        live.made(&plugin("q"), &[sample("a", SECOND)], SECOND);
        assert!(live.ended(&plugin("p"), 2 * SECOND).is_empty());
        assert_eq!(live.ended(&plugin("q"), 2 * SECOND).len(), 1);
    }

    #[test]
    fn long_labels_are_bounded_as_many_series_are() {
        let (live, owner) = (live(100), Owner::Plugin("p".into()));
        let long = |name: &str| {
            let labels = vec![Label { name: "l".into(), value: "x".repeat(500) }];
            Sample { name: name.into(), labels, time: SECOND, value: 1.0 }
        };
        live.made(&owner, &[long("a"), long("b"), long("c")], SECOND);
        assert_eq!((live.ended(&owner, SECOND).len(), live.untracked.get()), (1, 2));
        live.made(&owner, &[long("d")], SECOND);
        assert_eq!((live.ended(&owner, SECOND).len(), live.untracked.get()), (1, 2));
    }

    #[test]
    fn beyond_the_bound_series_are_counted_and_idle_ones_make_room() {
        let live = live(2);
        let made = |name: &str, at: u64| live.made(&plugin("p"), &[sample(name, at)], at);
        made("a", LOOK);
        made("b", LOOK);
        made("c", LOOK);
        assert_eq!(live.untracked.get(), 1);
        let later = LOOK + LOOKBACK + 1;
        made("b", later);
        made("c", later);
        assert_eq!(live.untracked.get(), 1, "`a` has been idle for long");
        assert_eq!(live.lock().size.series, 2);
        assert_eq!(ends(live.ended(&plugin("p"), later)).len(), 2);
        assert_eq!(live.lock().size.series, 0);
    }
}
