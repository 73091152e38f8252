//! The store against what its documentation promises, each promise by itself.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use picket_series::{
    Appended, Bounds, Config, MAX_SELECTORS, Matcher, Metrics, Op, Refused, SelectError, Store,
    UnknownSeries, Window,
};

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_000_000 * SECOND;
const ALL: Window = Window { after: 0, to: u64::MAX };
const FREE: Bounds = Bounds { max_samples: u64::MAX, deadline: None };

struct Fixture {
    store: Store,
    now: Arc<AtomicU64>,
    registry: prometheus::Registry,
}

fn store(config: Config) -> Fixture {
    let registry = prometheus::Registry::new();
    let now = Arc::new(AtomicU64::new(START));
    let clock = Arc::clone(&now);
    let metrics = Metrics::new(&registry).unwrap();
    let store = Store::new(config, Arc::new(move || clock.load(Ordering::Relaxed)), metrics);
    Fixture { store, now, registry }
}

impl Fixture {
    fn append(&self, job: &str, time: u64, value: f64) -> Result<Appended, Refused> {
        self.store.append("up", [("job", job)], time, value)
    }

    /// The samples of the series `up{job="<job>"}`.
    fn samples(&self, job: &str) -> Vec<(u64, f64)> {
        let selector = vec![equal("job", job), equal("__name__", "up")];
        let found = self.store.select(&[selector], ALL, FREE).unwrap();
        assert!(found.series.len() <= 1);
        found.times.into_iter().zip(found.values).collect()
    }

    fn metric(&self, name: &str, label: &str) -> f64 {
        let family = self.registry.gather().into_iter().find(|family| family.name() == name).unwrap();
        let metrics = family.get_metric();
        let metric =
            metrics.iter().find(|metric| metric.get_label().iter().all(|pair| pair.value() == label));
        metric.unwrap().get_counter().get_value()
    }
}

fn equal(name: &str, value: &str) -> Matcher {
    matcher(name, Op::Equal, value)
}

fn matcher(name: &str, op: Op, value: &str) -> Matcher {
    Matcher { name: name.into(), op, value: value.into() }
}

#[test]
fn the_answer_is_flat_columns_by_selector_and_series() {
    let fixture = store(Config::default());
    for second in 0..3 {
        fixture.append("a", START + second * SECOND, second as f64).unwrap();
        fixture.append("b", START + second * SECOND, 10.0 + second as f64).unwrap();
    }
    fixture.store.append("down", [], START, 5.0).unwrap();
    let selectors = [
        vec![equal("__name__", "up")],
        vec![equal("__name__", "nothing")],
        vec![equal("job", "b")],
        vec![matcher("__name__", Op::Regex, "up|down"), equal("job", "")],
    ];
    let window = Window { after: START, to: START + SECOND };
    let found = fixture.store.select(&selectors[..3], window, FREE).unwrap();
    assert_eq!(found.row_ends, [2, 2, 3]);
    assert_eq!(found.series, [0, 1, 1]);
    assert_eq!(found.sample_ends, [1, 2, 3]);
    assert_eq!(found.times, [START + SECOND; 3]);
    assert_eq!(found.values, [1.0, 11.0, 11.0]);
    let labels = fixture.store.labels(&[1, 0]).unwrap();
    let shown: Vec<(&str, &str)> = labels[0].iter().map(|label| (&*label.name, &*label.value)).collect();
    assert_eq!(shown, [("__name__", "up"), ("job", "b")]);
    let found = fixture.store.select(&selectors[3..], ALL, FREE).unwrap();
    assert_eq!((found.series, found.values), (vec![2], vec![5.0]), "an absent label has the empty value");
}

#[test]
fn times_only_rise_and_a_repeat_changes_nothing() {
    let fixture = store(Config::default());
    assert_eq!(fixture.append("a", START, 1.0), Ok(Appended::Stored { series: 0 }));
    assert_eq!(fixture.append("a", START, 1.0), Ok(Appended::Duplicate { series: 0 }));
    assert_eq!(fixture.append("a", START, 2.0), Err(Refused::Conflict));
    assert_eq!(fixture.append("a", START - 1, 1.0), Err(Refused::OutOfOrder));
    assert_eq!(fixture.append("a", START + 1, f64::NAN), Ok(Appended::Stored { series: 0 }));
    assert_eq!(fixture.append("a", START + 1, f64::NAN), Ok(Appended::Duplicate { series: 0 }));
    assert_eq!(fixture.store.size().samples, 2);
    assert_eq!(fixture.metric("picket_series_refused_samples_total", "conflict"), 1.0);
    assert_eq!(fixture.metric("picket_series_refused_samples_total", "out-of-order"), 1.0);
}

#[test]
fn a_stale_marker_ends_a_series_until_its_next_sample_and_is_never_given() {
    let fixture = store(Config::default());
    let stale = f64::from_bits(picket_model::STALE_NAN);
    let at = |second: u64| START + second * SECOND;
    fixture.append("a", at(0), 1.0).unwrap();
    fixture.append("a", at(1), stale).unwrap();
    fixture.append("b", at(0), f64::NAN).unwrap();
    assert_eq!(fixture.samples("a"), []);
    assert!(fixture.samples("b")[0].1.is_nan(), "another NaN is a value");
    let both = [vec![equal("__name__", "up")]];
    let found = |to| {
        let window = Window { after: 0, to };
        fixture.store.select(&both, window, Bounds { max_samples: 2, deadline: None }).unwrap()
    };
    assert_eq!(
        (found(at(0)).row_ends, found(at(0)).series),
        (vec![2], vec![0, 1]),
        "it had not ended by then"
    );
    assert_eq!((found(at(1)).row_ends, found(at(1)).series), (vec![1], vec![1]));
    fixture.append("a", at(2), 2.0).unwrap();
    assert_eq!(fixture.samples("a"), [(at(0), 1.0), (at(2), 2.0)]);
}

#[test]
fn times_far_from_the_clock_are_refused() {
    let fixture = store(Config { max_age: Duration::from_secs(60), ..Config::default() });
    assert_eq!(fixture.append("a", START + 601 * SECOND, 1.0), Err(Refused::Ahead));
    assert_eq!(fixture.append("a", u64::MAX, 1.0), Err(Refused::Ahead));
    assert_eq!(fixture.append("a", START - 60 * SECOND, 1.0), Err(Refused::TooOld));
    assert_eq!(fixture.store.size().series, 0, "a refused sample begins no series");
    fixture.append("a", START - 59 * SECOND, 1.0).unwrap();
    fixture.append("a", START + 600 * SECOND, 1.0).unwrap();
}

#[test]
fn a_series_goes_on_after_the_clock_was_set_back() {
    let fixture = store(Config::default());
    fixture.append("a", START, 1.0).unwrap();
    fixture.now.store(START - 3600 * SECOND, Ordering::Relaxed);
    fixture.append("a", START - 3600 * SECOND, 2.0).unwrap();
    assert_eq!(fixture.samples("a"), [(START - 3600 * SECOND, 2.0)]);
    assert_eq!(fixture.metric("picket_series_expelled_samples_total", "clock"), 1.0);
}

#[test]
fn a_new_series_beyond_the_bound_is_refused_until_one_has_aged_out() {
    let fixture = store(Config { max_series: 2, max_age: Duration::from_secs(60), ..Config::default() });
    fixture.append("a", START, 1.0).unwrap();
    fixture.append("b", START, 1.0).unwrap();
    assert_eq!(fixture.append("c", START, 1.0), Err(Refused::SeriesBound));
    fixture.append("a", START + 1, 1.0).unwrap();
    assert_eq!(fixture.metric("picket_series_refused_samples_total", "series-bound"), 1.0);
    fixture.now.store(START + 60 * SECOND, Ordering::Relaxed);
    fixture.append("c", START + 60 * SECOND, 1.0).unwrap();
    assert_eq!(fixture.store.labels(&[1]), Err(UnknownSeries(1)), "`b` has left");
    assert_eq!(fixture.samples("b"), []);
    assert_eq!(fixture.samples("a").len(), 1);
    fixture.now.store(START + 120 * SECOND, Ordering::Relaxed);
    assert_eq!(fixture.store.sweep(), 2);
    assert_eq!(fixture.store.size(), picket_series::Size::default());
}

#[test]
fn the_oldest_sample_makes_room_in_its_own_series() {
    let fixture = store(Config { max_samples_per_series: 3, ..Config::default() });
    for step in 0..5 {
        fixture.append("a", START + step, step as f64).unwrap();
    }
    fixture.append("b", START, 7.0).unwrap();
    assert_eq!(fixture.samples("a"), [(START + 2, 2.0), (START + 3, 3.0), (START + 4, 4.0)]);
    assert_eq!(fixture.samples("b"), [(START, 7.0)]);
    assert_eq!(fixture.metric("picket_series_expelled_samples_total", "samples"), 2.0);
}

#[test]
fn the_byte_bound_holds() {
    let fixture = store(Config { max_bytes: 1000, ..Config::default() });
    for step in 0..100 {
        fixture.append("a", START + step, 1.0).unwrap();
        assert!(fixture.store.size().bytes <= 1000);
    }
    assert_eq!(fixture.append("b", START, 1.0), Err(Refused::ByteBound));
    let kept = fixture.samples("a");
    assert!(kept.len() > 10 && kept.last() == Some(&(START + 99, 1.0)));
    assert_eq!(fixture.metric("picket_series_expelled_samples_total", "bytes"), 100.0 - kept.len() as f64);
}

#[test]
fn a_selection_is_bounded_in_samples_time_and_selectors() {
    let fixture = store(Config::default());
    for step in 0..10 {
        fixture.append("a", START + step, 1.0).unwrap();
    }
    let selectors = [vec![equal("job", "a")], vec![equal("job", "a")]];
    let select = |bounds| fixture.store.select(&selectors, ALL, bounds);
    assert_eq!(select(Bounds { max_samples: 20, deadline: None }).unwrap().times.len(), 20);
    let too_many = SelectError::TooManySamples { max: 19 };
    assert_eq!(select(Bounds { max_samples: 19, deadline: None }), Err(too_many));
    assert_eq!(select(Bounds { deadline: Some(Instant::now()), ..FREE }), Err(SelectError::Deadline));
    let many = vec![selectors[0].clone(); MAX_SELECTORS as usize + 1];
    let error = fixture.store.select(&many, ALL, FREE).unwrap_err();
    assert!(matches!(error, SelectError::BadSelector { selector: MAX_SELECTORS, .. }));
    let bad = [selectors[0].clone(), vec![matcher("job", Op::Regex, "(")]];
    let error = fixture.store.select(&bad, ALL, FREE).unwrap_err();
    assert!(matches!(error, SelectError::BadSelector { selector: 1, .. }), "{error}");
}

#[test]
fn appending_and_selecting_go_on_side_by_side() {
    let fixture = store(Config::default());
    let store = &fixture.store;
    std::thread::scope(|scope| {
        for job in ["a", "b"] {
            scope.spawn(move || {
                for step in 0..2000 {
                    store.append("up", [("job", job)], START + step, step as f64).unwrap();
                }
            });
        }
        for _ in 0..200 {
            let found = store.select(&[vec![equal("__name__", "up")]], ALL, FREE).unwrap();
            assert_eq!(found.sample_ends.last().copied().unwrap_or(0) as usize, found.times.len());
        }
    });
    assert_eq!(store.size().samples, 4000);
}
