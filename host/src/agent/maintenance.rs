//! What has to be removed now and then though nobody asks: expired plugin state, verdicts of generations
//! that serve no more, samples that are too old.
//!
//! Each removes in pieces, between which commits go on; what one run does not get done the next one does.

use std::sync::Arc;
use std::time::Duration;

use picket_series::Store;
use prometheus::{IntCounterVec, Opts, Registry};

use crate::model::Digest;
use crate::state::{State, StateError};

/// How often. What has expired is not shown any more anyway: only the room that it takes waits for this.
pub(super) const PERIOD: Duration = Duration::from_secs(60);

/// Entries of the state that are removed at once: some milliseconds in which a commit waits.
const PIECE: usize = 1_000;

/// Pieces of one kind in one run, so that a flood of expired values does not keep a core busy.
const PIECES: usize = 100;

/// Tells, for each plugin that serves, which generations serve or may come back.
pub(super) type Generations = Box<dyn Fn() -> Vec<(String, Vec<Digest>)> + Send>;

/// See the module's description.
pub(super) struct Maintenance {
    state: State,
    series: Arc<Store>,
    generations: Generations,
    removed: IntCounterVec,
    failures: IntCounterVec,
}

/// What is removed, as the label `what` says it.
const EXPIRED: &str = "expired-state";
const VERDICTS: &str = "former-verdicts";
const SAMPLES: &str = "old-samples";

impl Maintenance {
    /// Ready for the first run.
    pub(super) fn new(
        state: State,
        series: Arc<Store>,
        generations: Generations,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounterVec::new(Opts::new(name, help), &["what"])?;
            registry.register(Box::new(counter.clone()))?;
            for kind in [EXPIRED, VERDICTS, SAMPLES] {
                counter.with_label_values(&[kind]);
            }
            Ok::<_, prometheus::Error>(counter)
        };
        Ok(Self {
            state,
            series,
            generations,
            removed: counter(
                "picket_maintenance_removed_total",
                "What was removed because nobody needs it any more: `expired-state` (values of plugins), \
                 `former-verdicts` (of generations that serve no more), `old-samples`.",
            )?,
            failures: counter(
                "picket_maintenance_failures_total",
                "Removals that failed and are tried again at the next run.",
            )?,
        })
    }

    /// Removes what can be removed at a time, Unix time in nanoseconds.
    pub(super) fn run(&self, now: u64) {
        self.remove(EXPIRED, || self.state.purge_expired(now, PIECE));
        for (plugin, generations) in (self.generations)() {
            self.remove(VERDICTS, || self.state.purge_scanned(&plugin, &generations, PIECE));
        }
        self.removed.with_label_values(&[SAMPLES]).inc_by(self.series.sweep());
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
                Err(error) => {
                    self.failures.with_label_values(&[what]).inc();
                    tracing::warn!(what, %error, "What nobody needs any more cannot be removed; it is tried again.");
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::model::now_nanos;
    use crate::pipeline::commit::Position;
    use crate::state::Write;

    const HOUR: u64 = 3600 * 1_000_000_000;

    fn scanned(generation: &Digest, content: &str) -> Write {
        let (plugin, value) = ("p".to_owned(), Some(Vec::new()));
        Write::Scanned { plugin, generation: *generation, content: Digest::of(content.as_bytes()), value }
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
        let clock = now.clone();
        let metrics = picket_series::Metrics::new(&Registry::new()).unwrap();
        let config = picket_series::Config { max_age: Duration::from_secs(60), ..Default::default() };
        let series = Arc::new(Store::new(config, Arc::new(move || clock.load(Ordering::Relaxed)), metrics));
        series.append("a", [], start, 1.0).unwrap();

        let registry = Registry::new();
        let generations: Generations = Box::new(move || vec![("p".to_owned(), vec![serves])]);
        let maintenance = Maintenance::new(state.clone(), series.clone(), generations, &registry).unwrap();
        let removed = |what| maintenance.removed.with_label_values(&[what]).get();
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
}
