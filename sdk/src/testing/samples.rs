//! The series store of a test: a list, searched from one end to the other.

use picket_pattern::{MAX_COMPILED_BYTES, anchored};
use regex::Regex;

use crate::Timestamp;
use crate::bindings::imports::picket::plugin::series::{
    MatchOp, Matcher, Request, Selection, SeriesError, Wanted,
};
use crate::finding::labels_of;
use crate::series::STALE_NAN;
use crate::types::Label;

#[derive(Debug, Default)]
pub(super) struct Samples {
    series: Vec<Series>,
}

#[derive(Debug)]
struct Series {
    labels: Vec<Label>,
    points: Vec<(Timestamp, f64)>,
}

impl Series {
    fn wanted(&self, request: &Request) -> Vec<(Timestamp, f64)> {
        let is_stale = |point: &(Timestamp, f64)| point.1.to_bits() == STALE_NAN;
        let is_within = |point: &&(Timestamp, f64)| point.0 >= request.start && point.0 <= request.end;
        let mut points: Vec<_> = self.points.iter().filter(is_within).copied().collect();
        let has_ended = points.last().is_some_and(is_stale);
        match request.wanted {
            Wanted::Marked => return points,
            Wanted::OfLive | Wanted::Latest if has_ended => return Vec::new(),
            _ => {}
        }
        points.retain(|point| !is_stale(point));
        match request.wanted {
            Wanted::Latest => points.split_off(points.len().saturating_sub(1)),
            Wanted::All | Wanted::OfLive | Wanted::Marked => points,
        }
    }
}

impl Samples {
    pub(super) fn add(&mut self, name: &str, labels: &[(&str, &str)], time: Timestamp, value: f64) {
        let mut labels = labels_of(labels);
        labels.push(Label::new("__name__", name));
        labels.sort_by(|a, b| a.name.cmp(&b.name));
        let index = self.series.iter().position(|series| series.labels == labels).unwrap_or_else(|| {
            self.series.push(Series { labels, points: Vec::new() });
            self.series.len() - 1
        });
        let points = &mut self.series[index].points;
        points.push((time, value));
        points.sort_by_key(|point| point.0);
    }

    pub(super) fn select(&self, requests: &[Request]) -> Result<Selection, SeriesError> {
        let mut selection = Selection {
            row_ends: vec![],
            series: vec![],
            sample_ends: vec![],
            times: vec![],
            values: vec![],
            markers: vec![],
        };
        for (index, request) in requests.iter().enumerate() {
            let tests =
                compile(&request.matchers).map_err(|why| SeriesError::BadSelector((index as u32, why)))?;
            for (id, series) in self.series.iter().enumerate() {
                let points = series.wanted(request);
                if points.is_empty() || !tests.iter().all(|test| test.holds(&series.labels)) {
                    continue;
                }
                selection.series.push(id as u64);
                selection.times.extend(points.iter().map(|point| point.0));
                selection.values.extend(points.iter().map(|point| point.1));
                selection.sample_ends.push(selection.times.len() as u32);
            }
            selection.row_ends.push(selection.series.len() as u32);
        }
        let is_marker = |value: &f64| value.to_bits() == STALE_NAN;
        let markers = (0..).zip(&selection.values).filter(|(_, value)| is_marker(value));
        selection.markers = markers.map(|(index, _)| index).collect();
        Ok(selection)
    }

    pub(super) fn labels(&self, ids: &[u64]) -> Result<Vec<Vec<Label>>, SeriesError> {
        let of = |&id| {
            self.series
                .get(id as usize)
                .map(|series| series.labels.clone())
                .ok_or(SeriesError::UnknownSeries(id))
        };
        ids.iter().map(of).collect()
    }
}

struct Test {
    name: String,
    negated: bool,
    pattern: Pattern,
}

enum Pattern {
    Text(String),
    Regex(Regex),
}

fn compile(selector: &[Matcher]) -> Result<Vec<Test>, String> {
    let tests = selector.iter().map(Test::new).collect::<Result<Vec<_>, _>>()?;
    match tests.iter().any(|test| !test.matches("")) {
        true => Ok(tests),
        false => Err("every matcher matches the empty string".to_owned()),
    }
}

impl Test {
    fn new(matcher: &Matcher) -> Result<Self, String> {
        let regex =
            || anchored(&matcher.value, MAX_COMPILED_BYTES).map(Pattern::Regex).map_err(|e| e.to_string());
        let pattern = match matcher.op {
            MatchOp::Equal | MatchOp::NotEqual => Pattern::Text(matcher.value.clone()),
            MatchOp::Regex | MatchOp::NotRegex => regex()?,
        };
        let negated = matches!(matcher.op, MatchOp::NotEqual | MatchOp::NotRegex);
        Ok(Self { name: matcher.name.clone(), negated, pattern })
    }

    fn holds(&self, labels: &[Label]) -> bool {
        self.matches(labels.iter().find(|label| label.name == self.name).map_or("", |label| &label.value))
    }

    fn matches(&self, value: &str) -> bool {
        let found = match &self.pattern {
            Pattern::Text(text) => text == value,
            Pattern::Regex(regex) => regex.is_match(value),
        };
        found != self.negated
    }
}
