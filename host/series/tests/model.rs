//! The store against a naive model: a list of series, gone through from the start for everything.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use picket_series::{
    Appended, Bounds, Config, MAX_AHEAD, Matcher, Metrics, Op, Refused, SelectError, Selector, Store, Window,
};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_000_000 * SECOND;
const MAX_AGE: u64 = 100 * SECOND;
const MAX_SERIES: usize = 6;
const MAX_SAMPLES: usize = 8;

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
        after: i64,
        to: i64,
        max: u64,
    },
}

#[derive(Default)]
struct Model {
    series: Vec<Row>,
}

impl Model {
    fn drop_old(&mut self, now: u64) {
        for (_, samples) in &mut self.series {
            samples.retain(|(time, _)| *time > now - MAX_AGE);
        }
        self.series.retain(|(_, samples)| !samples.is_empty());
    }

    fn append(&mut self, labels: &Pairs, time: u64, value: f64, now: u64) -> Result<bool, Refused> {
        let limit = now + MAX_AHEAD.as_nanos() as u64;
        if time <= now - MAX_AGE {
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
        samples.retain(|(time, _)| *time <= limit);
        match samples.last() {
            Some((last, old)) if *last == time && *old == value => return Ok(false),
            Some((last, _)) if *last == time => return Err(Refused::Conflict),
            Some((last, _)) if *last > time => return Err(Refused::OutOfOrder),
            _ => samples.push((time, value)),
        }
        if samples.len() > MAX_SAMPLES {
            samples.remove(0);
        }
        Ok(true)
    }

    /// For each selector the labels and samples of its series, sorted by labels.
    fn select(&self, selectors: &[Selector], after: u64, to: u64, now: u64) -> Vec<Vec<Row>> {
        let after = after.max(now - MAX_AGE);
        let inside = |time: u64| time > after && time <= to;
        let one = |selector: &Selector| {
            let mut rows: Vec<_> = self
                .series
                .iter()
                .filter(|(labels, _)| selector.iter().all(|matcher| holds(matcher, labels)))
                .map(|(labels, samples)| {
                    (labels.clone(), samples.iter().copied().filter(|(time, _)| inside(*time)).collect())
                })
                .filter(|(_, samples): &(Pairs, Vec<_>)| !samples.is_empty())
                .collect();
            rows.sort_by(|a, b| a.0.cmp(&b.0));
            rows
        };
        selectors.iter().map(one).collect()
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

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (1..70_i64).prop_map(|seconds| Step::Clock { seconds }),
        8 => (labels(), -110..610_i64, 0..3_u8)
            .prop_map(|(labels, offset, value)| Step::Append { labels, offset, value }),
        8 => (labels(), -3..3_i64, 0..2_u8)
            .prop_map(|(labels, offset, value)| Step::Append { labels, offset, value }),
        4 => (prop::collection::vec(selector(), 1..4), -120..20_i64, -20..620_i64, 0..40_u64)
            .prop_map(|(selectors, after, to, max)| Step::Select { selectors, after, to, max }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_store_answers_as_the_model_does(steps in prop::collection::vec(step(), 1..80)) {
        let config = Config {
            max_series: MAX_SERIES,
            max_samples_per_series: MAX_SAMPLES,
            max_age: Duration::from_nanos(MAX_AGE),
            ..Config::default()
        };
        let now = Arc::new(AtomicU64::new(START));
        let clock = Arc::clone(&now);
        let clock = Arc::new(move || clock.load(Ordering::Relaxed));
        let store = Store::new(config, clock, Metrics::new(&prometheus::Registry::new()).unwrap());
        let mut model = Model::default();
        for step in steps {
            // Sweeps at the series bound are at most one a second apart.
            let time = now.fetch_add(SECOND, Ordering::Relaxed) + SECOND;
            let at = |offset: i64| time.checked_add_signed(offset * SECOND as i64).unwrap();
            match step {
                Step::Clock { seconds } => now.store(at(seconds), Ordering::Relaxed),
                Step::Append { labels, offset, value } => {
                    let pairs = labels.iter().copied().filter(|(name, _)| *name != "__name__");
                    let stored = store.append(labels[0].1, pairs, at(offset), f64::from(value));
                    let stored = stored.map(|appended| matches!(appended, Appended::Stored { .. }));
                    prop_assert_eq!(stored, model.append(&labels, at(offset), f64::from(value), time));
                }
                Step::Select { selectors, after, to, max } => {
                    let window = Window { after: at(after), to: at(to) };
                    let found = store.select(&selectors, window, Bounds { max_samples: max, deadline: None });
                    let bad = selectors.iter().any(|selector| selector.iter().all(|one| holds(one, &vec![])));
                    let expected = model.select(&selectors, at(after), at(to), time);
                    let samples: usize = expected.iter().flatten().map(|row| row.1.len()).sum();
                    if bad {
                        let refused = matches!(found, Err(SelectError::BadSelector { .. }));
                        prop_assert!(refused);
                    } else if samples as u64 > max {
                        prop_assert_eq!(found, Err(SelectError::TooManySamples { max }));
                    } else {
                        prop_assert_eq!(rows(&store, &found.unwrap()), expected);
                    }
                }
            }
        }
        let size = store.size();
        store.sweep();
        model.drop_old(now.load(Ordering::Relaxed));
        let samples: usize = model.series.iter().map(|(_, samples)| samples.len()).sum();
        prop_assert_eq!((store.size().series, store.size().samples as usize), (model.series.len(), samples));
        prop_assert!(size.bytes >= store.size().bytes);
    }
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
