//! Aggregations that make one series of each group.

use std::rc::Rc;

use super::block::{Block, Output, Row, present};
use super::grid::Grid;
use super::index::Index;
use super::{Evaluator, Failure};
use crate::ast::{Aggregate, Aggregation, Expr, Node};
use crate::labels::{Label, Subset};
use crate::numbers::{Mean, Sum, plain, quantile};

impl Evaluator<'_> {
    pub(crate) fn aggregate(&mut self, aggregate: &Aggregate, grid: Grid) -> Result<Block, Failure> {
        let parameter = aggregate.parameter.as_ref();
        match aggregate.op {
            Aggregation::CountValues => self.count_values(aggregate, grid),
            Aggregation::TopK | Aggregation::BottomK | Aggregation::LimitK | Aggregation::LimitRatio => {
                self.ranked(aggregate, grid)
            }
            op => {
                let quantiles = self.quantiles(parameter, grid)?;
                let input = self.vector(&aggregate.expr, grid)?;
                self.groups(op, &aggregate.by, &quantiles, &input)
            }
        }
    }

    fn quantiles(&mut self, parameter: Option<&Expr>, grid: Grid) -> Result<Vec<f64>, Failure> {
        let Some(parameter) = parameter else { return Ok(Vec::new()) };
        let quantiles = self.scalar(parameter, grid)?;
        // As Prometheus does: what is worst of each kind, not each value.
        let least = quantiles.iter().copied().fold(f64::INFINITY, f64::min);
        let most = quantiles.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let none = quantiles.iter().copied().find(|quantile| quantile.is_nan());
        let worst: Vec<f64> = none.into_iter().chain([least.min(1.0), most.max(0.0)]).collect();
        self.note_quantiles(&worst, parameter.place);
        Ok(quantiles)
    }

    fn groups(
        &mut self,
        op: Aggregation,
        by: &Subset,
        quantiles: &[f64],
        input: &Block,
    ) -> Result<Block, Failure> {
        let (groups, mut output) = grouped(by, input);
        let mut states: Vec<Option<State>> = vec![None; output.rows.len()];
        for step in 0..input.steps {
            self.check_deadline(step)?;
            for (row, value) in input.at(step) {
                match &mut states[groups[row]] {
                    Some(state) => state.add(value),
                    state => *state = Some(State::of(op, value)),
                }
            }
            let q = quantiles.get(step).copied().unwrap_or(f64::NAN);
            for (group, state) in states.iter_mut().enumerate() {
                if let Some(state) = state.take() {
                    output.set(group, step, present(state.finish(op, q)));
                }
            }
        }
        Ok(output)
    }

    fn count_values(&mut self, aggregate: &Aggregate, grid: Grid) -> Result<Block, Failure> {
        let Some(Expr { node: Node::Text(label), .. }) = &aggregate.parameter else {
            return Err(Failure::Failed("expected a label name".to_owned()));
        };
        if label.is_empty() {
            return Err(Failure::Failed(format!("invalid label name {label:?}")));
        }
        let by = match aggregate.by.clone() {
            Subset::Only(mut names) => {
                names.push(label.clone());
                Subset::Only(names)
            }
            by => by,
        };
        let input = self.vector(&aggregate.expr, grid)?;
        let mut output = Output::new(grid.count);
        for step in 0..grid.count {
            for (row, value) in input.at(step) {
                let mut labels = input.rows[row].labels.edit();
                labels.set(Label::new(label.as_str(), plain(value)));
                labels.retain(|name| by.has(name));
                let place = output.row(Row { labels: Rc::new(labels.finish()), drop_name: false });
                let known = output.block.get(place, step);
                let count = if super::is_absent(known) { 0.0 } else { known };
                output.block.set(place, step, count + 1.0);
            }
            self.check_cells(output.block.rows.len(), grid)?;
        }
        Ok(output.block)
    }
}

/// The group of each series, and a block with one series for each group and no value yet.
fn grouped(by: &Subset, input: &Block) -> (Vec<usize>, Block) {
    let mut index = Index::new(by.clone());
    let groups: Vec<usize> = input.rows.iter().map(|row| index.ordinal(&row.labels)).collect();
    let mut output = Block::new(input.steps);
    for group in 0..index.len() {
        let labels = Rc::new(by.cut(index.member(group)));
        output.add(Row { labels, drop_name: false });
    }
    for (row, &group) in input.rows.iter().zip(&groups) {
        output.rows[group].drop_name |= row.drop_name;
    }
    (groups, output)
}

/// What is known of a group at one step.
#[derive(Debug, Clone)]
enum State {
    Sum(Sum),
    Mean(Mean),
    Min(f64),
    Max(f64),
    Count(f64),
    Group,
    Variance { count: f64, mean: f64, squares: f64 },
    All(Vec<f64>),
}

impl State {
    fn of(op: Aggregation, value: f64) -> Self {
        let mut state = match op {
            Aggregation::Avg => Self::Mean(Mean::default()),
            Aggregation::Min => return Self::Min(value),
            Aggregation::Max => return Self::Max(value),
            Aggregation::Count => Self::Count(0.0),
            Aggregation::Group => Self::Group,
            Aggregation::Quantile => Self::All(Vec::new()),
            Aggregation::Stddev | Aggregation::Stdvar => {
                let squares = if value.is_finite() { 0.0 } else { f64::NAN };
                return Self::Variance { count: 1.0, mean: value, squares };
            }
            _ => return Self::Sum(Sum { sum: value, lost: 0.0 }),
        };
        state.add(value);
        state
    }

    fn add(&mut self, value: f64) {
        match self {
            Self::Sum(sum) => sum.add(value),
            Self::Mean(mean) => mean.add(value),
            // Any number beats NaN.
            Self::Min(min) if value < *min || min.is_nan() => *min = value,
            Self::Max(max) if value > *max || max.is_nan() => *max = value,
            Self::Min(_) | Self::Max(_) | Self::Group => {}
            Self::Count(count) => *count += 1.0,
            Self::Variance { count, mean, squares } => {
                // Welford's running variance (1962).
                *count += 1.0;
                let distance = value - *mean;
                *mean += distance / *count;
                *squares += distance * (value - *mean);
            }
            Self::All(values) => values.push(value),
        }
    }

    fn finish(self, op: Aggregation, q: f64) -> f64 {
        match self {
            Self::Sum(sum) => sum.total(),
            Self::Mean(mean) => mean.value(),
            Self::Min(value) | Self::Max(value) | Self::Count(value) => value,
            Self::Group => 1.0,
            Self::Variance { count, squares, .. } if op == Aggregation::Stddev => (squares / count).sqrt(),
            Self::Variance { count, squares, .. } => squares / count,
            Self::All(mut values) => quantile(q, &mut values),
        }
    }
}
