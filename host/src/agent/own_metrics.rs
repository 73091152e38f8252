//! The agent's own metrics as samples in the series store, so that alert rules can hold over them.
//!
//! They have the names, labels and values of `/metrics`. They stay on the node: what carries the agent's
//! metrics away is whoever reads `/metrics`.
//!
//! What the agent counts itself comes first. What plugins report gets the room that is left, shared between
//! them, so that one with many label sets pushes out neither the agent's metrics nor those of others.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use picket_series::Store;
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, Registry};

use crate::sources::SourceConfig;
use crate::telemetry;

/// How often they are taken when no `host` source says it: the interval of that source by default.
pub(super) const INTERVAL: Duration = Duration::from_secs(15);

/// Series of the agent and its plugins in the store, half of what it holds by default: plugins with many label
/// sets leave room for the host's. The agent has a tenth of it with ten busy plugins.
const MAX_SERIES: usize = 5_000;

/// What the names of plugins' metrics begin with, and some of the agent's own about plugins.
const OF_PLUGINS: &str = "picket_plugin_";

/// See the module's description.
pub(super) struct OwnMetrics {
    registry: Registry,
    series: Arc<Store>,
    dropped: IntCounter,
    /// Names and labels that were there the last time, as hashes: of two with the same one, less than one
    /// in a billion, the second would miss its zero.
    known: HashSet<u64>,
    hasher: RandomState,
    /// When they were taken last, Unix time in nanoseconds.
    taken: Option<u64>,
}

impl OwnMetrics {
    /// Takes the metrics of a registry, in which it counts too.
    pub(super) fn new(registry: &Registry, series: Arc<Store>) -> Result<Self, prometheus::Error> {
        let dropped = IntCounter::new(
            "picket_agent_samples_dropped_total",
            "Samples of the agent's own metrics that did not go to the series store, because they are too many.",
        )?;
        registry.register(Box::new(dropped.clone()))?;
        let registry = registry.clone();
        Ok(Self { registry, series, dropped, known: HashSet::new(), hasher: RandomState::new(), taken: None })
    }

    /// Takes all of them once; `now` is Unix time in nanoseconds.
    pub(super) fn take(&mut self, now: u64) {
        let (reported, own): (Vec<_>, Vec<_>) =
            self.registry.gather().into_iter().partition(|family| is_reported(family.name()));
        let before = self.taken.replace(now).filter(|before| *before < now);
        let mut known = HashSet::with_capacity(self.known.len());
        let mut dropped = 0;
        let mut room = MAX_SERIES;
        telemetry::lines(&own, &mut |line| match room.checked_sub(1) {
            Some(left) => {
                room = left;
                self.add(line, now, before, &mut known);
            }
            None => dropped += 1,
        });
        let mut shares = Shares::new(&reported, room);
        telemetry::lines(&reported, &mut |line| match shares.take(line) {
            true => self.add(line, now, before, &mut known),
            false => dropped += 1,
        });
        self.known = known;
        self.dropped.inc_by(dropped);
    }

    /// Takes one in; `before` is when they were taken the last time.
    fn add(&self, line: &telemetry::Line<'_>, now: u64, before: Option<u64>, known: &mut HashSet<u64>) {
        let key = self.hasher.hash_one((line.name, &line.labels));
        if line.grows && !self.known.contains(&key) {
            // A counter that appears has grown from zero since the last time: without that sample the
            // first failure, which makes the counter, would be no growth.
            before.inspect(|before| self.append(line, *before, 0.0));
        }
        self.append(line, now, line.value);
        known.insert(key);
    }

    fn append(&self, line: &telemetry::Line<'_>, time: u64, value: f64) {
        // What the store refuses is counted there.
        let _ = self.series.append(line.name, line.labels.iter().copied(), time, value);
    }
}

/// Whether a family has been reported by plugins. Theirs cannot have the names of the agent's own.
fn is_reported(family: &str) -> bool {
    let name = family.strip_prefix(OF_PLUGINS);
    name.is_some_and(|name| !picket_sandbox::reserved_metrics().contains(&name))
}

/// The room of each plugin's metrics.
struct Shares(BTreeMap<String, usize>);

impl Shares {
    /// Who needs less than an equal share leaves the rest to the others.
    fn new(reported: &[MetricFamily], mut room: usize) -> Self {
        let mut needs: BTreeMap<String, usize> = BTreeMap::new();
        telemetry::lines(reported, &mut |line| *needs.entry(plugin(line).to_owned()).or_default() += 1);
        let mut needs: Vec<(String, usize)> = needs.into_iter().collect();
        needs.sort_by_key(|(_, lines)| *lines);
        let mut left = needs.len();
        let share = |(plugin, lines): (String, usize)| {
            let share = lines.min(room / left);
            room -= share;
            left -= 1;
            (plugin, share)
        };
        Self(needs.into_iter().map(share).collect())
    }

    /// Whether there is room for one more of its plugin.
    fn take(&mut self, line: &telemetry::Line<'_>) -> bool {
        match self.0.get_mut(plugin(line)) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }
}

/// Who reported it; the agent itself sets this label.
fn plugin<'a>(line: &telemetry::Line<'a>) -> &'a str {
    line.labels.iter().find(|(name, _)| *name == "plugin").map_or("", |(_, plugin)| plugin)
}

/// How often they are taken beside these sources: as often as the fastest `host` source.
pub(super) fn interval<'a>(sources: impl IntoIterator<Item = &'a SourceConfig>) -> Duration {
    let intervals = sources.into_iter().filter_map(|source| match source {
        SourceConfig::Host(config) => Some(config.interval.0),
        _ => None,
    });
    intervals.min().unwrap_or(INTERVAL)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::model::Span;
    use crate::sources::host;
    use picket_series::{Bounds, Matcher, Op, Window};
    use prometheus::{IntCounterVec, IntGaugeVec, Opts};

    const SECOND: u64 = 1_000_000_000;

    struct Given {
        registry: Registry,
        own: OwnMetrics,
    }

    fn given() -> Given {
        let registry = Registry::new();
        let clock = Arc::new(|| 1_000 * SECOND);
        let metrics = picket_series::Metrics::new(&Registry::new()).unwrap();
        let store = Arc::new(Store::new(picket_series::Config::default(), clock, metrics));
        Given { own: OwnMetrics::new(&registry, store).unwrap(), registry }
    }

    /// Times (in seconds) and values of the one series of a name.
    fn samples(given: &Given, name: &str) -> Vec<(u64, f64)> {
        let matcher = Matcher { name: "__name__".into(), op: Op::Equal, value: name.into() };
        let bounds = Bounds { max_samples: 100_000, deadline: None };
        let window = Window { after: 0, to: u64::MAX };
        let found = given.own.series.select(&[vec![matcher]], window, bounds).unwrap();
        assert!(found.series.len() < 2, "{name}");
        found.times.iter().map(|time| time / SECOND).zip(found.values).collect()
    }

    #[test]
    fn a_counter_that_appears_has_grown_from_zero() {
        let mut given = given();
        let failures = IntCounterVec::new(Opts::new("failures_total", "F."), &["plugin"]).unwrap();
        given.registry.register(Box::new(failures.clone())).unwrap();
        given.own.take(900 * SECOND);
        failures.with_label_values(&["p"]).inc_by(2);
        given.own.take(915 * SECOND);
        failures.with_label_values(&["p"]).inc();
        given.own.take(930 * SECOND);
        assert_eq!(samples(&given, "failures_total"), [(900, 0.0), (915, 2.0), (930, 3.0)]);
    }

    #[test]
    fn what_is_there_at_the_start_is_taken_as_it_is() {
        let mut given = given();
        let up = IntGaugeVec::new(Opts::new("up", "U."), &["plugin"]).unwrap();
        given.registry.register(Box::new(up.clone())).unwrap();
        up.with_label_values(&["p"]).set(1);
        given.own.take(900 * SECOND);
        // The clock was set back: nothing is made up for a time that lies ahead.
        given.own.take(890 * SECOND);
        assert_eq!(samples(&given, "up"), [(900, 1.0)]);
        assert_eq!(samples(&given, "picket_agent_samples_dropped_total"), [(900, 0.0)]);
    }

    /// Registers a gauge with so many label sets of a plugin.
    fn flood(given: &Given, name: &str, plugin: &str, sets: usize) {
        let flood = IntGaugeVec::new(Opts::new(name, "F."), &["plugin", "number"]).unwrap();
        given.registry.register(Box::new(flood.clone())).unwrap();
        for number in 0..sets {
            flood.with_label_values(&[plugin, &number.to_string()]).set(1);
        }
    }

    fn taken(given: &Given, name: &str) -> usize {
        let matcher = Matcher { name: "__name__".into(), op: Op::Equal, value: name.into() };
        let bounds = Bounds { max_samples: 100_000, deadline: None };
        given
            .own
            .series
            .select(&[vec![matcher]], Window { after: 0, to: u64::MAX }, bounds)
            .unwrap()
            .series
            .len()
    }

    #[test]
    fn more_series_than_the_bound_are_left_out_and_counted() {
        let mut given = given();
        flood(&given, "picket_a_flood", "", MAX_SERIES + 10);
        given.own.take(900 * SECOND);
        assert_eq!(given.own.series.size().series, MAX_SERIES);
        // The counter itself comes behind the flood and is beyond the bound too.
        assert_eq!(given.own.dropped.get(), 11);
    }

    #[test]
    fn a_plugin_with_many_label_sets_pushes_out_no_metric_of_the_agent_and_of_others() {
        let mut given = given();
        // In the order of their names the flood comes first.
        flood(&given, "picket_plugin_a_flood", "greedy", 2 * MAX_SERIES);
        flood(&given, "picket_plugin_another_flood", "greedy too", 2 * MAX_SERIES);
        flood(&given, "picket_plugin_circuit_open", "p", 20);
        flood(&given, "picket_plugin_zeal", "modest", 30);
        flood(&given, "picket_source_lag_bytes", "p", 40);
        given.own.take(900 * SECOND);
        let own = 20 + 40 + 1;
        assert_eq!(taken(&given, "picket_plugin_circuit_open"), 20);
        assert_eq!(taken(&given, "picket_source_lag_bytes"), 40);
        assert_eq!(taken(&given, "picket_plugin_zeal"), 30);
        let share = (MAX_SERIES - own - 30) / 2;
        assert_eq!(taken(&given, "picket_plugin_a_flood"), share);
        assert!(taken(&given, "picket_plugin_another_flood") - share <= 1);
        assert_eq!(given.own.series.size().series, MAX_SERIES);
        assert_eq!(given.own.dropped.get(), (4 * MAX_SERIES + 90 + 1 - MAX_SERIES) as u64);
    }

    #[test]
    fn they_are_taken_as_often_as_the_hosts() {
        let host = |seconds| {
            SourceConfig::Host(host::Config { interval: Span::seconds(seconds), ..Default::default() })
        };
        assert_eq!(interval(&[]), INTERVAL);
        assert_eq!(interval(&[host(30), host(5)]), Duration::from_secs(5));
    }
}
