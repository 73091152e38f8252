//! What has to be removed now and then though nobody asks: expired plugin state, verdicts of generations
//! that serve no more, what is remembered of files that nobody comes across any more, samples that are too
//! old, silences that ended days ago.
//!
//! Each removes in pieces, between which commits go on; what one run does not get done the next one does.
//! What is remembered of files has no index by its last use, so all of it has to be looked at: such a pass
//! is spread over many runs and begins anew once a day at most. Where it stands is kept in memory only; a
//! start begins at the beginning. A clock that jumps forwards makes a pass remove all of it, which is a
//! cache: the files are scanned once more.

use std::sync::Arc;
use std::time::Duration;

use picket_series::Store;
use prometheus::{IntCounterVec, Opts, Registry};

use crate::alerts::Silences;
use crate::model::{Day, Digest};
use crate::state::{Place, State, StateError};

/// How often. What has expired is not shown any more anyway: only the room that it takes waits for this.
pub(super) const PERIOD: Duration = Duration::from_secs(60);

/// Entries of the state that are removed at once: some milliseconds in which a commit waits.
const PIECE: usize = 1_000;

/// Pieces of one kind in one run, so that a flood of expired values does not keep a core busy.
const PIECES: usize = 100;

/// Pieces of what is remembered of files that are looked at in one run: ten thousand entries, some mebibytes
/// of sled's cache and a fraction of a second. In a day it is 14 million of them; of more a pass takes
/// longer, and no harm is done.
const LOOKS: usize = 10;

/// Tells, for each plugin that serves, which generations serve or may come back.
pub(super) type Generations = Box<dyn Fn() -> Vec<(String, Vec<Digest>)> + Send>;

/// See the module's description.
pub(super) struct Maintenance {
    state: State,
    series: Arc<Store>,
    silences: Silences,
    generations: Generations,
    /// Where the pass over what is remembered of files stands; `None` when it is done.
    pass: Option<Place>,
    /// The day on which that began.
    begun: Option<Day>,
    removed: IntCounterVec,
    failures: IntCounterVec,
}

/// What is removed, as the label `what` says it.
const EXPIRED: &str = "expired-state";
const VERDICTS: &str = "former-verdicts";
const UNUSED: &str = "unused-scans";
const SAMPLES: &str = "old-samples";
const SILENCES: &str = "old-silences";

impl Maintenance {
    /// Ready for the first run.
    pub(super) fn new(
        state: State,
        series: Arc<Store>,
        silences: Silences,
        generations: Generations,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounterVec::new(Opts::new(name, help), &["what"])?;
            registry.register(Box::new(counter.clone()))?;
            for kind in [EXPIRED, VERDICTS, UNUSED, SAMPLES, SILENCES] {
                counter.with_label_values(&[kind]);
            }
            Ok::<_, prometheus::Error>(counter)
        };
        Ok(Self {
            state,
            series,
            silences,
            generations,
            pass: None,
            begun: None,
            removed: counter(
                "picket_maintenance_removed_total",
                "What was removed because nobody needs it any more: `expired-state` (values of plugins), \
                 `former-verdicts` (of generations that serve no more), `unused-scans` (digests and verdicts \
                 of files that were not come across for a month), `old-samples`, `old-silences`.",
            )?,
            failures: counter(
                "picket_maintenance_failures_total",
                "Removals that failed and are tried again at the next run.",
            )?,
        })
    }

    /// Removes what can be removed at a time, Unix time in nanoseconds.
    pub(super) fn run(&mut self, now: u64) {
        self.remove(EXPIRED, || self.state.purge_expired(now, PIECE));
        for (plugin, generations) in (self.generations)() {
            self.remove(VERDICTS, || self.state.purge_scanned(&plugin, &generations, PIECE));
        }
        self.remove_unused(Day::of(now));
        self.removed.with_label_values(&[SAMPLES]).inc_by(self.series.sweep());
        match self.silences.sweep(now) {
            Ok(removed) => self.removed.with_label_values(&[SILENCES]).inc_by(removed as u64),
            Err(error) => self.failed(SILENCES, &error),
        }
    }

    fn remove(&self, what: &'static str, piece: impl Fn() -> Result<usize, StateError>) {
        for _ in 0..PIECES {
            match piece() {
                Ok(removed) => {
                    self.removed.with_label_values(&[what]).inc_by(removed as u64);
                    if removed < PIECE {
                        return;
                    }
                }
                Err(error) => return self.failed(what, &error),
            }
        }
    }

    /// Goes on with the pass over what is remembered of files, or begins a new one.
    fn remove_unused(&mut self, today: Day) {
        if self.pass.is_none() && self.begun != Some(today) {
            self.pass = Some(Place::default());
            self.begun = Some(today);
        }
        for _ in 0..LOOKS {
            let Some(place) = &self.pass else { return };
            match self.state.purge_unused(place, today, PIECE) {
                Ok((removed, next)) => {
                    self.removed.with_label_values(&[UNUSED]).inc_by(removed as u64);
                    self.pass = next;
                }
                Err(error) => return self.failed(UNUSED, &error),
            }
        }
    }

    fn failed(&self, what: &'static str, error: &StateError) {
        self.failures.with_label_values(&[what]).inc();
        tracing::warn!(what, %error, "What nobody needs any more cannot be removed; it is tried again.");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::model::now_nanos;
    use crate::pipeline::commit::Position;
    use crate::state::{KEPT_DAYS, MemoryTable, Table, Write};

    const HOUR: u64 = 3600 * 1_000_000_000;

    fn scanned(generation: &Digest, content: &str) -> Write {
        let (plugin, value) = ("p".to_owned(), Some(Vec::new()));
        let used = Day::of(now_nanos());
        Write::Scanned {
            plugin,
            generation: *generation,
            content: Digest::of(content.as_bytes()),
            value,
            used,
        }
    }

    fn series(now: Arc<AtomicU64>) -> Arc<Store> {
        let metrics = picket_series::Metrics::new(&Registry::new()).unwrap();
        let config = picket_series::Config { max_age: Duration::from_secs(60), ..Default::default() };
        Arc::new(Store::new(config, Arc::new(move || now.load(Ordering::Relaxed)), metrics))
    }

    #[test]
    fn what_nobody_needs_is_removed_and_counted_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(folder.path(), 1 << 20).unwrap();
        let start = now_nanos();
        let set = |key: &str, expires| Write::PluginSet {
            plugin: "p".into(),
            key: key.into(),
            value: b"v".to_vec(),
            expires,
        };
        let (serves, former) = (Digest::of(b"serves"), Digest::of(b"former"));
        let mut writes = vec![set("forever", None), set("later", Some(start + 2 * HOUR))];
        // More than one piece of each kind.
        let many = PIECE + 5;
        writes.extend((0..many).map(|number| set(&format!("soon {number}"), Some(start + 1))));
        writes.extend((0..many).map(|number| scanned(&former, &number.to_string())));
        writes.push(scanned(&serves, "a"));
        state.apply(&writes, Position { segment: 1, offset: 1 }).unwrap();

        let now = Arc::new(AtomicU64::new(start));
        let series = series(now.clone());
        series.append("a", [], start, 1.0).unwrap();

        let registry = Registry::new();
        let generations: Generations = Box::new(move || vec![("p".to_owned(), vec![serves])]);
        let silences = Silences::open(state.clone(), start).unwrap();
        let mut maintenance =
            Maintenance::new(state.clone(), series.clone(), silences, generations, &registry).unwrap();
        let counter = maintenance.removed.clone();
        let removed = |what| counter.with_label_values(&[what]).get();
        maintenance.run(start);
        assert_eq!((removed(EXPIRED), removed(VERDICTS), removed(SAMPLES)), (0, many as u64, 0));
        now.store(start + HOUR, Ordering::Relaxed);
        maintenance.run(start + HOUR);
        assert_eq!((removed(EXPIRED), removed(VERDICTS), removed(SAMPLES)), (many as u64, many as u64, 1));
        assert_eq!(series.size().series, 0);
        let left = state.plugin_scan("p", b"", None, 10, 0).unwrap();
        assert_eq!(
            left.iter().map(|(key, _)| key.as_slice()).collect::<Vec<_>>(),
            [&b"forever"[..], b"later"]
        );
        assert!(state.scanned("p", &serves, &Digest::of(b"a")).unwrap().is_some());
        assert_eq!(maintenance.failures.with_label_values(&[EXPIRED]).get(), 0);
    }

    /// A state in which so many files were used on a day, and its maintenance.
    fn remembering(files: usize, used: Day) -> (Arc<MemoryTable>, State, Maintenance) {
        let table = Arc::new(MemoryTable::new(0));
        let state = State::with_table(table.clone()).unwrap();
        let digests: Vec<_> = (0..files).map(|number| digest(&number.to_string(), used)).collect();
        state.apply(&digests, Position { segment: 1, offset: 1 }).unwrap();
        let series = series(Arc::default());
        let silences = Silences::open(state.clone(), 0).unwrap();
        let maintenance =
            Maintenance::new(state.clone(), series, silences, Box::new(Vec::new), &Registry::new()).unwrap();
        (table, state, maintenance)
    }

    fn digest(file: &str, used: Day) -> Write {
        Write::FileDigest { key: file.into(), value: Some(vec![0; 32]), used }
    }

    /// What a run on a day removes, how often it fails, and whether the pass is done then.
    fn run(maintenance: &mut Maintenance, day: u32) -> (u64, u64, bool) {
        let count = |counters: &IntCounterVec| counters.with_label_values(&[UNUSED]).get();
        let (removed, failures) = (count(&maintenance.removed), count(&maintenance.failures));
        maintenance.run(u64::from(day) * 24 * HOUR);
        let (removed, failures) =
            (count(&maintenance.removed) - removed, count(&maintenance.failures) - failures);
        (removed, failures, maintenance.pass.is_none())
    }

    #[test]
    fn a_pass_over_files_is_spread_over_runs_and_begins_anew_once_a_day() {
        let one_run = LOOKS * PIECE;
        let (_, state, mut maintenance) = remembering(2 * one_run + 5, Day(1));
        let last = 1 + KEPT_DAYS;
        // Nothing goes while it may be used, and all is looked at once.
        assert_eq!(
            [(); 4].map(|()| run(&mut maintenance, last)),
            [(0, 0, false), (0, 0, false), (0, 0, true), (0, 0, true)]
        );
        let day = last + 1;
        assert_eq!(run(&mut maintenance, day), (one_run as u64, 0, false));
        // A day that begins meanwhile begins no other pass.
        assert_eq!(run(&mut maintenance, day + 1), (one_run as u64, 0, false));
        assert_eq!(run(&mut maintenance, day + 1), (5, 0, true));
        state.apply(&[digest("late", Day(1))], Position { segment: 1, offset: 2 }).unwrap();
        assert_eq!(run(&mut maintenance, day + 1), (1, 0, true));
        state.apply(&[digest("later", Day(1))], Position { segment: 1, offset: 3 }).unwrap();
        assert_eq!(run(&mut maintenance, day + 1), (0, 0, true));
        assert_eq!(run(&mut maintenance, day + 2), (1, 0, true));
    }

    #[test]
    fn a_pass_that_fails_goes_on_from_the_same_place() {
        let one_run = LOOKS * PIECE;
        let (table, _, mut maintenance) = remembering(one_run + 5, Day(1));
        assert_eq!(run(&mut maintenance, 100), (one_run as u64, 0, false));
        table.sync().unwrap();
        table.set_faults(1000);
        assert_eq!(run(&mut maintenance, 100), (0, 1, false));
        table.set_faults(0);
        table.reopen().unwrap();
        assert_eq!(run(&mut maintenance, 100), (5, 0, true));
    }
}
