//! Counters and histograms between two reports: a table that lives as long as the instance, so that
//! counting on the hot path is an addition at an index.
//!
//! Only what changed in a call goes into its report; the totals are the host's.

use std::collections::HashMap;

use crate::finding::labels_of;
use crate::types::{Counter as CounterDelta, Histogram as HistogramDelta, Label};

/// A counter made by [`Setup::counter`](crate::Setup::counter). Valid in the instance that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter(u32);

/// A histogram made by [`Setup::histogram`](crate::Setup::histogram). Valid in the instance that
/// made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Histogram(u32);

/// A name and its label values, as one key.
type Key = (String, Vec<Label>);

#[derive(Debug, Default)]
pub(crate) struct Metrics {
    counters: Vec<CounterCell>,
    histograms: Vec<HistogramCell>,
    counter_ids: HashMap<u64, Vec<u32>>,
    histogram_ids: HashMap<u64, Vec<u32>>,
}

#[derive(Debug)]
pub(crate) struct CounterCell {
    key: Key,
    delta: f64,
}

#[derive(Debug)]
pub(crate) struct HistogramCell {
    key: Key,
    bounds: Vec<f64>,
    counts: Vec<u64>,
    sum: f64,
    touched: bool,
}

impl Metrics {
    pub(crate) fn counter_handle(&mut self, name: &str, labels: &[(&str, &str)]) -> Counter {
        let ids = self.counter_ids.entry(hash(name, labels)).or_default();
        if let Some(&id) = ids.iter().find(|&&id| same(&self.counters[id as usize].key, name, labels)) {
            return Counter(id);
        }
        let id = self.counters.len() as u32;
        self.counters.push(CounterCell { key: key(name, labels), delta: 0.0 });
        ids.push(id);
        Counter(id)
    }

    pub(crate) fn histogram_handle(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        bounds: &[f64],
    ) -> Histogram {
        let ids = self.histogram_ids.entry(hash(name, labels)).or_default();
        if let Some(&id) = ids.iter().find(|&&id| same(&self.histograms[id as usize].key, name, labels)) {
            return Histogram(id);
        }
        let id = self.histograms.len() as u32;
        self.histograms.push(HistogramCell {
            key: key(name, labels),
            bounds: bounds.to_vec(),
            counts: vec![0; bounds.len() + 1],
            sum: 0.0,
            touched: false,
        });
        ids.push(id);
        Histogram(id)
    }

    pub(crate) fn counter(&mut self, counter: Counter) -> &mut CounterCell {
        &mut self.counters[counter.0 as usize]
    }

    pub(crate) fn histogram(&mut self, histogram: Histogram) -> &mut HistogramCell {
        &mut self.histograms[histogram.0 as usize]
    }

    /// What changed since the last time.
    pub(crate) fn take(&mut self) -> (Vec<CounterDelta>, Vec<HistogramDelta>) {
        let counters =
            self.counters.iter_mut().filter(|cell| cell.delta != 0.0).map(CounterCell::take).collect();
        let histograms =
            self.histograms.iter_mut().filter(|cell| cell.touched).map(HistogramCell::take).collect();
        (counters, histograms)
    }
}

impl CounterCell {
    #[inline]
    pub(crate) fn add(&mut self, by: f64) {
        self.delta += by;
    }

    fn take(&mut self) -> CounterDelta {
        let (name, labels) = self.key.clone();
        CounterDelta { name, labels, delta: std::mem::take(&mut self.delta) }
    }
}

impl HistogramCell {
    #[inline]
    pub(crate) fn observe(&mut self, value: f64) {
        let bucket = self.bounds.partition_point(|&bound| bound < value);
        self.counts[bucket] += 1;
        self.sum += value;
        self.touched = true;
    }

    fn take(&mut self) -> HistogramDelta {
        let (name, labels) = self.key.clone();
        let counts = std::mem::replace(&mut self.counts, vec![0; self.bounds.len() + 1]);
        self.touched = false;
        HistogramDelta {
            name,
            labels,
            bounds: self.bounds.clone(),
            counts,
            sum: std::mem::take(&mut self.sum),
        }
    }
}

fn key(name: &str, labels: &[(&str, &str)]) -> Key {
    (name.to_owned(), labels_of(labels))
}

fn same(key: &Key, name: &str, labels: &[(&str, &str)]) -> bool {
    key.0 == name
        && key.1.len() == labels.len()
        && key.1.iter().zip(labels).all(|(have, want)| have.name == want.0 && have.value == want.1)
}

/// FNV-1a over the parts, each ended by a byte that no UTF-8 text holds. The table holds at most
/// some thousand entries that the plugin itself chose, so this needs no keyed hash.
fn hash(name: &str, labels: &[(&str, &str)]) -> u64 {
    let parts = labels.iter().flat_map(|(name, value)| [*name, *value]);
    let bytes = std::iter::once(name).chain(parts).flat_map(|part| part.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
