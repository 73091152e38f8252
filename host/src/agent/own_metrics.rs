//! The agent's own metrics as samples: in the series store, so that alert rules can hold over them, and committed
//! while a forwarder takes samples, so that they reach upstream.
//!
//! They have the names, labels and values of `/metrics`. What is no longer there has ended and gets a stale marker.
//!
//! What the agent counts itself comes first. What plugins report gets the room that is left, shared between
//! them, so that one with many label sets pushes out neither the agent's metrics nor those of others.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use picket_series::Store;
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, Registry};

use crate::model::{Label, STALE_NAN, Sample};
use crate::pipeline::commit::SamplesWanted;
use crate::pipeline::live::STEP;
use crate::sources::SourceConfig;
use crate::telemetry;

/// How often they are taken when no `host` source says it: the interval of that source by default.
pub(super) const INTERVAL: Duration = Duration::from_secs(15);

/// Series of the agent and its plugins in the store, a twentieth of what it holds by default: plugins with many
/// label sets leave room for what is scraped. The agent has a tenth of it with ten busy plugins.
const MAX_SERIES: usize = 5_000;

/// Text of what plugins report, in bytes: it is copied in each round, and their labels may be long.
const MAX_TEXT: usize = 4 << 20;

/// What the names of plugins' metrics begin with, and some of the agent's own about plugins.
const OF_PLUGINS: &str = "picket_plugin_";

/// The way to the forwarders.
pub(super) struct Upstream {
    /// Whether one of them takes samples.
    pub(super) wanted: SamplesWanted,
    /// Commits samples and says how many are lost.
    pub(super) carry: Box<dyn FnMut(Vec<Sample>) -> usize + Send>,
}

/// See the module's description.
pub(super) struct OwnMetrics {
    registry: Registry,
    series: Arc<Store>,
    upstream: Upstream,
    dropped: IntCounter,
    not_committed: IntCounter,
    /// What was there the last time, by the hash of name and labels: of two with the same one, less than one
    /// in a billion, the second would miss its zero and its end.
    known: HashMap<u64, Known>,
    hasher: RandomState,
    /// When they were taken last, Unix time in nanoseconds.
    taken: Option<u64>,
}

/// A series.
struct Known {
    name: String,
    /// Sorted by name.
    labels: Vec<Label>,
}

/// What is being taken.
struct Round {
    /// Unix time in nanoseconds.
    now: u64,
    /// The time of the zero from which what appears has grown.
    zero: Option<u64>,
    /// What was there the last time and has not been met yet.
    before: HashMap<u64, Known>,
    known: HashMap<u64, Known>,
    /// For upstream; none when nobody takes them.
    samples: Option<Vec<Sample>>,
}

impl OwnMetrics {
    /// Takes the metrics of a registry, in which it counts too.
    pub(super) fn new(
        registry: &Registry,
        series: Arc<Store>,
        upstream: Upstream,
    ) -> Result<Self, prometheus::Error> {
        let dropped = IntCounter::new(
            "picket_agent_samples_dropped_total",
            "Samples of the agent's own metrics that did not go to the series store, because they are too many.",
        )?;
        let not_committed = IntCounter::new(
            "picket_agent_samples_not_committed_total",
            "Samples of the agent's own metrics that did not go upstream, because they could not be committed.",
        )?;
        registry.register(Box::new(dropped.clone()))?;
        registry.register(Box::new(not_committed.clone()))?;
        let (registry, known, hasher) = (registry.clone(), HashMap::new(), RandomState::new());
        Ok(Self { registry, series, upstream, dropped, not_committed, known, hasher, taken: None })
    }

    /// Takes all of them once; `now` is Unix time in nanoseconds.
    pub(super) fn take(&mut self, now: u64) {
        let (reported, own): (Vec<_>, Vec<_>) =
            self.registry.gather().into_iter().partition(|family| is_reported(family.name()));
        let taken = self.taken.replace(now);
        let mut round = Round {
            now,
            // Later than the marker that it may have had then.
            zero: taken.map(|taken| taken + STEP).filter(|zero| *zero < now),
            known: HashMap::with_capacity(self.known.len()),
            before: std::mem::take(&mut self.known),
            samples: self.upstream.wanted.get().then(Vec::new),
        };
        let mut dropped = 0;
        let mut room = MAX_SERIES;
        telemetry::lines(&own, &mut |line| match room.checked_sub(1) {
            Some(left) => {
                room = left;
                self.add(line, &mut round);
            }
            None => dropped += 1,
        });
        let mut shares = Shares::new(&reported, room);
        telemetry::lines(&reported, &mut |line| match shares.take(line) {
            true => self.add(line, &mut round),
            false => dropped += 1,
        });
        self.end(taken.map_or(now, |taken| now.max(taken + STEP)), &mut round);
        self.known = round.known;
        self.dropped.inc_by(dropped);
        if let Some(samples) = round.samples {
            self.not_committed.inc_by((self.upstream.carry)(samples) as u64);
        }
    }

    /// Takes one in.
    fn add(&self, line: &telemetry::Line<'_>, round: &mut Round) {
        let key = self.hasher.hash_one((line.name, &line.labels));
        let before = round.before.remove(&key);
        let is_new = before.is_none();
        let known = before.unwrap_or_else(|| Known::of(line));
        if let Some(zero) = round.zero.filter(|_| line.grows && is_new) {
            // A counter that appears has grown from zero since the last time: without that sample the
            // first failure, which makes the counter, would be no growth.
            self.append(&known, zero, 0.0, round);
        }
        self.append(&known, round.now, line.value, round);
        round.known.insert(key, known);
    }

    /// What was there the last time and has not been met has ended.
    fn end(&self, time: u64, round: &mut Round) {
        for gone in std::mem::take(&mut round.before).into_values() {
            self.append(&gone, time, f64::from_bits(STALE_NAN), round);
        }
    }

    fn append(&self, known: &Known, time: u64, value: f64, round: &mut Round) {
        let labels = known.labels.iter().map(|label| (label.name.as_str(), label.value.as_str()));
        // What the store refuses is counted there.
        let _ = self.series.append(&known.name, labels, time, value);
        if let Some(samples) = &mut round.samples {
            samples.push(Sample { name: known.name.clone(), labels: known.labels.clone(), time, value });
        }
    }
}

impl Known {
    fn of(line: &telemetry::Line<'_>) -> Self {
        let label =
            |(name, value): &(&str, &str)| Label { name: (*name).to_owned(), value: (*value).to_owned() };
        let mut labels: Vec<Label> = line.labels.iter().map(label).collect();
        labels.sort();
        Self { name: line.name.to_owned(), labels }
    }
}

/// Whether a family has been reported by plugins. Theirs cannot have the names of the agent's own.
fn is_reported(family: &str) -> bool {
    let name = family.strip_prefix(OF_PLUGINS);
    name.is_some_and(|name| !picket_sandbox::reserved_metrics().contains(&name))
}

/// The room of each plugin's metrics.
struct Shares(BTreeMap<String, Share>);

/// What is left of a plugin's share.
struct Share {
    lines: usize,
    bytes: usize,
}

impl Shares {
    /// Who needs less than an equal share leaves the rest to the others.
    fn new(reported: &[MetricFamily], mut room: usize) -> Self {
        let mut needs: BTreeMap<String, usize> = BTreeMap::new();
        telemetry::lines(reported, &mut |line| *needs.entry(plugin(line).to_owned()).or_default() += 1);
        let mut needs: Vec<(String, usize)> = needs.into_iter().collect();
        needs.sort_by_key(|(_, lines)| *lines);
        let mut left = needs.len();
        let bytes = MAX_TEXT / left.max(1);
        let share = |(plugin, lines): (String, usize)| {
            let lines = lines.min(room / left);
            room -= lines;
            left -= 1;
            (plugin, Share { lines, bytes })
        };
        Self(needs.into_iter().map(share).collect())
    }

    /// Whether there is room for one more of its plugin.
    fn take(&mut self, line: &telemetry::Line<'_>) -> bool {
        let labels = line.labels.iter().map(|(name, value)| name.len() + value.len());
        let bytes = line.name.len() + labels.sum::<usize>();
        match self.0.get_mut(plugin(line)) {
            Some(left) if left.lines > 0 && left.bytes >= bytes => {
                left.lines -= 1;
                left.bytes -= bytes;
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
#[path = "own_metrics_tests.rs"]
mod tests;
