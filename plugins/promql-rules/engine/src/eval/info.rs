//! `info`: adds labels of info metrics such as `target_info` to series of the same instance and job.

use std::rc::Rc;

use picket_pattern::{MAX_COMPILED_BYTES, anchored};

use super::block::{Block, Output, Row};
use super::grid::Grid;
use super::index::Index;
use super::selector::Part;
use super::{Evaluator, Failure};
use crate::ast::{Expr, Node, Selector, Shift};
use crate::labels::{Label, Labels, METRIC_NAME, Subset};
use crate::storage::{MatchOp, Matcher};

/// The labels by which series and info series belong together.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// The selector of the info series, as of the times that the first argument's modifiers name.
pub(crate) fn selector(arguments: &[Expr]) -> Option<(Selector, Vec<Matcher>)> {
    let [base, Expr { node: Node::Selector(labels), .. }] = arguments else { return None };
    let (names, data): (Vec<Matcher>, Vec<Matcher>) =
        labels.matchers.iter().cloned().partition(|matcher| matcher.name == METRIC_NAME);
    let names = effective(names);
    let matchers = names.into_iter().chain(data.iter().cloned()).collect();
    Some((Selector { matchers, shift: first_shift(base), id: labels.id }, data))
}

/// Without a name that is wanted, all info metrics that are not unwanted; without any, `target_info`.
fn effective(mut names: Vec<Matcher>) -> Vec<Matcher> {
    let named = |op, value: &str| Matcher { name: METRIC_NAME.to_owned(), op, value: value.to_owned() };
    if names.is_empty() {
        names.push(named(MatchOp::Equal, "target_info"));
    } else if names.iter().all(|m| matches!(m.op, MatchOp::NotEqual | MatchOp::NotRegex)) {
        names.insert(0, named(MatchOp::Regex, ".+_info"));
    }
    names
}

/// The modifiers of the first selector, with those of the subqueries around it.
fn first_shift(base: &Expr) -> Shift {
    shift_within(base).unwrap_or_default()
}

fn shift_within(expr: &Expr) -> Option<Shift> {
    match &expr.node {
        Node::Selector(selector) | Node::Range(selector, _) => Some(selector.shift),
        Node::Subquery(subquery) => {
            let inner = shift_within(&subquery.expr)?;
            if inner.at.is_some() {
                return Some(inner);
            }
            Some(Shift { at: subquery.shift.at, offset_ms: inner.offset_ms + subquery.shift.offset_ms })
        }
        Node::Negate(inner) => shift_within(inner),
        Node::Binary(binary) => shift_within(&binary.left).or_else(|| shift_within(&binary.right)),
        Node::Aggregate(aggregate) => shift_within(&aggregate.expr),
        Node::Call(_, arguments) => arguments.iter().find_map(shift_within),
        Node::Number(_) | Node::Text(_) => None,
    }
}

impl Evaluator<'_> {
    pub(crate) fn info(&mut self, arguments: &[Expr], grid: Grid) -> Result<Block, Failure> {
        let Some((selector, data)) = selector(arguments) else {
            return Err(Failure::Failed("expected label selectors only".to_owned()));
        };
        let base = self.vector(&arguments[0], grid)?;
        let times = self.selector(&selector, grid, Part::Time)?;
        let names: Vec<Matcher> =
            selector.matchers.iter().filter(|matcher| matcher.name == METRIC_NAME).cloned().collect();
        let is_info = matches_all(&names)?;
        let needs_info = !matches_all(&data)?(&Labels::default());
        let mut index = Index::new(Subset::Only(IDENTIFYING.map(str::to_owned).to_vec()));
        let base_groups: Vec<usize> = base.rows.iter().map(|row| index.ordinal(&row.labels)).collect();
        let info_groups: Vec<usize> = times.rows.iter().map(|row| index.ordinal(&row.labels)).collect();
        let mut output = Output::new(grid.count);
        for step in 0..grid.count {
            self.check_deadline(step)?;
            let mut found: Vec<Vec<usize>> = vec![Vec::new(); index.len()];
            for (row, _) in times.at(step) {
                newest(&mut found[info_groups[row]], row, &times, step)?;
            }
            for (row, value) in base.at(step) {
                let known = &base.rows[row];
                let mut labels = Rc::clone(&known.labels);
                if !is_info(&labels) {
                    let infos = &found[base_groups[row]];
                    let identified = IDENTIFYING.iter().any(|name| !labels.get(name).is_empty());
                    if !identified || infos.is_empty() {
                        if needs_info {
                            continue;
                        }
                    } else {
                        labels = Rc::new(joined(
                            &labels,
                            infos.iter().map(|&row| &*times.rows[row].labels),
                            &data,
                        )?);
                    }
                }
                let place = output.row(Row { labels, drop_name: known.drop_name });
                output.set(place, step, value)?;
            }
        }
        Ok(output.block)
    }
}

/// Keeps one series of each info metric, the one with the newest sample.
fn newest(found: &mut Vec<usize>, row: usize, times: &Block, step: usize) -> Result<(), Failure> {
    let labels = |row: usize| &times.rows[row].labels;
    let name = labels(row).metric_name();
    let Some(known) = found.iter_mut().find(|known| labels(**known).metric_name() == name) else {
        found.push(row);
        return Ok(());
    };
    let (old, new) = (times.get(*known, step), times.get(row, step));
    if old == new {
        let (old_labels, new_labels) = (labels(*known), labels(row));
        return Err(Failure::Failed(format!(
            "found duplicate series for info metric: existing {old_labels} @ {}, new {new_labels} @ {}",
            old * 1_000.0,
            new * 1_000.0,
        )));
    }
    if new > old {
        *known = row;
    }
    Ok(())
}

/// The labels of a series with those of its info series that it has not itself.
fn joined<'a>(
    base: &Labels,
    infos: impl Iterator<Item = &'a Labels>,
    data: &[Matcher],
) -> Result<Labels, Failure> {
    let wanted = |name: &str| {
        name != METRIC_NAME && (data.is_empty() || data.iter().any(|matcher| matcher.name == name))
    };
    let mut added: Vec<&Label> = Vec::new();
    for label in infos.flat_map(Labels::iter).filter(|label| wanted(label.name())) {
        match added.iter().find(|known| known.name() == label.name()) {
            Some(known) if known.value() != label.value() => {
                return Err(Failure::Failed(format!("conflicting label: {}", label.name())));
            }
            Some(_) => {}
            None if base.get(label.name()).is_empty() => added.push(label),
            None => {}
        }
    }
    let mut labels = base.edit();
    added.into_iter().for_each(|label| labels.set(label.clone()));
    Ok(labels.finish())
}

/// Whether a label's value meets a condition.
type Test = Box<dyn Fn(&str) -> bool>;

/// Whether labels meet all conditions.
fn matches_all(matchers: &[Matcher]) -> Result<impl Fn(&Labels) -> bool, Failure> {
    let mut tests: Vec<(String, Test)> = Vec::new();
    for Matcher { name, op, value } in matchers {
        let value = value.clone();
        let regex = |pattern: &str| {
            anchored(pattern, MAX_COMPILED_BYTES)
                .map_err(|error| Failure::Failed(format!("invalid regular expression: {error}")))
        };
        let test: Test = match op {
            MatchOp::Equal => Box::new(move |text| text == value),
            MatchOp::NotEqual => Box::new(move |text| text != value),
            MatchOp::Regex => {
                let regex = regex(&value)?;
                Box::new(move |text| regex.is_match(text))
            }
            MatchOp::NotRegex => {
                let regex = regex(&value)?;
                Box::new(move |text| !regex.is_match(text))
            }
        };
        tests.push((name.clone(), test));
    }
    Ok(move |labels: &Labels| tests.iter().all(|(name, test)| test(labels.get(name))))
}
