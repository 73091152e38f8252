//! promtool's unit tests, run in the sandbox: the verdicts of `promtool test rules`.
//!
//! As there, all groups are evaluated at every evaluation interval of the file, whatever their own intervals are;
//! samples are there up to the evaluation's time; and alerts that are asked for between two evaluations are those
//! of the first.

use std::collections::BTreeMap;

use picket_promtest::{
    AlertCase, ExpectedAlert, ExpressionCase, Labels, NAME, Point, TestGroup, UnitTests, next_to, show_series,
};
use picket_sandbox::{Answer, AnswerValue, QueryTime};

use super::{Harness, RulesComponent, RulesError};
use crate::model::{self, AlertState};

/// Nanoseconds of a millisecond.
const MILLI: u64 = 1_000_000;
/// The label that gives an alert its name.
const ALERT_NAME: &str = "alertname";
/// Evaluations of one test: a month by 15 s. Each costs the time of all rules.
pub const MAX_EVALUATIONS: i64 = 200_000;

/// What is not as the test says. Times are in milliseconds behind the test's start.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// The test itself cannot be run.
    Test(String),
    /// A rule failed, and the test with it.
    Rule {
        /// Group and rule.
        rule: String,
        /// When.
        time: i64,
        /// The rule's error.
        reason: String,
    },
    /// Other alerts fire than expected.
    Alerts {
        /// Their name.
        alertname: String,
        /// When they were asked for.
        time: i64,
        /// Sorted; `alertname` is not among the labels.
        expected: Vec<ExpectedAlert>,
        /// Likewise.
        got: Vec<ExpectedAlert>,
    },
    /// An expression cannot be evaluated.
    Expression {
        /// The expression.
        expression: String,
        /// When.
        time: i64,
        /// Why.
        reason: String,
    },
    /// An expression gives other samples than expected.
    Samples {
        /// The expression.
        expression: String,
        /// When.
        time: i64,
        /// Series and values, sorted.
        expected: Vec<(String, f64)>,
        /// Likewise.
        got: Vec<(String, f64)>,
    },
}

/// Runs one test over rule files. The error means that it could not be run at all.
pub fn run(
    component: &RulesComponent,
    files: &BTreeMap<String, Vec<u8>>,
    tests: &UnitTests,
    test: &TestGroup,
) -> Result<Vec<Failure>, RulesError> {
    if let Some(problem) = impossible(tests, test) {
        return Ok(vec![Failure::Test(problem)]);
    }
    let config = serde_json::json!({
        "external_labels": test.external_labels,
        "external_url": test.external_url,
    });
    let harness = Harness::new(component, files.clone(), &config)?;
    let groups = ordered(&harness, files, &tests.group_eval_order);
    let mut run = Run { harness, tests, test, groups, fed: 0, failures: Vec::new() };
    if run.evaluate_all()? {
        for case in &test.expressions {
            run.expression(case)?;
        }
    }
    Ok(run.failures)
}

/// What keeps a test from being run.
fn impossible(tests: &UnitTests, test: &TestGroup) -> Option<String> {
    let holds_histogram = |points: &[Point]| points.contains(&Point::Histogram);
    if let Some((series, _)) = test.series.iter().find(|(_, points)| holds_histogram(points)) {
        return Some(format!(
            "the series `{}` holds native histograms, which are not supported",
            show_series(series)
        ));
    }
    if let Some((series, _)) = test.series.iter().find(|(series, _)| !series.contains_key(NAME)) {
        return Some(format!("the series `{}` has no name", show_series(series)));
    }
    let is_histogram = |case: &&ExpressionCase| case.expected.iter().any(|(_, value)| value.is_none());
    if let Some(case) = test.expressions.iter().find(is_histogram) {
        return Some(format!("`{}` is to give a native histogram, which is not supported", case.expression));
    }
    let evaluations = last(test) / tests.evaluation_interval;
    let message = || format!("the test takes {evaluations} evaluations; at most {MAX_EVALUATIONS} are made");
    (evaluations > MAX_EVALUATIONS).then(message)
}

/// The latest time that is asked for.
fn last(test: &TestGroup) -> i64 {
    let alerts = test.alerts.iter().map(|case| case.eval_time);
    alerts.chain(test.expressions.iter().map(|case| case.eval_time)).max().unwrap_or(0)
}

/// The names of all groups of the rule files: first those that are ordered, then the others as they stand.
fn ordered(harness: &Harness, files: &BTreeMap<String, Vec<u8>>, order: &[String]) -> Vec<String> {
    let groups = harness.setup().groups.iter();
    // A component may have groups of its own.
    let mut groups: Vec<_> = groups.filter(|group| files.contains_key(&group.file)).collect();
    let place = |name: &str| order.iter().position(|known| known == name).unwrap_or(order.len());
    groups.sort_by_key(|group| place(own_name(&group.name, &group.file)));
    groups.into_iter().map(|group| group.name.clone()).collect()
}

/// A group's name as its file has it: the component puts the file's name before it.
pub fn own_name<'a>(group: &'a str, file: &str) -> &'a str {
    group.strip_prefix(file).and_then(|rest| rest.strip_prefix(';')).unwrap_or(group)
}

struct Run<'a> {
    harness: Harness,
    tests: &'a UnitTests,
    test: &'a TestGroup,
    groups: Vec<String>,
    /// How many samples of each series are in the store.
    fed: usize,
    failures: Vec<Failure>,
}

impl Run<'_> {
    /// Goes through all evaluations and looks at the alerts in between. False when a rule failed: then nothing
    /// further is worth looking at.
    fn evaluate_all(&mut self) -> Result<bool, RulesError> {
        let mut cases: Vec<&AlertCase> = self.test.alerts.iter().collect();
        cases.sort_by_key(|case| case.eval_time);
        let mut cases = cases.into_iter().peekable();
        let (interval, last) = (self.tests.evaluation_interval, last(self.test));
        let mut time = 0;
        while time <= last {
            if !self.feed(time) || !self.evaluate(time)? {
                return Ok(false);
            }
            while let Some(case) = cases.next_if(|case| case.eval_time < time + interval) {
                self.alerts(case);
            }
            time += interval;
        }
        Ok(true)
    }

    /// Stores the samples up to a time; false when one is not taken.
    fn feed(&mut self, until: i64) -> bool {
        let test = self.test;
        let longest = test.series.iter().map(|(_, points)| points.len()).max().unwrap_or(0);
        while self.fed < longest && self.fed as i64 * test.interval <= until {
            let time = self.nanos(self.fed as i64 * test.interval);
            for (labels, points) in &test.series {
                let Some(Point::Value(value)) = points.get(self.fed) else { continue };
                let name = labels.get(NAME).map_or("", String::as_str);
                if let Err(error) = self.harness.append(name, without_name(labels), time, *value) {
                    self.failures.push(Failure::Test(error.to_string()));
                    return false;
                }
            }
            self.fed += 1;
        }
        true
    }

    fn evaluate(&mut self, time: i64) -> Result<bool, RulesError> {
        let mut all_well = true;
        for group in &self.groups {
            for error in self.harness.evaluate(group, nanos(self.test, time))? {
                all_well = false;
                let rule = format!("{}, {}", error.group, error.rule);
                self.failures.push(Failure::Rule { rule, time, reason: error.reason });
            }
        }
        Ok(all_well)
    }

    fn alerts(&mut self, case: &AlertCase) {
        let active = self.harness.active().into_iter();
        let firing = active.filter(|alert| alert.state == AlertState::Firing);
        let mut got: Vec<ExpectedAlert> = firing
            .filter(|alert| alert.labels.iter().any(|it| it.name == ALERT_NAME && it.value == case.alertname))
            .map(|alert| ExpectedAlert {
                labels: texts(&alert.labels),
                annotations: texts(&alert.annotations),
            })
            .collect();
        let mut expected: Vec<ExpectedAlert> = case.expected.iter().map(plain).collect();
        got.iter_mut().for_each(|alert| drop(alert.labels.remove(ALERT_NAME)));
        got.sort();
        expected.sort();
        if got != expected {
            let (alertname, time) = (case.alertname.clone(), case.eval_time);
            self.failures.push(Failure::Alerts { alertname, time, expected, got });
        }
    }

    fn expression(&mut self, case: &ExpressionCase) -> Result<(), RulesError> {
        let (expression, time) = (case.expression.clone(), case.eval_time);
        let at = QueryTime::Instant(self.nanos(time));
        let answer = self.harness.query(&expression, at)?.map_err(|error| error.to_string());
        let mut got = match answer.and_then(samples) {
            Ok(got) => got,
            Err(reason) => {
                self.failures.push(Failure::Expression { expression, time, reason });
                return Ok(());
            }
        };
        let expected = case.expected.iter();
        let mut expected: Vec<(String, f64)> =
            expected.map(|(labels, value)| (show_series(labels), value.unwrap_or(0.0))).collect();
        got.sort_by(|a, b| a.0.cmp(&b.0));
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        let is_equal = |a: f64, b: f64| match self.tests.fuzzy_compare {
            true => next_to(a, b),
            false => a == b || (a.is_nan() && b.is_nan()),
        };
        let same = got.len() == expected.len()
            && got.iter().zip(&expected).all(|(a, b)| a.0 == b.0 && is_equal(a.1, b.1));
        if !same {
            self.failures.push(Failure::Samples { expression, time, expected, got });
        }
        Ok(())
    }

    fn nanos(&self, time: i64) -> u64 {
        nanos(self.test, time)
    }
}

/// Unix time in nanoseconds of milliseconds behind the test's start.
fn nanos(test: &TestGroup, time: i64) -> u64 {
    u64::try_from(test.start.saturating_add(time)).unwrap_or(0).saturating_mul(MILLI)
}

/// A series' labels beside its name.
pub(super) fn without_name(labels: &Labels) -> impl Iterator<Item = (&str, &str)> {
    labels.iter().filter(|(name, _)| *name != NAME).map(|(name, value)| (name.as_str(), value.as_str()))
}

/// Labels by name. Empty ones are as good as absent.
fn texts(labels: &[model::Label]) -> BTreeMap<String, String> {
    labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect()
}

/// Without what is empty, and without the name that the case has already.
fn plain(alert: &ExpectedAlert) -> ExpectedAlert {
    let is_said = |(_, value): &(&String, &String)| !value.is_empty();
    let copy = |texts: &BTreeMap<String, String>| -> BTreeMap<String, String> {
        texts.iter().filter(is_said).map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let mut labels = copy(&alert.labels);
    labels.remove(ALERT_NAME);
    ExpectedAlert { labels, annotations: copy(&alert.annotations) }
}

/// The samples of an instant vector, or of a number.
fn samples(answer: Answer) -> Result<Vec<(String, f64)>, String> {
    let rows = match answer.value {
        AnswerValue::Scalar(_, value) => return Ok(vec![(show_series(&Labels::new()), value)]),
        AnswerValue::Vector(rows) => rows,
        AnswerValue::Text(_) | AnswerValue::Matrix(_) => {
            return Err("its result is neither an instant vector nor a number".to_owned());
        }
    };
    let sample =
        |(series, points): (Labels, Vec<(u64, f64)>)| Some((show_series(&series), points.first()?.1));
    Ok(rows.into_iter().map(super::script::row).filter_map(sample).collect())
}
