//! Functions of classic histograms: series that differ in their label `le` only.

use std::rc::Rc;

use super::block::{Block, Output, Row};
use super::call::text;
use super::grid::Grid;
use super::index::Index;
use super::{Evaluator, Failure};
use crate::ast::Expr;
use crate::functions::histogram::{self, Bucket};
use crate::labels::{Label, Labels, Subset};
use crate::notes::Fixed;
use crate::numbers::open_metrics;
use crate::position::Position;

/// The label that holds a bucket's upper bound.
const BOUND: &str = "le";

/// The histograms of a vector.
struct Histograms {
    /// Labels by histogram, and by series the histogram and the bound. None for what is no bucket.
    rows: Vec<Row>,
    buckets: Vec<Option<(usize, f64)>>,
    input: Block,
    place: Position,
}

impl Evaluator<'_> {
    pub(crate) fn histogram_quantile(&mut self, arguments: &[Expr], grid: Grid) -> Result<Block, Failure> {
        let quantiles = self.scalar(&arguments[0], grid)?;
        self.note_quantiles(&quantiles, arguments[0].place);
        let histograms = self.histograms(&arguments[1], grid)?;
        let mut output = Output::new(grid.count);
        for (step, &q) in quantiles.iter().enumerate() {
            for (histogram, buckets) in histograms.at(step) {
                let place = output.row(histograms.rows[histogram].clone());
                let value = self.quantile(&histograms, histogram, q, buckets, grid.time(step));
                output.set(place, step, value)?;
            }
        }
        Ok(output.block)
    }

    pub(crate) fn histogram_quantiles(&mut self, arguments: &[Expr], grid: Grid) -> Result<Block, Failure> {
        let [input, label, wanted @ ..] = arguments else {
            return Err(Failure::Failed("histogram_quantiles takes two arguments and more".to_owned()));
        };
        let label = text(label);
        if label.is_empty() {
            return Err(Failure::Failed("invalid label name in histogram_quantiles()".to_owned()));
        }
        let mut quantiles = Vec::with_capacity(wanted.len());
        for argument in wanted {
            let values = self.scalar(argument, grid)?;
            self.note_quantiles(&values, argument.place);
            quantiles.push(values);
        }
        let histograms = self.histograms(input, grid)?;
        let mut output = Output::new(grid.count);
        for step in 0..grid.count {
            for (histogram, buckets) in histograms.at(step) {
                for q in quantiles.iter().map(|values| values[step]) {
                    let mut labels = histograms.rows[histogram].labels.edit();
                    labels.set(Label::new(label, open_metrics(q)));
                    let place = output.row(Row { labels: Rc::new(labels.finish()), drop_name: true });
                    let value = self.quantile(&histograms, histogram, q, buckets.clone(), grid.time(step));
                    output.set(place, step, value)?;
                }
            }
        }
        Ok(output.block)
    }

    pub(crate) fn histogram_fraction(&mut self, arguments: &[Expr], grid: Grid) -> Result<Block, Failure> {
        let lower = self.scalar(&arguments[0], grid)?;
        let upper = self.scalar(&arguments[1], grid)?;
        let histograms = self.histograms(&arguments[2], grid)?;
        let mut output = Output::new(grid.count);
        for step in 0..grid.count {
            for (histogram, buckets) in histograms.at(step) {
                let place = output.row(histograms.rows[histogram].clone());
                output.set(place, step, histogram::fraction(lower[step], upper[step], buckets))?;
            }
        }
        Ok(output.block)
    }

    fn histograms(&mut self, argument: &Expr, grid: Grid) -> Result<Histograms, Failure> {
        let input = self.vector(argument, grid)?;
        let mut index = Index::new(Subset::All);
        let mut rows: Vec<Row> = Vec::new();
        let mut buckets = Vec::with_capacity(input.rows.len());
        for row in &input.rows {
            let Some(bound) = parse_bound(row.labels.get(BOUND)) else {
                let (name, value) = (row.labels.metric_name(), row.labels.get(BOUND));
                self.notes.bad_bucket_label(name, value, argument.place);
                buckets.push(None);
                continue;
            };
            let labels: Rc<Labels> = Rc::new(row.labels.filter(|name| name != BOUND));
            let histogram = index.ordinal(&labels);
            if histogram == rows.len() {
                rows.push(Row { labels, drop_name: true });
            }
            buckets.push(Some((histogram, bound)));
        }
        Ok(Histograms { rows, buckets, input, place: argument.place })
    }

    fn quantile(
        &mut self,
        histograms: &Histograms,
        histogram: usize,
        q: f64,
        buckets: Vec<Bucket>,
        time_ms: i64,
    ) -> f64 {
        let (value, raised) = histogram::quantile(q, buckets);
        if let Some(raised) = raised {
            let fixed = Fixed {
                min_time_ms: time_ms,
                max_time_ms: time_ms,
                min_bucket: raised.min_bound,
                max_bucket: raised.max_bound,
                max_difference: raised.max_difference,
                samples: 1,
            };
            let name = histograms.rows[histogram].labels.metric_name();
            self.notes.forced_monotonicity(name, fixed, histograms.place);
        }
        value
    }
}

impl Histograms {
    /// The histograms that have buckets at a step.
    fn at(&self, step: usize) -> impl Iterator<Item = (usize, Vec<Bucket>)> {
        let mut found: Vec<Vec<Bucket>> = vec![Vec::new(); self.rows.len()];
        for (row, count) in self.input.at(step) {
            if let Some((histogram, bound)) = self.buckets[row] {
                found[histogram].push(Bucket { bound, count });
            }
        }
        found.into_iter().enumerate().filter(|(_, buckets)| !buckets.is_empty())
    }
}

fn parse_bound(text: &str) -> Option<f64> {
    text.parse().ok()
}
