//! From fetched samples to the alerts that hold.

use std::collections::BTreeSet;

use picket_sdk::{ActiveAlert, Error, RuleResult};
use serde::{Deserialize, Serialize};

use crate::expr::{Expr, Step};
use crate::fetch::{Fetched, Series};
use crate::quantile::quantile;
use crate::rows::{Labels, Row, group, join};
use crate::rule::{Level, Rule};
use crate::template::Facts;

/// The host takes no more alerts of one rule.
const MAX_ALERTS: usize = 1000;

/// Which alerts with a `clear` level hold: rule, severity, and labels as text.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Holding(BTreeSet<(String, String, String)>);

impl Holding {
    /// Forgets the rules that do not pass.
    pub(crate) fn keep(&mut self, passes: impl Fn(&str) -> bool) {
        self.0.retain(|(rule, _, _)| passes(rule));
    }
}

/// Evaluates a rule. An error leaves what it held as it is.
pub(crate) fn rule(rule: &Rule, fetched: &Fetched, holding: &mut Holding) -> RuleResult {
    let alerts = rows(&rule.expr, fetched).and_then(|rows| alerts(rule, &rows, holding));
    RuleResult::new(&rule.name, alerts.map_err(Error::new))
}

fn alerts(rule: &Rule, rows: &[Row], holding: &mut Holding) -> Result<Vec<ActiveAlert>, String> {
    let mut alerts = Vec::new();
    let mut held = BTreeSet::new();
    for row in rows {
        for &(severity, level, hold_for) in &rule.levels {
            let key = level.clear.map(|_| (rule.name.clone(), severity.to_owned(), identity(row)));
            let held_before = key.as_ref().is_some_and(|key| holding.0.contains(key));
            if !holds(rule, level, row.value, held_before) {
                continue;
            }
            held.extend(key);
            alerts.push(alert(rule, severity, level, row).hold_for(hold_for));
        }
    }
    if alerts.len() > MAX_ALERTS {
        return Err(format!(
            "{} alerts hold, more than {MAX_ALERTS}: narrow the selector or sum by fewer labels",
            alerts.len()
        ));
    }
    holding.keep(|name| name != rule.name);
    holding.0.extend(held);
    Ok(alerts)
}

/// Beyond the level; once it held, beyond the level that clears it.
fn holds(rule: &Rule, level: Level, value: f64, held_before: bool) -> bool {
    let limit = if held_before { level.clear.unwrap_or(level.at) } else { level.at };
    rule.bad.beyond(value, limit)
}

fn alert(rule: &Rule, severity: &str, level: Level, row: &Row) -> ActiveAlert {
    let facts = Facts { value: row.value, threshold: level.at, unit: rule.unit, labels: &row.labels };
    let alert = ActiveAlert::new(&rule.name, row.value)
        .label("severity", severity)
        .keep_firing_for(rule.keep_firing_for);
    // The rule's labels, and the two that every alert has, take the place of the row's.
    let own = |name: &str| {
        ["alertname", "severity"].contains(&name) || rule.labels.iter().any(|(own, _)| own == name)
    };
    let from_row = row.labels.iter().filter(|(name, _)| !own(name));
    let alert = from_row.fold(alert, |alert, (name, value)| alert.label(name, value));
    let alert = rule.labels.iter().fold(alert, |alert, (name, text)| alert.label(name, text.render(facts)));
    rule.annotations.iter().fold(alert, |alert, (name, text)| alert.annotation(name, text.render(facts)))
}

fn identity(row: &Row) -> String {
    row.labels.iter().map(|(name, value)| format!("{name}={value:?},")).collect()
}

/// The rows of an expression.
fn rows(expr: &Expr, fetched: &Fetched) -> Result<Vec<Row>, String> {
    let of = |expr: &Expr| rows(expr, fetched);
    let each = |compute: &dyn Fn(&Series) -> Option<f64>| match expr.0.leaf() {
        Some(leaf) => Ok(from_series(fetched.series(leaf)?, compute)),
        None => Ok(Vec::new()),
    };
    match &*expr.0 {
        Step::Number(value) => Ok(vec![Row { labels: Labels::default(), value: *value }]),
        Step::Value(_) => each(&|series| series.values.last().copied()),
        Step::Age(_) => {
            let now = fetched.time as f64 / 1e9;
            each(&|series| series.values.last().map(|then| now - then))
        }
        Step::Rate { .. } => each(&rate),
        Step::Increase { .. } => each(&increase),
        Step::Mean { .. } => each(&|series| mean(&series.values)),
        Step::Largest { .. } => each(&|series| series.values.iter().copied().reduce(f64::max)),
        Step::Smallest { .. } => each(&|series| series.values.iter().copied().reduce(f64::min)),
        Step::Quantile { quantile: q, by, .. } => Ok(quantile(*q, each(&rate)?, by.as_deref())),
        Step::Sum { of: inner, by } => Ok(group(of(inner)?, by, |values| values.iter().sum())),
        Step::Average { of: inner, by } => {
            Ok(group(of(inner)?, by, |values| mean(values).unwrap_or(f64::NAN)))
        }
        Step::Max { of: inner, by } => {
            Ok(group(of(inner)?, by, |values| values.iter().copied().fold(f64::NAN, f64::max)))
        }
        Step::Min { of: inner, by } => {
            Ok(group(of(inner)?, by, |values| values.iter().copied().fold(f64::NAN, f64::min)))
        }
        Step::Count { of: inner, by } => Ok(group(of(inner)?, by, |values| values.len() as f64)),
        Step::Ratio { of: left, to } => Ok(join(of(left)?, &of(to)?, |of, to| of / to)),
        Step::Percent { of: left, to } => Ok(join(of(left)?, &of(to)?, |of, to| 100.0 * of / to)),
        Step::PercentUsed { free, total } => {
            Ok(join(of(free)?, &of(total)?, |free, total| 100.0 * (1.0 - free / total)))
        }
        Step::Difference { of: left, less } => Ok(join(of(left)?, &of(less)?, |of, less| of - less)),
        Step::Scale { of: inner, by } => {
            Ok(of(inner)?.into_iter().map(|row| Row { value: row.value * by, ..row }).collect())
        }
    }
}

/// One row for each series that has a value; what is no number is left out.
fn from_series(series: &[Series], compute: &dyn Fn(&Series) -> Option<f64>) -> Vec<Row> {
    let row = |series: &Series| {
        let value = compute(series).filter(|value| value.is_finite())?;
        Some(Row { labels: series.labels.clone(), value })
    };
    series.iter().filter_map(row).collect()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Growth between the first and the last sample. A value below the one before means that the counter
/// began anew at zero.
fn increase(series: &Series) -> Option<f64> {
    let grown = |pair: &[f64]| if pair[1] >= pair[0] { pair[1] - pair[0] } else { pair[1] };
    (series.values.len() >= 2).then(|| series.values.windows(2).map(grown).sum())
}

/// Growth per second of the time that the samples span.
fn rate(series: &Series) -> Option<f64> {
    let seconds = series.times.last()?.checked_sub(*series.times.first()?)? as f64 / 1e9;
    (seconds > 0.0).then(|| increase(series).map(|grown| grown / seconds)).flatten()
}
