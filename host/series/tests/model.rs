//! The store against a naive model: a list of series, gone through from the start for everything.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use picket_series::{
    Appended, Bounds, Config, MAX_AHEAD, Matcher, Metrics, Op, Refused, Request, SelectError, Selector,
    Store, Wanted,
};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_000_000 * SECOND;
const MAX_AGE: u64 = 100 * SECOND;
/// What no steps of the clock here reach.
const NO_AGE: u64 = 86_400 * SECOND;
/// The clock was set back if a series is further ahead of it, and what is so late does not count.
const SKEW: u64 = 30 * SECOND;
const LATE: u64 = 300 * SECOND;
const MAX_SERIES: usize = 6;

type Pairs = Vec<(&'static str, &'static str)>;
/// A series and its samples.
type Row = (Pairs, Vec<(u64, f64)>);

#[derive(Debug, Clone)]
enum Step {
    /// The clock moves on, or is set back.
    Clock {
        seconds: i64,
    },
    Append {
        labels: Pairs,
        offset: i64,
        value: u8,
    },
    Select {
        selectors: Vec<Selector>,
        wanted: Wanted,
        start: i64,
        end: i64,
        max: u64,
    },
    /// What was appended is written.
    Flush,
    /// The process is killed, and the store is opened again.
    Kill,
}

#[derive(Clone)]
struct Model {
    max_age: u64,
    series: Vec<Row>,
}

impl Model {
    fn drop_old(&mut self, now: u64) {
        for (_, samples) in &mut self.series {
            samples.retain(|(time, _)| *time > now - self.max_age);
        }
        self.series.retain(|(_, samples)| !samples.is_empty());
    }

    fn append(&mut self, labels: &Pairs, time: u64, value: f64, now: u64) -> Result<bool, Refused> {
        let limit = now + MAX_AHEAD.as_nanos() as u64;
        if time <= now - self.max_age {
            return Err(Refused::TooOld);
        }
        if time > limit {
            return Err(Refused::Ahead);
        }
        self.drop_old(now);
        let mut labels: Pairs = labels.iter().copied().filter(|(_, value)| !value.is_empty()).collect();
        labels.sort_unstable();
        let at = match self.series.iter().position(|(known, _)| *known == labels) {
            Some(at) => at,
            None if self.series.len() == MAX_SERIES => return Err(Refused::SeriesBound),
            None => {
                self.series.push((labels, Vec::new()));
                self.series.len() - 1
            }
        };
        let samples = &mut self.series[at].1;
        let last = samples.last().map_or(0, |(last, _)| *last);
        if last > time && (last > limit || last > now + SKEW && time > now - LATE) {
            samples.retain(|(earlier, _)| *earlier < time);
        }
        match samples.last() {
            Some((last, old)) if *last == time && old.to_bits() == value.to_bits() => return Ok(false),
            Some((last, _)) if *last == time => return Err(Refused::Conflict),
            Some((last, _)) if *last > time => return Err(Refused::OutOfOrder),
            _ => samples.push((time, value)),
        }
        Ok(true)
    }

    /// For each selector the labels and samples of its series, sorted by labels.
    fn select(
        &self,
        selectors: &[Selector],
        wanted: Wanted,
        start: u64,
        end: u64,
        now: u64,
    ) -> Vec<Vec<Row>> {
        let inside = |time: u64| time > now - self.max_age && time >= start && time <= end;
        let one = |selector: &Selector| {
            let mut rows: Vec<_> = self
                .series
                .iter()
                .filter(|(labels, _)| selector.iter().all(|matcher| holds(matcher, labels)))
                .map(|(labels, samples)| {
                    let inside = samples.iter().copied().filter(|(time, _)| inside(*time));
                    (labels.clone(), wanted_of(inside.collect(), wanted))
                })
                .filter(|(_, samples): &(Pairs, Vec<_>)| !samples.is_empty())
                .collect();
            rows.sort_by(|a, b| a.0.cmp(&b.0));
            rows
        };
        selectors.iter().map(one).collect()
    }
}

fn wanted_of(mut samples: Vec<(u64, f64)>, wanted: Wanted) -> Vec<(u64, f64)> {
    let is_marker = |value: f64| value.to_bits() == picket_model::STALE_NAN;
    let ended = samples.last().is_some_and(|(_, value)| is_marker(*value));
    match wanted {
        Wanted::Marked => return samples,
        Wanted::All => {}
        Wanted::OfLive | Wanted::Latest if ended => samples.clear(),
        Wanted::OfLive => {}
        Wanted::Latest => {
            samples.drain(..samples.len().saturating_sub(1));
        }
    }
    samples.retain(|(_, value)| !is_marker(*value));
    samples
}

/// Two of the values are rarer.
fn value(number: u8) -> f64 {
    match number {
        8 => f64::from_bits(picket_model::STALE_NAN),
        9 => 0.1,
        number => f64::from(number),
    }
}

fn holds(matcher: &Matcher, labels: &Pairs) -> bool {
    let value = labels.iter().find(|(name, _)| *name == matcher.name).map_or("", |(_, value)| value);
    let whole = || regex::Regex::new(&format!("^(?:{})$", matcher.value)).unwrap().is_match(value);
    match matcher.op {
        Op::Equal => value == matcher.value,
        Op::NotEqual => value != matcher.value,
        Op::Regex => whole(),
        Op::NotRegex => !whole(),
    }
}

fn labels() -> impl Strategy<Value = Pairs> {
    let value = || prop::sample::select(vec!["", "a", "b", "ab"]);
    let name = prop::sample::select(vec!["up", "down"]);
    (name, value(), value()).prop_map(|(name, job, dc)| vec![("__name__", name), ("job", job), ("dc", dc)])
}

fn selector() -> impl Strategy<Value = Selector> {
    let name = prop::sample::select(vec!["__name__", "job", "dc", "none"]);
    let op = prop::sample::select(vec![Op::Equal, Op::NotEqual, Op::Regex, Op::NotRegex]);
    let value = prop::sample::select(vec!["", "up", "a", "b", "a|b", "a.*", "u.", ".*", ".+"]);
    let matcher = (name, op, value).prop_map(|(name, op, value)| Matcher {
        name: name.to_owned(),
        op,
        value: value.to_owned(),
    });
    prop::collection::vec(matcher, 1..4)
}

/// `ahead` is how far ahead of the clock samples are.
fn step(clock: Range<i64>, ahead: impl Strategy<Value = i64> + 'static) -> impl Strategy<Value = Step> {
    let wanted = prop::sample::select(vec![Wanted::All, Wanted::OfLive, Wanted::Latest, Wanted::Marked]);
    prop_oneof![
        1 => clock.prop_map(|seconds| Step::Clock { seconds }),
        8 => (labels(), prop_oneof![-110..20_i64, ahead], 0..10_u8)
            .prop_map(|(labels, offset, value)| Step::Append { labels, offset, value }),
        8 => (labels(), -3..3_i64, 0..10_u8)
            .prop_map(|(labels, offset, value)| Step::Append { labels, offset, value }),
        4 => (prop::collection::vec(selector(), 1..4), wanted, -120..20_i64, -100..620_i64, 0..60_u64)
            .prop_map(|(selectors, wanted, start, end, max)| Step::Select { selectors, wanted, start, end, max }),
        2 => Just(Step::Flush),
        1 => Just(Step::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_store_answers_as_the_model_does(steps in prop::collection::vec(step(1..70, prop_oneof![0..30_i64, 601..610_i64]), 1..100)) {
        compare(steps, MAX_AGE)?;
    }

    // Without an age: what has left for a sample may come back when that is too old.
    #[test]
    fn so_it_does_when_the_clock_goes_back_and_forth(steps in prop::collection::vec(step(-3000..300, 0..610_i64), 1..100)) {
        compare(steps, NO_AGE)?;
    }
}

/// Takes each step with the store and with the model.
fn compare(steps: Vec<Step>, max_age: u64) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        max_series: MAX_SERIES,
        max_age: Duration::from_nanos(max_age),
        window: Duration::from_secs(20),
        cached: Duration::ZERO,
        ..Config::default()
    };
    let now = Arc::new(AtomicU64::new(START));
    let open = || {
        let clock = Arc::clone(&now);
        let clock = Arc::new(move || clock.load(Ordering::Relaxed));
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        let (store, recovered) = Store::open(Some(folder.path()), config.clone(), clock, metrics).unwrap();
        assert_eq!((recovered.damaged, recovered.refused_series), (0, 0));
        store
    };
    let mut store = open();
    let mut model = Model { max_age, series: Vec::new() };
    let mut written = model.clone();
    for step in steps {
        // Sweeps at the series bound are at most one a second apart.
        let time = now.fetch_add(SECOND, Ordering::Relaxed) + SECOND;
        let at = |offset: i64| time.checked_add_signed(offset * SECOND as i64).unwrap();
        match step {
            Step::Clock { seconds } => now.store(at(seconds), Ordering::Relaxed),
            Step::Append { labels, offset, value: number } => {
                let pairs = labels.iter().copied().filter(|(name, _)| *name != "__name__");
                let stored = store.append(labels[0].1, pairs, at(offset), value(number));
                let stored = stored.map(|appended| matches!(appended, Appended::Stored { .. }));
                prop_assert_eq!(stored, model.append(&labels, at(offset), value(number), time));
            }
            Step::Flush => {
                store.flush();
                prop_assert_eq!(store.status().failing, None);
                model.drop_old(time);
                written = model.clone();
            }
            Step::Kill => {
                drop(store);
                store = open();
                model = written.clone();
                model.drop_old(time);
            }
            Step::Select { selectors, wanted, start, end, max } => {
                let (start, end) = (at(start), at(end));
                let request =
                    |selector: &Selector| Request { selector: selector.clone(), start, end, wanted };
                let requests: Vec<Request> = selectors.iter().map(request).collect();
                let found = store.select(&requests, Bounds { max_samples: max, deadline: None });
                let bad = selectors.iter().any(|selector| selector.iter().all(|one| holds(one, &vec![])));
                let count =
                    |rows: &[Vec<Row>]| rows.iter().flatten().map(|row| row.1.len() as u64).sum::<u64>();
                let expected = model.select(&selectors, wanted, start, end, time);
                // What an ended series has may have been counted before its end was seen.
                let most = count(&model.select(&selectors, Wanted::Marked, start, end, time));
                match found {
                    Err(SelectError::BadSelector { .. }) => prop_assert!(bad),
                    Err(SelectError::TooManySamples { max: of }) => prop_assert!(of == max && most > max),
                    Err(SelectError::Deadline) => prop_assert!(false, "there was none"),
                    Ok(found) => {
                        prop_assert!(!bad && count(&expected) <= max);
                        prop_assert_eq!(bits(rows(&store, &found)), bits(expected));
                    }
                }
            }
        }
    }
    store.sweep();
    model.drop_old(now.load(Ordering::Relaxed));
    prop_assert_eq!(store.size().series, model.series.len());
    Ok(())
}

/// A row with the bits of its values: a marker is a NaN, which equals nothing.
type BitRow = (Pairs, Vec<(u64, u64)>);

fn bits(rows: Vec<Vec<Row>>) -> Vec<Vec<BitRow>> {
    let samples =
        |samples: Vec<(u64, f64)>| samples.into_iter().map(|(at, value)| (at, value.to_bits())).collect();
    let row = |(labels, row): Row| (labels, samples(row));
    rows.into_iter().map(|rows| rows.into_iter().map(row).collect()).collect()
}

/// A selection in the model's shape; checks on the way that rows are by rising series id.
fn rows(store: &Store, found: &picket_series::Selection) -> Vec<Vec<Row>> {
    const WORDS: [&str; 8] = ["__name__", "job", "dc", "up", "down", "a", "b", "ab"];
    let word = |text: &str| *WORDS.iter().find(|word| **word == text).unwrap();
    let labels = store.labels(&found.series).unwrap();
    let (mut row, mut sample) = (0, 0);
    let mut answer = Vec::new();
    for row_end in &found.row_ends {
        let ids = &found.series[row..*row_end as usize];
        assert!(ids.is_sorted_by(|a, b| a < b));
        let mut rows = Vec::new();
        while row < *row_end as usize {
            let end = found.sample_ends[row] as usize;
            let samples = (sample..end).map(|at| (found.times[at], found.values[at])).collect();
            rows.push((labels[row].iter().map(|one| (word(&one.name), word(&one.value))).collect(), samples));
            (row, sample) = (row + 1, end);
        }
        rows.sort_by(|a: &Row, b| a.0.cmp(&b.0));
        answer.push(rows);
    }
    answer
}
