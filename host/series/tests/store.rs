//! The store against what its documentation promises, each promise by itself.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use picket_series::{
    Appended, Bounds, Config, Lookup, LookupError, MAX_REQUESTS, Matcher, Metrics, Op, Refused, Request,
    SelectError, Selector, Store, UnknownSeries, Wanted,
};

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_000_000 * SECOND;
const MILLI: u64 = 1_000_000;
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
        let found = self.store.select(&all(&[selector]), FREE).unwrap();
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

fn request(selector: Selector, start: u64, end: u64, wanted: Wanted) -> Request {
    Request { selector, start, end, wanted }
}

fn all(selectors: &[Selector]) -> Vec<Request> {
    let of_live = |selector: &Selector| request(selector.clone(), 0, u64::MAX, Wanted::OfLive);
    selectors.iter().map(of_live).collect()
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
    let at_one = |selector: &Selector| request(selector.clone(), START + 1, START + SECOND, Wanted::All);
    let requests: Vec<Request> = selectors[..3].iter().map(at_one).collect();
    let found = fixture.store.select(&requests, FREE).unwrap();
    assert_eq!(found.row_ends, [2, 2, 3]);
    assert_eq!(found.series, [0, 1, 1]);
    assert_eq!(found.sample_ends, [2, 4, 6], "the start is rounded down to the sample before it");
    assert_eq!(found.times[..2], [START, START + SECOND]);
    assert_eq!(found.values, [0.0, 1.0, 10.0, 11.0, 10.0, 11.0]);
    let labels = fixture.store.labels(&[1, 0]).unwrap();
    let shown: Vec<(&str, &str)> = labels[0].iter().map(|label| (&*label.name, &*label.value)).collect();
    assert_eq!(shown, [("__name__", "up"), ("job", "b")]);
    let found = fixture.store.select(&all(&selectors[3..]), FREE).unwrap();
    assert_eq!((found.series, found.values), (vec![2], vec![5.0]), "an absent label has the empty value");
}

#[test]
fn times_only_rise_and_a_repeat_changes_nothing() {
    let fixture = store(Config::default());
    assert_eq!(fixture.append("a", START, 1.0), Ok(Appended::Stored { series: 0 }));
    assert_eq!(fixture.append("a", START, 1.0), Ok(Appended::Duplicate { series: 0 }));
    assert_eq!(fixture.append("a", START, 2.0), Err(Refused::Conflict));
    assert_eq!(fixture.append("a", START - 1, 1.0), Err(Refused::OutOfOrder));
    assert_eq!(fixture.append("a", START + MILLI - 1, 2.0), Err(Refused::Conflict), "the same millisecond");
    assert_eq!(fixture.append("a", START + MILLI, f64::NAN), Ok(Appended::Stored { series: 0 }));
    assert_eq!(fixture.append("a", START + MILLI, f64::NAN), Ok(Appended::Duplicate { series: 0 }));
    assert_eq!(fixture.store.size().samples, 2);
    assert_eq!(fixture.metric("picket_series_refused_samples_total", "conflict"), 2.0);
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
    let found = |to, wanted| {
        let both = request(vec![equal("__name__", "up")], 0, to, wanted);
        let found = fixture.store.select(&[both], Bounds { max_samples: 3, deadline: None }).unwrap();
        (found.series, found.times)
    };
    assert_eq!(found(at(0), Wanted::OfLive), (vec![0, 1], vec![at(0), at(0)]), "it had not ended by then");
    assert_eq!(found(at(0), Wanted::Latest), (vec![0, 1], vec![at(0), at(0)]));
    assert_eq!(found(at(1), Wanted::OfLive), (vec![1], vec![at(0)]));
    assert_eq!(found(at(1), Wanted::Latest), (vec![1], vec![at(0)]));
    assert_eq!(found(at(1), Wanted::All), (vec![0, 1], vec![at(0), at(0)]));
    fixture.append("a", at(2), 2.0).unwrap();
    assert_eq!(fixture.samples("a"), [(at(0), 1.0), (at(2), 2.0)]);
    assert_eq!(found(at(2), Wanted::Latest), (vec![0, 1], vec![at(2), at(0)]));
    assert_eq!(found(at(1), Wanted::Latest), (vec![1], vec![at(0)]), "decoded, because a later one is there");
}

#[test]
fn times_far_from_the_clock_are_refused() {
    let fixture = store(Config { max_age: Duration::from_secs(60), ..Config::default() });
    assert_eq!(fixture.append("a", START + 601 * SECOND, 1.0), Err(Refused::Ahead));
    assert_eq!(fixture.append("a", u64::MAX, 1.0), Err(Refused::Ahead));
    assert_eq!(fixture.append("a", START - 60 * SECOND, 1.0), Err(Refused::TooOld));
    assert_eq!(fixture.store.size().series, 0, "a refused sample begins no series");
    fixture.append("a", START - 60 * SECOND + MILLI, 1.0).unwrap();
    assert_eq!(fixture.samples("a").len(), 1);
    fixture.append("a", START + 600 * SECOND, 1.0).unwrap();
}

#[test]
fn a_sample_is_there_until_it_is_as_old_as_samples_may_be() {
    let fixture = store(Config { max_age: Duration::from_secs(60), ..Config::default() });
    fixture.append("a", START, 1.0).unwrap();
    fixture.now.store(START + 60 * SECOND - 1, Ordering::Relaxed);
    assert_eq!((fixture.store.sweep(), fixture.samples("a").len()), (0, 1));
    fixture.now.store(START + 60 * SECOND, Ordering::Relaxed);
    assert_eq!(fixture.samples("a").len(), 0);
    assert_eq!((fixture.store.sweep(), fixture.store.size().series), (1, 0));
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
fn a_step_of_the_clock_back_of_any_length_stops_no_series() {
    for minutes in [1, 5, 9, 10, 11, 20, 40, 600, 1439] {
        let fixture = store(Config::default());
        let last = START + 99 * 15 * SECOND;
        fixture.now.store(last, Ordering::Relaxed);
        for step in 0..100 {
            fixture.append("a", START + step * 15 * SECOND, 1.0).unwrap();
        }
        let back = last - minutes * 60 * SECOND;
        // A scrape that took its time.
        fixture.now.store(back + 10 * SECOND, Ordering::Relaxed);
        fixture.append("a", back, 2.0).unwrap();
        fixture.append("a", back + 15 * SECOND, 3.0).unwrap();
        let samples = fixture.samples("a");
        let (before, after): (Vec<_>, _) = samples.iter().copied().partition(|(time, _)| *time < back);
        assert_eq!(after, [(back, 2.0), (back + 15 * SECOND, 3.0)], "{minutes} minutes back");
        assert_eq!(before.len() as u64, 99_u64.saturating_sub(minutes * 4), "{minutes} minutes back");
        let cut = 100 - before.len();
        assert_eq!(fixture.metric("picket_series_expelled_samples_total", "clock"), cut as f64);
    }
}

#[test]
fn what_is_ahead_of_the_clock_gives_way_to_samples_of_about_now_only() {
    let fixture = store(Config::default());
    fixture.append("a", START - 301 * SECOND, 1.0).unwrap();
    fixture.append("a", START + 30 * SECOND, 2.0).unwrap();
    assert_eq!(fixture.append("a", START, 3.0), Err(Refused::OutOfOrder), "clocks differ by so much");
    fixture.append("a", START + 31 * SECOND, 4.0).unwrap();
    assert_eq!(fixture.append("a", START - 300 * SECOND, 5.0), Err(Refused::OutOfOrder), "it is late");
    assert_eq!(fixture.append("a", START + 31 * SECOND, 5.0), Err(Refused::Conflict));
    assert_eq!(fixture.samples("a").len(), 3);
    fixture.append("a", START - 299 * SECOND, 6.0).unwrap();
    let left = [(START - 301 * SECOND, 1.0), (START - 299 * SECOND, 6.0)];
    assert_eq!(fixture.samples("a"), left);
}

#[test]
fn a_new_series_beyond_the_bound_is_refused_until_one_has_aged_out() {
    let fixture = store(Config { max_series: 2, max_age: Duration::from_secs(60), ..Config::default() });
    fixture.append("a", START, 1.0).unwrap();
    fixture.append("b", START, 1.0).unwrap();
    assert_eq!(fixture.append("c", START, 1.0), Err(Refused::SeriesBound));
    fixture.append("a", START + MILLI, 1.0).unwrap();
    assert_eq!(fixture.metric("picket_series_refused_samples_total", "series-bound"), 1.0);
    fixture.now.store(START + 60 * SECOND, Ordering::Relaxed);
    fixture.append("c", START + 60 * SECOND, 1.0).unwrap();
    assert_eq!(fixture.store.labels(&[1]), Err(UnknownSeries(1)), "`b` has left");
    assert_eq!(fixture.samples("b"), []);
    assert_eq!(fixture.samples("a").len(), 1);
    fixture.now.store(START + 120 * SECOND, Ordering::Relaxed);
    assert_eq!(fixture.store.sweep(), 3, "`a` has left with what was too old in its chunk");
    let size = fixture.store.size();
    assert_eq!((size.series, size.samples), (0, 0));
    assert_eq!(
        fixture.append("a", START + 120 * SECOND, 1.0),
        Ok(Appended::Stored { series: 3 }),
        "a new id"
    );
}

#[test]
fn at_the_byte_bound_a_new_series_is_refused_and_a_known_one_loses_its_oldest() {
    let fixture = store(Config { max_bytes: 2500, ..Config::default() });
    for step in 0..1000 {
        fixture.append("a", START + step * 600 * MILLI, step as f64 * 0.1).unwrap();
        assert!(fixture.store.size().bytes <= 2500);
    }
    assert_eq!(fixture.append(&"b".repeat(2000), START, 1.0), Err(Refused::ByteBound));
    let kept = fixture.samples("a");
    assert!(kept.len() > 10 && kept.last() == Some(&(START + 999 * 600 * MILLI, 99.9)), "{kept:?}");
    assert_eq!(fixture.store.size().samples as usize, kept.len());
    assert_eq!(fixture.metric("picket_series_expelled_samples_total", "bytes"), 1000.0 - kept.len() as f64);
}

#[test]
fn what_has_left_gives_its_bytes_back() {
    let fixture = store(Config { max_age: Duration::from_secs(60), ..Config::default() });
    let empty = |round: u64| {
        for number in 0..100 {
            let job = format!("{round}-{number}");
            fixture.append(&job, START + round * 100 * SECOND, 0.5).unwrap();
        }
        fixture.now.store(START + (round + 1) * 100 * SECOND, Ordering::Relaxed);
        fixture.store.sweep();
        fixture.store.size()
    };
    let first = empty(0);
    assert_eq!((first.series, first.samples), (0, 0));
    assert_eq!(first.bytes, 0);
    assert_eq!(empty(1), first);
}

#[test]
fn series_that_come_and_go_with_ever_new_names_take_no_more_memory() {
    let fixture = store(Config { max_age: Duration::from_secs(60), ..Config::default() });
    let lookup = Lookup { selectors: &[], start: 0, end: u64::MAX, max: 1000, deadline: None };
    let mut sizes = Vec::new();
    for round in 1000..1200_u64 {
        let now = START + round * 30 * SECOND;
        fixture.now.store(now, Ordering::Relaxed);
        for number in 0..10 {
            let (label, value) = (format!("label_{round}_{number}"), format!("value_{round}_{number}"));
            let labels = [(label.as_str(), value.as_str()), ("stays", "x")];
            fixture.store.append(&format!("metric_{round}"), labels, now, 1.0).unwrap();
        }
        fixture.store.sweep();
        sizes.push(fixture.store.size());
        let names = fixture.store.label_names(lookup).unwrap();
        assert_eq!(names.len(), 2 + 10 * sizes.len().min(2), "round {round}");
        let label = format!("label_{round}_7");
        let values = fixture.store.label_values(&label, lookup).unwrap();
        assert_eq!(*values[0], *format!("value_{round}_7"), "the name's number was another's before");
    }
    assert!(sizes[1..].iter().all(|size| *size == sizes[1]), "{sizes:?}");
}

#[test]
fn labels_are_looked_up_by_selectors_and_time() {
    let fixture = store(Config::default());
    fixture.append("a", START, 1.0).unwrap();
    fixture.append("b", START + 10 * SECOND, 1.0).unwrap();
    fixture.store.append("down", [("dc", "x")], START, 1.0).unwrap();
    let lookup = |selectors, start, end, max| Lookup { selectors, start, end, max, deadline: None };
    let texts = |found: Vec<Arc<str>>| found.iter().map(|text| text.to_string()).collect::<Vec<_>>();
    let everything = lookup(&[], 0, u64::MAX, 10);
    assert_eq!(texts(fixture.store.label_names(everything).unwrap()), ["__name__", "dc", "job"]);
    assert_eq!(texts(fixture.store.label_values("job", everything).unwrap()), ["a", "b"]);
    assert_eq!(texts(fixture.store.label_values("none", everything).unwrap()), [""; 0]);
    let later = lookup(&[], START + SECOND, u64::MAX, 10);
    assert_eq!(texts(fixture.store.label_values("job", later).unwrap()), ["b"]);
    let selectors = [vec![equal("__name__", "up")], vec![matcher("job", Op::Regex, "b|c")]];
    let found = fixture.store.series(lookup(&selectors, 0, u64::MAX, 2)).unwrap();
    assert_eq!(found.iter().map(|labels| &*labels[1].value).collect::<Vec<_>>(), ["a", "b"], "each once");
    let bounded = lookup(&selectors, 0, u64::MAX, 1);
    assert_eq!(fixture.store.series(bounded), Err(LookupError::TooMany { max: 1 }));
    assert_eq!(fixture.store.label_values("job", bounded), Err(LookupError::TooMany { max: 1 }));
    let bad = [vec![equal("job", "a")], vec![]];
    let error = fixture.store.series(lookup(&bad, 0, 1, 1)).unwrap_err();
    assert!(matches!(error, LookupError::BadSelector { selector: 1, .. }));
}

#[test]
fn time_begins_at_zero() {
    let fixture = store(Config::default());
    fixture.now.store(0, Ordering::Relaxed);
    fixture.append("a", 0, 1.0).unwrap();
    assert_eq!(fixture.samples("a"), [(0, 1.0)]);
}

#[test]
fn a_selection_is_bounded_in_samples_time_and_selectors() {
    let fixture = store(Config::default());
    for step in 0..10 {
        fixture.append("a", START + step * MILLI, 1.0).unwrap();
    }
    let selectors = [vec![equal("job", "a")], vec![equal("job", "a")]];
    let select = |bounds| fixture.store.select(&all(&selectors), bounds);
    assert_eq!(select(Bounds { max_samples: 20, deadline: None }).unwrap().times.len(), 20);
    let too_many = SelectError::TooManySamples { max: 19 };
    assert_eq!(select(Bounds { max_samples: 19, deadline: None }), Err(too_many));
    assert_eq!(select(Bounds { deadline: Some(Instant::now()), ..FREE }), Err(SelectError::Deadline));
    let many = vec![selectors[0].clone(); MAX_REQUESTS as usize + 1];
    let error = fixture.store.select(&all(&many), FREE).unwrap_err();
    assert!(matches!(error, SelectError::BadSelector { selector: MAX_REQUESTS, .. }));
    let bad = [selectors[0].clone(), vec![matcher("job", Op::Regex, "(")]];
    let error = fixture.store.select(&all(&bad), FREE).unwrap_err();
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
                    store.append("up", [("job", job)], START + step * MILLI, step as f64).unwrap();
                }
            });
        }
        for _ in 0..200 {
            let found = store.select(&all(&[vec![equal("__name__", "up")]]), FREE).unwrap();
            assert_eq!(found.sample_ends.last().copied().unwrap_or(0) as usize, found.times.len());
        }
    });
    assert_eq!(store.size().samples, 4000);
}
