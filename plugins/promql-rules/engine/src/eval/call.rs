//! Calls of functions.

use std::collections::HashSet;
use std::rc::Rc;

use super::block::{ABSENT, Block, Row};
use super::grid::Grid;
use super::ranked::by_rank;
use super::selector::Part;
use super::{Evaluated, Evaluator, Failure};
use crate::ast::{Expr, Node};
use crate::calendar::Date;
use crate::functions::{Function, math, natural};
use crate::labels::{Label, Labels, METRIC_NAME};
use crate::position::Position;
use crate::storage::{MatchOp, Matcher};

impl Evaluator<'_> {
    pub(crate) fn call(
        &mut self,
        function: Function,
        arguments: &[Expr],
        grid: Grid,
        place: Position,
    ) -> Result<Evaluated, Failure> {
        if let Some(values) = self.scalar_call(function, arguments, grid)? {
            return Ok(Evaluated::Scalar(values));
        }
        let block = match function {
            Function::Vector => {
                let values = self.scalar(&arguments[0], grid)?;
                let rows = vec![Row { labels: Rc::default(), drop_name: false }];
                Block { rows, values, steps: grid.count }
            }
            Function::Map(map) => self.vector(&arguments[0], grid)?.map(map),
            Function::Round | Function::Clamp | Function::ClampMax | Function::ClampMin => {
                self.bounded(function, arguments, grid)?
            }
            Function::Date(part) => self.date(part, arguments, grid)?,
            Function::Timestamp => self.timestamp(&arguments[0], grid)?,
            Function::Absent => self.absent(&arguments[0], grid)?,
            Function::AbsentOverTime => self.absent_over_time(&arguments[0], grid)?,
            Function::OverTime(op) => self.over_time(op, arguments, grid)?,
            Function::Sort(_) | Function::SortByLabel(_) => self.sort(function, arguments, grid, place)?,
            Function::LabelReplace => self.label_replace(arguments, grid)?,
            Function::LabelJoin => self.label_join(arguments, grid)?,
            Function::Info => self.info(arguments, grid)?,
            Function::HistogramQuantile => self.histogram_quantile(arguments, grid)?,
            Function::HistogramQuantiles => self.histogram_quantiles(arguments, grid)?,
            Function::HistogramFraction => self.histogram_fraction(arguments, grid)?,
            other => return Err(Failure::Failed(format!("{other:?} has no value here"))),
        };
        Ok(Evaluated::Vector(block))
    }

    /// The functions that give a scalar.
    fn scalar_call(
        &mut self,
        function: Function,
        arguments: &[Expr],
        grid: Grid,
    ) -> Result<Option<Vec<f64>>, Failure> {
        let span = self.span;
        let constant = |ms: i64| vec![ms as f64 / 1_000.0; grid.count];
        Ok(Some(match function {
            Function::Time => grid.times().map(|time| time as f64 / 1_000.0).collect(),
            Function::Pi => vec![std::f64::consts::PI; grid.count],
            Function::QueryStart => constant(span.start_ms),
            Function::QueryEnd => constant(span.end_ms),
            Function::QueryRange => constant(span.end_ms - span.start_ms),
            Function::QueryStep if span.start_ms == span.end_ms => constant(0),
            Function::QueryStep => constant(span.step_ms),
            Function::MaxOf | Function::MinOf => {
                let of = if matches!(function, Function::MaxOf) { math::at_least } else { math::at_most };
                let (left, right) = (self.scalar(&arguments[0], grid)?, self.scalar(&arguments[1], grid)?);
                left.into_iter().zip(right).map(|(a, b)| of(a, b)).collect()
            }
            Function::Scalar => {
                let block = self.vector(&arguments[0], grid)?;
                (0..grid.count).map(|step| only(block.at(step).map(|(_, value)| value))).collect()
            }
            _ => return Ok(None),
        }))
    }

    fn bounded(&mut self, function: Function, arguments: &[Expr], grid: Grid) -> Result<Block, Failure> {
        let scalars = self.scalars(&arguments[1..], grid)?;
        let mut block = self.vector(&arguments[0], grid)?;
        block.map_steps(|step, value| match (function, scalars.as_slice()) {
            (Function::Round, []) => math::round(value, 1.0),
            (Function::Round, [nearest, ..]) => math::round(value, nearest[step]),
            (Function::ClampMax, [max, ..]) => math::at_most(value, max[step]),
            (Function::ClampMin, [min, ..]) => math::at_least(value, min[step]),
            (_, [min, max, ..]) if max[step] < min[step] => ABSENT,
            (_, [min, max, ..]) => math::clamp(value, min[step], max[step]),
            _ => value,
        });
        block.rows.iter_mut().for_each(|row| row.drop_name = true);
        Ok(block.compact())
    }

    fn date(&mut self, part: fn(Date) -> i64, arguments: &[Expr], grid: Grid) -> Result<Block, Failure> {
        let Some(argument) = arguments.first() else {
            let values = grid.times().map(|ms| part(Date::from_unix(ms.div_euclid(1_000))) as f64).collect();
            let rows = vec![Row { labels: Rc::default(), drop_name: false }];
            return Ok(Block { rows, values, steps: grid.count });
        };
        // A float beyond the integers becomes the nearest one; the calendar has bounds of its own.
        Ok(self.vector(argument, grid)?.map(|seconds| part(Date::from_unix(seconds as i64)) as f64))
    }

    fn timestamp(&mut self, argument: &Expr, grid: Grid) -> Result<Block, Failure> {
        let mut block = match &argument.node {
            Node::Selector(selector) => self.selector(selector, grid, Part::Time)?,
            _ => {
                let mut block = self.vector(argument, grid)?;
                block.map_steps(|step, _| grid.time(step) as f64 / 1_000.0);
                block
            }
        };
        block.rows.iter_mut().for_each(|row| row.drop_name = true);
        Ok(block)
    }

    fn absent(&mut self, argument: &Expr, grid: Grid) -> Result<Block, Failure> {
        let block = self.vector(argument, grid)?;
        let found = (0..grid.count).map(|step| block.at(step).next().is_some());
        Ok(absence(argument, found.collect()))
    }

    fn absent_over_time(&mut self, argument: &Expr, grid: Grid) -> Result<Block, Failure> {
        Ok(absence(argument, self.any_over_time(argument, grid)?))
    }

    fn sort(
        &mut self,
        function: Function,
        arguments: &[Expr],
        grid: Grid,
        place: Position,
    ) -> Result<Block, Failure> {
        let block = self.vector(&arguments[0], grid)?;
        if self.span.start_ms != self.span.end_ms && grid.count > 1 {
            self.notes.sort_in_range_query(place);
        }
        if grid.count != 1 {
            return Ok(block);
        }
        let mut order: Vec<usize> = (0..block.rows.len()).collect();
        match function {
            Function::Sort(descending) => {
                order.sort_by(|&a, &b| by_rank(block.values[a], block.values[b], descending));
            }
            Function::SortByLabel(descending) => {
                let names: Vec<&str> = arguments[1..].iter().map(text).collect();
                order.sort_by(|&a, &b| {
                    let order = by_labels(&block.rows[a].labels, &block.rows[b].labels, &names);
                    if descending { order.reverse() } else { order }
                });
            }
            _ => {}
        }
        Ok(block.pick(&order))
    }
}

/// The text of an argument that must be one.
pub(crate) fn text(argument: &Expr) -> &str {
    if let Node::Text(text) = &argument.node { text } else { "" }
}

fn by_labels(a: &Labels, b: &Labels, names: &[&str]) -> std::cmp::Ordering {
    let by_names = names.iter().map(|name| natural::compare(a.get(name), b.get(name)));
    by_names.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then).then_with(|| a.cmp(b))
}

/// The only value, NaN if there is none or more than one.
fn only(mut values: impl Iterator<Item = f64>) -> f64 {
    match (values.next(), values.next()) {
        (Some(value), None) => value,
        _ => f64::NAN,
    }
}

/// One where nothing was found, with the labels that what is missing would surely have.
fn absence(argument: &Expr, found: Vec<bool>) -> Block {
    let mut block = Block::new(found.len());
    let labels = Rc::new(certain_labels(argument));
    let values = block.add(Row { labels, drop_name: false });
    for (value, _) in values.iter_mut().zip(found).filter(|(_, found)| !found) {
        *value = 1.0;
    }
    block.compact()
}

/// Labels that a selector compares with one text and nothing else.
fn certain_labels(argument: &Expr) -> Labels {
    let (Node::Selector(selector) | Node::Range(selector, _)) = &argument.node else {
        return Labels::default();
    };
    let mut seen = HashSet::new();
    let mut labels = Labels::default().edit();
    for Matcher { name, op, value } in selector.matchers.iter().filter(|m| m.name != METRIC_NAME) {
        let certain = *op == MatchOp::Equal && seen.insert(name);
        labels.set(Label::new(name.as_str(), if certain { value.as_str() } else { "" }));
    }
    labels.finish()
}
