//! A store for tests: all in memory, stale markers treated as the host does.

use std::collections::BTreeMap;
use std::rc::Rc;

use picket_pattern::{MAX_COMPILED_BYTES, anchored};
use promql_engine::{
    Label, Labels, MatchOp, Matcher, Request, STALE_MARKER, Series, Storage, StorageError, Wanted,
};

use crate::notation::{Line, Point};

#[derive(Debug, Default)]
pub(crate) struct Store {
    series: BTreeMap<String, (Rc<Labels>, BTreeMap<i64, Point>)>,
    /// Whether a request met a sample that is a native histogram.
    pub(crate) met_native: bool,
}

impl Store {
    /// Adds the series of a line, the first sample at time zero.
    pub(crate) fn load(&mut self, line: Line, step_ms: i64, with_native: bool) {
        if with_native && let Some(base) = line.labels.metric_name().strip_suffix("_bucket") {
            let labels = line.labels.iter().filter(|label| !["le", "__name__"].contains(&label.name()));
            let labels = Labels::new(labels.cloned().chain([Label::new("__name__", base)]));
            let points = line.points.iter().map(|point| point.map(|_| Point::Native)).collect();
            self.load(Line { labels, points }, step_ms, false);
        }
        let entry = self.series.entry(line.labels.to_string());
        let (_, samples) = entry.or_insert_with(|| (Rc::new(line.labels), BTreeMap::new()));
        for (index, point) in line.points.into_iter().enumerate() {
            if let Some(point) = point {
                samples.insert(index as i64 * step_ms, point);
            }
        }
    }

    fn answer(&mut self, request: &Request) -> Result<Vec<Series>, StorageError> {
        let tests = request.matchers.iter().map(test).collect::<Result<Vec<_>, _>>()?;
        let mut found = Vec::new();
        for (labels, samples) in self.series.values() {
            if request.end_ms < request.start_ms || !tests.iter().all(|test| test(labels)) {
                continue;
            }
            let mut series = Series { labels: Rc::clone(labels), times: Vec::new(), values: Vec::new() };
            for (&time, point) in samples.range(request.start_ms..=request.end_ms) {
                match point {
                    Point::Native => self.met_native = true,
                    Point::Float(value) => {
                        series.times.push(time);
                        series.values.push(*value);
                    }
                }
            }
            trim(&mut series, request.wanted);
            if !series.times.is_empty() {
                found.push(series);
            }
        }
        Ok(found)
    }
}

fn trim(series: &mut Series, wanted: Wanted) {
    let is_marker = |value: f64| value.to_bits() == STALE_MARKER;
    let last = series.values.len().saturating_sub(1);
    let mut samples: Vec<(i64, f64)> = series.times.drain(..).zip(series.values.drain(..)).collect();
    match wanted {
        Wanted::Marked => {}
        Wanted::All => samples.retain(|&(_, value)| !is_marker(value)),
        Wanted::Latest => {
            samples = samples.into_iter().skip(last).filter(|&(_, value)| !is_marker(value)).collect()
        }
    }
    (series.times, series.values) = samples.into_iter().unzip();
}

type Test = Box<dyn Fn(&Labels) -> bool>;

fn test(matcher: &Matcher) -> Result<Test, StorageError> {
    let Matcher { name, op, value } = matcher.clone();
    let regex = anchored(&value, MAX_COMPILED_BYTES);
    Ok(match op {
        MatchOp::Equal => Box::new(move |labels| labels.get(&name) == value),
        MatchOp::NotEqual => Box::new(move |labels| labels.get(&name) != value),
        MatchOp::Regex | MatchOp::NotRegex => {
            let regex = regex.map_err(|error| StorageError(error.to_string()))?;
            Box::new(move |labels| regex.is_match(labels.get(&name)) == (op == MatchOp::Regex))
        }
    })
}

impl Storage for Store {
    fn select(&mut self, requests: &[Request]) -> Result<Vec<Vec<Series>>, StorageError> {
        requests.iter().map(|request| self.answer(request)).collect()
    }
}
