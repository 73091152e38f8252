//! What earlier rules of a group recorded in this evaluation. The store has it only when the call is over,
//! but later rules of the group see it, as in Prometheus.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use picket_pattern::MAX_COMPILED_BYTES;
use promql_engine::{Labels, METRIC_NAME, MatchOp, Matcher, Request, Series, Wanted};
use regex::Regex;

/// Recorded samples of one time.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    time: i64,
    /// By the metric's name and the hash of the labels.
    metrics: HashMap<String, HashMap<u64, Entry>>,
}

#[derive(Debug)]
enum Entry {
    Recorded(Rc<Labels>, f64),
    /// The series was recorded the time before and is not there any more.
    Ended,
}

impl Overlay {
    /// An empty one for samples of this time in milliseconds.
    pub(crate) fn new(time: i64) -> Self {
        Self { time, metrics: HashMap::new() }
    }

    /// Adds a sample of a recording rule.
    pub(crate) fn record(&mut self, metric: &str, labels: Rc<Labels>, value: f64) {
        let series = self.metrics.entry(metric.to_owned()).or_default();
        series.insert(labels.hash(), Entry::Recorded(labels, value));
    }

    /// Says that a series that a rule recorded before is gone.
    pub(crate) fn end(&mut self, metric: &str, hash: u64) {
        let series = self.metrics.entry(metric.to_owned()).or_default();
        series.entry(hash).or_insert(Entry::Ended);
    }

    /// Changes what the store gave for a request to what it will give after this evaluation.
    pub(crate) fn apply(&self, request: &Request, found: &mut Vec<Series>) -> Result<(), String> {
        if self.metrics.is_empty() || !(request.start_ms..=request.end_ms).contains(&self.time) {
            return Ok(());
        }
        // Nearly all selectors name their metric, and a group may have thousands of rules.
        let is_exact = |matcher: &&Matcher| matcher.name == METRIC_NAME && matcher.op == MatchOp::Equal;
        let metrics: Vec<(&String, &HashMap<u64, Entry>)> = match request.matchers.iter().find(is_exact) {
            Some(matcher) => self.metrics.get_key_value(&matcher.value).into_iter().collect(),
            None => self.metrics.iter().collect(),
        };
        if metrics.is_empty() {
            return Ok(());
        }
        let tests = request.matchers.iter().map(Test::new).collect::<Result<Vec<_>, _>>()?;
        for (metric, recorded) in metrics {
            let is_named = |test: &Test<'_>| test.name != METRIC_NAME || test.holds(metric);
            if tests.iter().all(is_named) {
                self.apply_metric(metric, recorded, request.wanted, &tests, found);
            }
        }
        Ok(())
    }

    fn apply_metric(
        &self,
        metric: &str,
        recorded: &HashMap<u64, Entry>,
        wanted: Wanted,
        tests: &[Test<'_>],
        found: &mut Vec<Series>,
    ) {
        let mut seen = HashSet::new();
        found.retain_mut(|series| {
            if series.labels.metric_name() != metric {
                return true;
            }
            let hash = series.labels.hash();
            match recorded.get(&hash) {
                Some(Entry::Recorded(_, value)) => {
                    seen.insert(hash);
                    self.put(series, *value, wanted);
                    true
                }
                Some(Entry::Ended) => wanted != Wanted::Latest,
                None => true,
            }
        });
        for (hash, entry) in recorded {
            let Entry::Recorded(labels, value) = entry else { continue };
            let matches = || tests.iter().all(|test| test.holds(labels.get(test.name)));
            if !seen.contains(hash) && matches() {
                let (times, values) = (vec![self.time], vec![*value]);
                found.push(Series { labels: Rc::clone(labels), times, values });
            }
        }
    }

    /// Adds the sample behind those of the store, in place of one of the same time.
    fn put(&self, series: &mut Series, value: f64, wanted: Wanted) {
        let keep = match wanted {
            Wanted::Latest => 0,
            _ => series.times.partition_point(|&time| time < self.time),
        };
        series.times.truncate(keep);
        series.values.truncate(keep);
        series.times.push(self.time);
        series.values.push(value);
    }
}

/// A matcher, ready to use.
struct Test<'a> {
    name: &'a str,
    negated: bool,
    value: &'a str,
    regex: Option<Regex>,
}

impl<'a> Test<'a> {
    fn new(matcher: &'a Matcher) -> Result<Self, String> {
        let regex = match matcher.op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => {
                let built = picket_pattern::anchored(&matcher.value, MAX_COMPILED_BYTES);
                Some(built.map_err(|error| format!("`{}`: {error}", matcher.value))?)
            }
        };
        let negated = matches!(matcher.op, MatchOp::NotEqual | MatchOp::NotRegex);
        Ok(Self { name: &matcher.name, negated, value: &matcher.value, regex })
    }

    fn holds(&self, value: &str) -> bool {
        let found = self.regex.as_ref().map_or_else(|| self.value == value, |regex| regex.is_match(value));
        found != self.negated
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use picket_pattern::testing::CASES;

    use super::*;

    fn request(op: MatchOp, value: &str, wanted: Wanted) -> Request {
        let matcher = Matcher { name: "__name__".into(), op, value: value.into() };
        Request { matchers: vec![matcher], start_ms: 0, end_ms: 60_000, wanted }
    }

    fn labels(job: &str) -> Rc<Labels> {
        Rc::new(Labels::from_pairs([("__name__", "r"), ("job", job)]))
    }

    fn stored(job: &str) -> Series {
        Series { labels: labels(job), times: vec![0, 30_000], values: vec![1.0, 2.0] }
    }

    fn applied(wanted: Wanted) -> Vec<Series> {
        let mut overlay = Overlay::new(60_000);
        overlay.record("r", labels("a"), 7.0);
        overlay.record("r", labels("new"), 8.0);
        overlay.end("r", labels("gone").hash());
        let mut found = vec![stored("a"), stored("gone"), stored("other")];
        overlay.apply(&request(MatchOp::Regex, "r|s", wanted), &mut found).unwrap();
        found
    }

    #[test]
    fn recorded_samples_come_last() {
        let found = applied(Wanted::All);
        assert_eq!(
            (found[0].times.as_slice(), found[0].values.as_slice()),
            (&[0, 30_000, 60_000][..], &[1.0, 2.0, 7.0][..])
        );
        assert_eq!((found.len(), found[3].values[0]), (4, 8.0));
    }

    #[test]
    fn regular_expressions_are_those_of_prometheus() {
        for case in CASES {
            let request = request(MatchOp::Regex, case.pattern, Wanted::All);
            let found = Test::new(&request.matchers[0]).map(|test| test.holds(case.value));
            assert_eq!(found.ok(), case.expected, "{case:?}");
        }
    }

    #[test]
    fn what_has_ended_has_no_present_value() {
        let found = applied(Wanted::Latest);
        let jobs: Vec<&str> = found.iter().map(|series| series.labels.get("job")).collect();
        assert_eq!(jobs, ["a", "other", "new"]);
        assert_eq!(found[0].values, [7.0]);
    }

    #[test]
    fn other_metrics_and_other_windows_stay_as_they_are() {
        let mut overlay = Overlay::new(60_001);
        overlay.record("r", labels("a"), 7.0);
        let mut found = vec![stored("a")];
        overlay.apply(&request(MatchOp::Equal, "r", Wanted::All), &mut found).unwrap();
        assert_eq!(found, [stored("a")]);
        let mut overlay = Overlay::new(60_000);
        overlay.record("x", labels("a"), 7.0);
        overlay.apply(&request(MatchOp::NotEqual, "x", Wanted::All), &mut found).unwrap();
        assert_eq!(found, [stored("a")]);
    }
}
