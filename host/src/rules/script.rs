//! Prometheus' own `.test` files against the rules component's query engine.
//!
//! Each case is run as it is written; one at an instant is run as a range around it as well, whose middle has to
//! give the same. Messages of errors, warnings and infos are not compared, only whether there are some.

use std::collections::BTreeMap;

use picket_promtest::{
    Annotation, Case, Command, Histograms, Labels, Load, NAME, Point, Results, SyntaxError, Time,
    almost_equal, script, show_series,
};
use picket_sandbox::{Answer, AnswerRow, AnswerValue, QueryTime};

use super::unit::without_name;
use super::{Harness, RulesComponent, RulesError};

/// Nanoseconds of a millisecond.
const MILLI: u64 = 1_000_000;
/// How far before and behind an instant the range goes, and its step.
const AROUND: i64 = 60_000;
/// Words that mean something else in a range query: the time of evaluation, and the range's own ends.
const OF_RANGES: [&str; 4] = ["start()", "end()", "range()", "step()"];

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Its line, counted from 1.
    pub line: usize,
    /// The expression, or the block's first word.
    pub expression: String,
    /// As it is written.
    pub outcome: Outcome,
    /// As a range; none when that makes no sense for it.
    pub as_range: Option<Outcome>,
}

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As expected.
    Passed,
    /// What is not as expected.
    Failed(String),
    /// It was not run, for this reason.
    LeftOut(String),
}

/// Series with their points: Unix time in nanoseconds, and values.
type Rows = Vec<(Labels, Vec<(u64, f64)>)>;

/// Runs a file. The error means that the component cannot be run at all.
pub fn run(component: &RulesComponent, text: &str) -> Result<Vec<Tried>, RulesError> {
    let harness = Harness::new(component, BTreeMap::new(), &serde_json::json!({}))?;
    let mut run =
        Run { harness, loaded: BTreeMap::new(), histograms: Histograms::default(), tried: Vec::new() };
    for block in script(text) {
        match block.command {
            Err(error) => run.unreadable(block.line, &error),
            Ok(Command::Clear) => run.clear()?,
            Ok(Command::Load(load)) => run.load(block.line, &load)?,
            Ok(Command::Eval(case)) => run.eval(&case)?,
        }
    }
    Ok(run.tried)
}

struct Run {
    harness: Harness,
    /// Samples by series and time in milliseconds: `load` may add to a series before its last sample.
    loaded: BTreeMap<Labels, BTreeMap<i64, f64>>,
    histograms: Histograms,
    tried: Vec<Tried>,
}

impl Run {
    fn unreadable(&mut self, line: usize, error: &SyntaxError) {
        let outcome = Outcome::Failed(format!("it cannot be read: {error}"));
        self.tried.push(Tried { line, expression: String::new(), outcome, as_range: None });
    }

    fn clear(&mut self) -> Result<(), RulesError> {
        self.loaded.clear();
        self.histograms.clear();
        self.harness.clear()
    }

    /// Adds series to those that are there, and stores them all anew.
    fn load(&mut self, line: usize, load: &Load) -> Result<(), RulesError> {
        self.histograms.loaded(load);
        for series in &load.series {
            let samples = self.loaded.entry(series.labels.clone()).or_default();
            for (index, point) in (0..).zip(&series.points) {
                if let Point::Value(value) = point {
                    samples.insert(index * load.step, *value);
                }
            }
        }
        self.harness.clear()?;
        for (labels, samples) in &self.loaded {
            let name = labels.get(NAME).map_or("", String::as_str);
            for (time, value) in samples {
                let stored = self.harness.append(name, without_name(labels), nanos(*time), *value);
                let Err(error) = stored else { continue };
                let (expression, outcome) = (show_series(labels), Outcome::Failed(error.to_string()));
                self.tried.push(Tried { line, expression, outcome, as_range: None });
                break;
            }
        }
        Ok(())
    }

    fn eval(&mut self, case: &Case) -> Result<(), RulesError> {
        let (line, expression) = (case.line, case.expression.clone());
        if let Some(reason) = self.histograms.needed_by(case) {
            let outcome = Outcome::LeftOut(reason);
            self.tried.push(Tried { line, expression, outcome, as_range: None });
            return Ok(());
        }
        let outcome = outcome(self.once(case)?);
        let as_range = match around(case) {
            Some(time) => Some(self.around(case, time)?),
            None => None,
        };
        self.tried.push(Tried { line, expression, outcome, as_range });
        Ok(())
    }

    /// The case as it is written.
    fn once(&mut self, case: &Case) -> Result<Result<(), String>, RulesError> {
        let time = match case.time {
            Time::Instant(at) => QueryTime::Instant(nanos(at)),
            Time::Range { start, end, step } => range(start, end, step),
        };
        let answer = match self.harness.query(&case.expression, time) {
            Ok(answer) => answer,
            // It costs this case; the next one gets a fresh instance.
            Err(RulesError::Call(error)) => return Ok(Err(error.to_string())),
            Err(error) => return Err(error),
        };
        Ok(match (answer, &case.expected.fail) {
            (Err(_), Some(_)) => Ok(()),
            (Err(error), None) => Err(error.to_string()),
            (Ok(_), Some(_)) => Err("it was to fail, and did not".to_owned()),
            (Ok(answer), None) => as_expected(case, answer),
        })
    }

    /// An instant as a range around it.
    fn around(&mut self, case: &Case, at: i64) -> Result<Outcome, RulesError> {
        let time = range(at - AROUND, at + AROUND, AROUND);
        let answer = match self.harness.query(&case.expression, time) {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Ok(Outcome::Failed(error.to_string())),
            Err(RulesError::Call(error)) => return Ok(Outcome::Failed(error.to_string())),
            Err(error) => return Err(error),
        };
        let AnswerValue::Matrix(rows) = answer.value else {
            return Ok(Outcome::Failed("a range query gave no matrix".to_owned()));
        };
        let at_instant =
            |points: Vec<(u64, f64)>| points.into_iter().filter(|(time, _)| *time == nanos(at)).collect();
        let middle: Rows =
            rows.into_iter().map(row).map(|(labels, points)| (labels, at_instant(points))).collect();
        let expected = match &case.expected.results {
            Results::Scalar(value) => vec![(Labels::new(), vec![Point::Value(*value)])],
            Results::Series(rows) => rows.clone(),
            _ => Vec::new(),
        };
        Ok(outcome(same_rows(&expected, &middle, |_| nanos(at))))
    }
}

fn outcome(found: Result<(), String>) -> Outcome {
    found.map_or_else(Outcome::Failed, |()| Outcome::Passed)
}

/// The instant that makes sense as a range too; none when it does not.
fn around(case: &Case) -> Option<i64> {
    let Time::Instant(at) = case.time else { return None };
    let is_of_ranges = OF_RANGES.iter().any(|word| case.expression.replace(' ', "").contains(word));
    let has_points = !matches!(case.expected.results, Results::Text(_) | Results::Matrix { .. });
    (at >= AROUND && has_points && !is_of_ranges && case.expected.fail.is_none()).then_some(at)
}

fn as_expected(case: &Case, answer: Answer) -> Result<(), String> {
    let Answer { value, warnings, infos } = answer;
    for (what, expected, found) in
        [("a warning", &case.expected.warnings, &warnings), ("an info", &case.expected.infos, &infos)]
    {
        match expected {
            Annotation::None if !found.is_empty() => {
                return Err(format!("{what} was not expected: {}", found[0]));
            }
            Annotation::Some(_) if found.is_empty() => return Err(format!("{what} was expected")),
            _ => {}
        }
    }
    match (&case.expected.results, value, case.time) {
        (Results::Text(expected), AnswerValue::Text(text), _) if *expected == text => Ok(()),
        (Results::Text(expected), found, _) => {
            Err(format!("expected the string {expected:?}, got {}", shown(&found)))
        }
        (Results::Scalar(expected), AnswerValue::Scalar(_, value), _) if almost_equal(*expected, value) => {
            Ok(())
        }
        (Results::Scalar(expected), found, _) => {
            Err(format!("expected the number {expected}, got {}", shown(&found)))
        }
        (Results::Matrix { from, step, rows }, AnswerValue::Matrix(found), _) => {
            same_rows(rows, &converted(found), |index| nanos(from + step * index))
        }
        (expected, AnswerValue::Vector(found), Time::Instant(at)) => {
            let found = converted(found);
            same_rows(rows(expected), &found, |_| nanos(at))?;
            if case.expected.ordered { same_order(rows(expected), &found) } else { Ok(()) }
        }
        (expected, AnswerValue::Matrix(found), Time::Range { start, step, .. }) => {
            same_rows(rows(expected), &converted(found), |index| nanos(start + step * index))
        }
        (_, found, _) => Err(format!("got a result of another kind: {}", shown(&found))),
    }
}

fn rows(expected: &Results) -> &[(Labels, Vec<Point>)] {
    match expected {
        Results::Series(rows) => rows,
        _ => &[],
    }
}

fn converted(rows: Vec<AnswerRow>) -> Rows {
    rows.into_iter().map(row).collect()
}

/// Labels by name.
pub(super) fn row(row: AnswerRow) -> (Labels, Vec<(u64, f64)>) {
    let labels = row.labels.into_iter().filter(|label| !label.value.is_empty());
    (labels.map(|label| (label.name, label.value)).collect(), row.points)
}

/// The same series with the same points; `time` tells when an expected point is.
fn same_rows(
    expected: &[(Labels, Vec<Point>)],
    found: &Rows,
    time: impl Fn(i64) -> u64,
) -> Result<(), String> {
    let mut left: BTreeMap<&Labels, &Vec<(u64, f64)>> = BTreeMap::new();
    for (labels, points) in found.iter().filter(|(_, points)| !points.is_empty()) {
        if left.insert(labels, points).is_some() {
            return Err(format!("{} stands twice in the result", show_series(labels)));
        }
    }
    for (labels, points) in expected {
        let value = |(index, point): (i64, &Point)| match point {
            Point::Value(value) => Some((time(index), *value)),
            Point::Gap | Point::Histogram => None,
        };
        let wanted: Vec<(u64, f64)> = (0..).zip(points).filter_map(value).collect();
        let series = show_series(labels);
        let found = match (left.remove(labels), wanted.is_empty()) {
            (None, true) => continue,
            (None, false) => return Err(format!("{series} is missing")),
            (Some(found), _) => found,
        };
        if found.len() != wanted.len() {
            let (got, wanted) = (values(found), values(&wanted));
            return Err(format!("{series}: expected {wanted}, got {got}"));
        }
        for (&(at, value), &(found_at, found)) in wanted.iter().zip(found) {
            if at != found_at || !almost_equal(value, found) {
                let (at, found_at) = (at as f64 / 1e9, found_at as f64 / 1e9);
                return Err(format!("{series}: expected {value} at {at} s, got {found} at {found_at} s"));
            }
        }
    }
    match left.first_key_value() {
        None => Ok(()),
        Some((labels, points)) => {
            Err(format!("{} was not expected: {}", show_series(labels), values(points)))
        }
    }
}

fn same_order(expected: &[(Labels, Vec<Point>)], found: &Rows) -> Result<(), String> {
    match expected.iter().zip(found).find(|((expected, _), (found, _))| expected != found) {
        None => Ok(()),
        Some(((expected, _), (found, _))) => {
            let [expected, found] = [expected, found].map(show_series);
            Err(format!("in this place {expected} was expected, and there is {found}"))
        }
    }
}

fn values(points: &[(u64, f64)]) -> String {
    let shown: Vec<String> =
        points.iter().take(12).map(|(time, value)| format!("{value}@{}", *time as f64 / 1e9)).collect();
    shown.join(" ")
}

fn shown(value: &AnswerValue) -> String {
    match value {
        AnswerValue::Scalar(_, value) => format!("the number {value}"),
        AnswerValue::Text(text) => format!("the string {text:?}"),
        AnswerValue::Vector(rows) => format!("a vector of {} series", rows.len()),
        AnswerValue::Matrix(rows) => format!("a matrix of {} series", rows.len()),
    }
}

fn range(start: i64, end: i64, step: i64) -> QueryTime {
    let step = std::time::Duration::from_millis(step.unsigned_abs());
    QueryTime::Range { start: nanos(start), end: nanos(end), step }
}

/// Unix nanoseconds of milliseconds since 1970.
fn nanos(millis: i64) -> u64 {
    u64::try_from(millis).unwrap_or(0).saturating_mul(MILLI)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(name: &str) -> Labels {
        [(NAME.to_owned(), name.to_owned())].into()
    }

    #[test]
    fn rows_are_compared_whatever_their_order() {
        let expected = [
            (labels("a"), vec![Point::Value(1.0), Point::Gap, Point::Value(2.0)]),
            (labels("b"), vec![Point::Value(f64::NAN)]),
            (labels("c"), vec![Point::Gap]),
        ];
        let found = vec![(labels("b"), vec![(0, f64::NAN)]), (labels("a"), vec![(0, 1.0), (2, 2.000_000_1)])];
        let check = |found: &Rows| same_rows(&expected, found, |index| index as u64);
        assert_eq!(check(&found), Ok(()));
        assert!(same_order(&expected, &found).is_err());
        for (change, says) in [
            (vec![(labels("b"), vec![(0, 1.0)])], "a is missing"),
            (vec![(labels("a"), vec![(0, 1.0), (1, 2.0)]), found[0].clone()], "a: expected 2 at"),
            (vec![(labels("a"), vec![(0, 1.0)]), found[0].clone()], "a: expected 1@0 2@"),
            ([found.clone(), vec![(labels("d"), vec![(0, 1.0)])]].concat(), "d was not expected"),
            ([found.clone(), found.clone()].concat(), "stands twice"),
        ] {
            let error = check(&change).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
