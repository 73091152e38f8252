//! What the targets of a source had at their last scrapes. It outlives the source's thread: after a change of the
//! configuration, or a panic, series go on, and end where their targets are gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use picket_scrape::{Round, Rules, Series, Taken, Target};

use crate::model::{Label, Sample};

/// The most series of all targets of a source: their names take some 200 MB then.
pub const MAX_SERIES: usize = 1_000_000;

/// See the module's description. Clones share the same.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<BTreeMap<String, Known>>>);

#[derive(Debug)]
struct Known {
    labels: Vec<Label>,
    series: Series,
}

impl Memory {
    /// Makes samples of a scrape.
    pub fn take(&self, rules: &Rules, target: &Target, round: Round) -> Taken {
        let (mut all, key) = (self.lock(), target.key());
        let others = all.iter().filter(|(other, _)| **other != key).map(|(_, known)| known.series.len());
        let room = MAX_SERIES.saturating_sub(others.sum());
        let new = || Known { labels: target.labels.clone(), series: Series::default() };
        rules.take(target, &mut all.entry(key).or_insert_with(new).series, round, room)
    }

    /// The markers of all targets that are gone. `now` is Unix time in nanoseconds.
    pub fn end(&self, is_gone: impl Fn(&str) -> bool, now: u64) -> Vec<Sample> {
        let mut markers = Vec::new();
        self.lock().retain(|key, known| {
            let is_gone = is_gone(key);
            if is_gone {
                markers.extend(known.series.end(&known.labels, now));
            }
            !is_gone
        });
        markers
    }

    // A panic under the lock leaves at worst a target whose next scrape ends too much or too little.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
