//! Range selectors and subqueries, and the functions over their windows.

use std::rc::Rc;

use super::block::{Block, Row, is_absent, present};
use super::grid::{self, Grid};
use super::{Evaluator, Failure};
use crate::ast::{Expr, Node, Shift};
use crate::functions::over_time::{OverTime, Window};
use crate::numbers::plain;
use crate::storage::Series;

/// The samples of a range selector or a subquery for all steps, and what of them each step sees.
pub(crate) struct Range {
    pub(crate) series: Rc<Vec<Series>>,
    /// By series; empty when no name is to be dropped.
    drop_name: Vec<bool>,
    pub(crate) range_ms: i64,
    pub(crate) shift: Shift,
}

impl Range {
    /// Whether the name of a series is already on its way out.
    pub(crate) fn drops_name(&self, series: usize) -> bool {
        self.drop_name.get(series).copied().unwrap_or(false)
    }
}

impl Evaluator<'_> {
    /// The samples of a range selector or a subquery.
    pub(crate) fn range(&mut self, expr: &Expr, grid: Grid) -> Result<Range, Failure> {
        match &expr.node {
            Node::Range(selector, range_ms) => {
                let series = Rc::clone(&self.data[self.plan.slots[selector.id]]);
                Ok(Range { series, drop_name: Vec::new(), range_ms: *range_ms, shift: selector.shift })
            }
            Node::Subquery(subquery) => {
                let first = self.span.shifted(grid.time(0), subquery.shift);
                let last = self.span.shifted(grid.last(), subquery.shift);
                let step = subquery.step_ms.unwrap_or(self.options.subquery_step_ms);
                let inner = grid::subquery(first, last, subquery.range_ms, step, self.options.max_samples)
                    .ok_or(Failure::TooManySamples)?;
                let block = self.vector(&subquery.expr, inner)?;
                let drop_name = block.rows.iter().map(|row| row.drop_name).collect();
                let series = Rc::new(columns(&block, inner));
                Ok(Range { series, drop_name, range_ms: subquery.range_ms, shift: subquery.shift })
            }
            _ => Err(Failure::Failed("expected a range vector".to_owned())),
        }
    }

    /// A function of the windows of `arguments[at]`, with the others as its scalar arguments.
    pub(crate) fn over_time(
        &mut self,
        op: OverTime,
        arguments: &[Expr],
        grid: Grid,
    ) -> Result<Block, Failure> {
        let scalars = self.scalars(arguments, grid)?;
        let Some(samples) = arguments.iter().find(|argument| is_range(argument)) else {
            return Err(Failure::Failed("expected a range vector".to_owned()));
        };
        let range = self.range(samples, grid)?;
        self.check_cells(range.series.len(), grid)?;
        let mut block = Block::new(grid.count);
        let mut at_step = vec![0.0; scalars.len()];
        let mut seen = false;
        let mut longest = 0;
        for (index, series) in range.series.iter().enumerate() {
            self.check_deadline(index)?;
            let drop_name = !op.keeps_name() || range.drops_name(index);
            let values = block.add(Row { labels: series.labels.clone(), drop_name });
            let mut edges = Edges::default();
            for (step, value) in values.iter_mut().enumerate() {
                let Some(window) = self.window(series, &range, grid.time(step), &mut edges) else { continue };
                at_step.iter_mut().zip(&scalars).for_each(|(at, scalar)| *at = scalar[step]);
                check_arguments(op, &at_step)?;
                self.work(window.times.len())?;
                seen = true;
                longest = longest.max(window.times.len());
                if let Some(result) = op.apply(&window, &at_step) {
                    *value = present(result);
                }
            }
            self.note_counter(op, series, values, samples);
            block.pop_if_absent();
        }
        if seen && op == OverTime::Quantile {
            self.note_quantiles(&scalars[0], arguments[0].place);
        }
        self.check_samples(block.present() + longest)?;
        Ok(block)
    }

    /// At which steps any series has a sample within its window.
    pub(crate) fn any_over_time(&mut self, expr: &Expr, grid: Grid) -> Result<Vec<bool>, Failure> {
        let range = self.range(expr, grid)?;
        let mut found = vec![false; grid.count];
        for (index, series) in range.series.iter().enumerate() {
            self.check_deadline(index)?;
            let mut edges = Edges::default();
            for (step, found) in found.iter_mut().enumerate() {
                self.work(1)?;
                *found |= self.window(series, &range, grid.time(step), &mut edges).is_some();
            }
        }
        Ok(found)
    }

    /// What of a series a step sees, if anything. The steps must be asked in their order.
    pub(crate) fn window<'s>(
        &self,
        series: &'s Series,
        range: &Range,
        time_ms: i64,
        edges: &mut Edges,
    ) -> Option<Window<'s>> {
        let end_ms = self.span.shifted(time_ms, range.shift);
        let start_ms = end_ms - range.range_ms;
        let times = &series.times;
        while times.get(edges.behind).is_some_and(|&time| time <= end_ms) {
            edges.behind += 1;
        }
        while times.get(edges.first).is_some_and(|&time| time <= start_ms) {
            edges.first += 1;
        }
        let seen = edges.first..edges.behind;
        (!seen.is_empty()).then(|| Window {
            times: &times[seen.clone()],
            values: &series.values[seen],
            start_ms,
            end_ms,
            time_ms,
            range_ms: range.range_ms,
        })
    }

    fn note_counter(&mut self, op: OverTime, series: &Series, values: &[f64], samples: &Expr) {
        const COUNTERS: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];
        if !matches!(op, OverTime::Rate | OverTime::Increase) || values.iter().all(|&v| is_absent(v)) {
            return;
        }
        let name = series.labels.metric_name();
        if !name.is_empty() && !COUNTERS.iter().any(|suffix| name.ends_with(suffix)) {
            self.notes.possible_non_counter(name, samples.place);
        }
    }
}

/// The samples that a window holds, as indices. Both only grow.
#[derive(Debug, Default)]
pub(crate) struct Edges {
    first: usize,
    behind: usize,
}

fn is_range(expr: &Expr) -> bool {
    matches!(expr.node, Node::Range(..) | Node::Subquery(_))
}

fn check_arguments(op: OverTime, arguments: &[f64]) -> Result<(), Failure> {
    if op != OverTime::Smoothing {
        return Ok(());
    }
    for (name, sign, value) in [("smoothing", "sf", arguments[0]), ("trend", "tf", arguments[1])] {
        if value <= 0.0 || value >= 1.0 {
            let got = plain(value);
            return Err(Failure::Failed(format!(
                "invalid {name} factor. Expected: 0 < {sign} < 1, got: {got}"
            )));
        }
    }
    Ok(())
}

/// The series of a block as if they were stored.
fn columns(block: &Block, grid: Grid) -> Vec<Series> {
    let column = |row: usize| {
        let samples =
            grid.times().zip(block.series(row).iter().copied()).filter(|&(_, value)| !is_absent(value));
        let (times, values) = samples.unzip();
        Series { labels: block.rows[row].labels.clone(), times, values }
    };
    (0..block.rows.len()).map(column).collect()
}
