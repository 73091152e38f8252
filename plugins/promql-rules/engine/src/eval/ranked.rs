//! Aggregations that pick series of each group: `topk`, `bottomk`, `limitk` and `limit_ratio`.

use std::cmp::Ordering;

use super::block::{ABSENT, Block};
use super::grid::Grid;
use super::index::Index;
use super::{Evaluator, Failure};
use crate::ast::{Aggregate, Aggregation, Expr};
use crate::labels::Labels;
use crate::xxhash::xxh64;

/// One series' value at a step.
type Ranked = (usize, f64);

impl Evaluator<'_> {
    pub(crate) fn ranked(&mut self, aggregate: &Aggregate, grid: Grid) -> Result<Block, Failure> {
        let Some(parameter) = &aggregate.parameter else {
            return Err(Failure::Failed("expected a parameter".to_owned()));
        };
        let limits = self.scalar(parameter, grid)?;
        let input = self.vector(&aggregate.expr, grid)?;
        if !self.check_limits(aggregate.op, &limits, parameter)? {
            return Ok(Block::new(grid.count));
        }
        let mut index = Index::new(aggregate.by.clone());
        let groups: Vec<usize> = input.rows.iter().map(|row| index.ordinal(&row.labels)).collect();
        let mut output = input.clone();
        output.values.fill(ABSENT);
        let mut order = Vec::new();
        for (step, &limit) in limits.iter().enumerate() {
            self.check_deadline(step)?;
            let mut members: Vec<Vec<Ranked>> = vec![Vec::new(); index.len()];
            input.at(step).for_each(|(row, value)| members[groups[row]].push((row, value)));
            for mut group in members {
                select(aggregate.op, limit, &input, &mut group);
                for (row, value) in group {
                    output.set(row, step, value);
                    order.push(row);
                }
            }
        }
        // The order of one step is a part of the answer, that of many steps has no meaning.
        Ok(if grid.count == 1 { output.pick(&order) } else { output.compact() })
    }

    /// Whether any step picks anything.
    fn check_limits(&mut self, op: Aggregation, limits: &[f64], parameter: &Expr) -> Result<bool, Failure> {
        let least = limits.iter().copied().fold(f64::INFINITY, f64::min);
        let most = limits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let has_nan = limits.iter().any(|limit| limit.is_nan());
        if op == Aggregation::LimitRatio {
            if has_nan {
                return Err(Failure::Failed("Ratio value is NaN".to_owned()));
            }
            for (worst, capped) in [(most, 1.0), (least, -1.0)] {
                if worst * capped > 1.0 {
                    self.notes.invalid_ratio(worst, capped, parameter.place);
                }
            }
            return Ok(most != 0.0 || least != 0.0);
        }
        if has_nan {
            return Err(Failure::Failed("Parameter value is NaN".to_owned()));
        }
        if most < 1.0 {
            return Ok(false);
        }
        if least <= i64::MIN as f64 {
            return Err(Failure::Failed(format!("Scalar value {least} underflows int64")));
        }
        if most >= i64::MAX as f64 {
            return Err(Failure::Failed(format!("Scalar value {most} overflows int64")));
        }
        Ok(true)
    }
}

/// Leaves in a group what the aggregation picks, in its order.
fn select(op: Aggregation, limit: f64, input: &Block, group: &mut Vec<Ranked>) {
    match op {
        Aggregation::LimitRatio => {
            let ratio = limit.clamp(-1.0, 1.0);
            group.retain(|&(row, _)| is_sampled(ratio, &input.rows[row].labels));
            return;
        }
        Aggregation::TopK => group.sort_by(|a, b| by_rank(a.1, b.1, true)),
        Aggregation::BottomK => group.sort_by(|a, b| by_rank(a.1, b.1, false)),
        _ => {}
    }
    // A limit below zero becomes zero.
    group.truncate(limit as usize);
}

/// NaN comes last, whichever way the numbers are ordered.
pub(crate) fn by_rank(a: f64, b: f64, descending: bool) -> Ordering {
    let order = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
    let order = if descending { order.reverse() } else { order };
    a.is_nan().cmp(&b.is_nan()).then(order)
}

/// Whether a series belongs to a ratio of all. A negative ratio takes what its positive counterpart leaves.
fn is_sampled(ratio: f64, labels: &Labels) -> bool {
    let offset = xxh64(&encoded(labels)) as f64 / u64::MAX as f64;
    if ratio >= 0.0 { offset < ratio } else { offset >= 1.0 + ratio }
}

/// The bytes that Prometheus hashes, so that it and we pick the same series: names and values with their lengths.
fn encoded(labels: &Labels) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in labels.iter().flat_map(|label| [label.name(), label.value()]) {
        match u8::try_from(text.len()) {
            Ok(len) if len < 255 => bytes.push(len),
            _ => {
                bytes.push(255);
                bytes.extend_from_slice(&text.len().to_le_bytes()[..3]);
            }
        }
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}
