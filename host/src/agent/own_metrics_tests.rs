//! The agent's own metrics: what of them is taken, what goes upstream, and how they end.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Mutex;

use super::*;
use crate::model::Span;
use crate::sources::host;
use picket_series::{Bounds, Matcher, Op, Request, Wanted};
use prometheus::{IntCounterVec, IntGaugeVec, Opts};

const SECOND: u64 = 1_000_000_000;

struct Given {
    registry: Registry,
    own: OwnMetrics,
    wanted: SamplesWanted,
    carried: Arc<Mutex<Vec<Sample>>>,
}

fn given() -> Given {
    let registry = Registry::new();
    let clock = Arc::new(|| 1_000 * SECOND);
    let metrics = picket_series::Metrics::new(&Registry::new()).unwrap();
    let store = Arc::new(Store::new(picket_series::Config::default(), clock, metrics));
    let (wanted, carried) = (SamplesWanted::default(), Arc::new(Mutex::new(Vec::new())));
    wanted.set(false);
    let into = carried.clone();
    let carry = Box::new(move |samples: Vec<Sample>| {
        into.lock().unwrap().extend(samples);
        2
    });
    let upstream = Upstream { wanted: wanted.clone(), carry };
    Given { own: OwnMetrics::new(&registry, store, upstream).unwrap(), registry, wanted, carried }
}

/// Whatever there is of live series.
fn every(matcher: Matcher) -> Request {
    Request { selector: vec![matcher], start: 0, end: u64::MAX, wanted: Wanted::OfLive }
}

/// Times (in seconds) and values of the one series of a name.
fn samples(given: &Given, name: &str) -> Vec<(u64, f64)> {
    let matcher = Matcher { name: "__name__".into(), op: Op::Equal, value: name.into() };
    let bounds = Bounds { max_samples: 100_000, deadline: None };
    let found = given.own.series.select(&[every(matcher)], bounds).unwrap();
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

/// Times (in seconds) and values of what went upstream of a name; none for a stale marker.
fn carried(given: &Given, name: &str) -> Vec<(u64, Option<f64>)> {
    let carried = given.carried.lock().unwrap();
    let of_name = carried.iter().filter(|sample| sample.name == name);
    of_name.map(|sample| (sample.time / SECOND, (!sample.is_stale()).then_some(sample.value))).collect()
}

#[test]
fn they_go_upstream_only_while_a_forwarder_takes_samples() {
    let mut given = given();
    let up = IntGaugeVec::new(Opts::new("up", "U."), &["plugin"]).unwrap();
    given.registry.register(Box::new(up.clone())).unwrap();
    up.with_label_values(&["p"]).set(1);
    for (time, wanted) in [(900, false), (915, true), (930, false)] {
        given.wanted.set(wanted);
        given.own.take(time * SECOND);
    }
    assert_eq!(carried(&given, "up"), [(915, Some(1.0))]);
    assert_eq!(samples(&given, "up").len(), 3, "rules hold over them all the same");
    assert_eq!(given.own.not_committed.get(), 2, "as many as were said to be lost");
}

#[test]
fn what_is_gone_ends_and_can_come_back() {
    let mut given = given();
    given.wanted.set(true);
    let calls = IntCounterVec::new(Opts::new("calls_total", "C."), &["plugin"]).unwrap();
    given.registry.register(Box::new(calls.clone())).unwrap();
    calls.with_label_values(&["p"]).inc();
    given.own.take(900 * SECOND);
    calls.remove_label_values(&["p"]).unwrap();
    given.own.take(915 * SECOND);
    given.own.take(930 * SECOND);
    assert_eq!(samples(&given, "calls_total"), []);
    assert_eq!(carried(&given, "calls_total"), [(900, Some(1.0)), (915, None)]);
    calls.with_label_values(&["p"]).inc_by(3);
    given.own.take(945 * SECOND);
    let back = [(900, Some(1.0)), (915, None), (930, Some(0.0)), (945, Some(3.0))];
    assert_eq!(carried(&given, "calls_total"), back);
    assert_eq!(samples(&given, "calls_total"), [(900, 1.0), (930, 0.0), (945, 3.0)]);
    // Both at once, and the clock goes back: the end is later than the last sample all the same.
    calls.remove_label_values(&["p"]).unwrap();
    given.own.take(940 * SECOND);
    assert_eq!(carried(&given, "calls_total").last(), Some(&(945, None)));
    assert_eq!(samples(&given, "calls_total"), []);
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
    given.own.series.select(&[every(matcher)], bounds).unwrap().series.len()
}

#[test]
fn more_series_than_the_bound_are_left_out_and_counted() {
    let mut given = given();
    flood(&given, "picket_a_flood", "", MAX_SERIES + 10);
    given.own.take(900 * SECOND);
    assert_eq!(given.own.series.size().series, MAX_SERIES);
    // The two counters of its own come behind the flood and are beyond the bound too.
    assert_eq!(given.own.dropped.get(), 12);
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
    let own = 20 + 40 + 2;
    assert_eq!(taken(&given, "picket_plugin_circuit_open"), 20);
    assert_eq!(taken(&given, "picket_source_lag_bytes"), 40);
    assert_eq!(taken(&given, "picket_plugin_zeal"), 30);
    let share = (MAX_SERIES - own - 30) / 2;
    assert_eq!(taken(&given, "picket_plugin_a_flood"), share);
    assert!(taken(&given, "picket_plugin_another_flood") - share <= 1);
    assert_eq!(given.own.series.size().series, MAX_SERIES);
    assert_eq!(given.own.dropped.get(), (4 * MAX_SERIES + 90 + 2 - MAX_SERIES) as u64);
}

#[test]
fn they_are_taken_as_often_as_the_hosts() {
    let host =
        |seconds| SourceConfig::Host(host::Config { interval: Span::seconds(seconds), ..Default::default() });
    assert_eq!(interval(&[]), INTERVAL);
    assert_eq!(interval(&[host(30), host(5)]), Duration::from_secs(5));
}
