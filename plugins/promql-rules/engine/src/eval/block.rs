//! Series with a value or none at each step of a grid.
//!
//! Values stand in one column, the steps of a series side by side. That a series has no value at a step is itself
//! a value: a NaN that no sample has, for markers of ended series never come this far.

use std::rc::Rc;

use super::index::Index;
use crate::labels::{Labels, Subset};
use crate::storage::STALE_MARKER;

/// No value. Compare with [`is_absent`] only.
pub(crate) const ABSENT: f64 = f64::from_bits(STALE_MARKER);

pub(crate) fn is_absent(value: f64) -> bool {
    value.to_bits() == STALE_MARKER
}

/// Any NaN that has the bits of [`ABSENT`] by chance of arithmetic must not be taken for it.
pub(crate) fn present(value: f64) -> f64 {
    if is_absent(value) { f64::NAN } else { value }
}

/// The labels of a series.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) labels: Rc<Labels>,
    /// The name is still there for functions of labels, but the answer drops it.
    pub(crate) drop_name: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Block {
    pub(crate) rows: Vec<Row>,
    pub(crate) values: Vec<f64>,
    pub(crate) steps: usize,
}

/// Two series of a result have the same labels at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SameLabels;

impl Block {
    pub(crate) fn new(steps: usize) -> Self {
        Self { steps, ..Self::default() }
    }

    /// Adds a series without values and gives its values.
    pub(crate) fn add(&mut self, row: Row) -> &mut [f64] {
        let begin = self.values.len();
        self.rows.push(row);
        self.values.resize(begin + self.steps, ABSENT);
        &mut self.values[begin..]
    }

    /// Takes the last series away again when it has no value.
    pub(crate) fn pop_if_absent(&mut self) {
        let begin = self.values.len() - self.steps;
        if self.values[begin..].iter().all(|&value| is_absent(value)) {
            self.values.truncate(begin);
            self.rows.pop();
        }
    }

    pub(crate) fn get(&self, row: usize, step: usize) -> f64 {
        self.values[row * self.steps + step]
    }

    pub(crate) fn set(&mut self, row: usize, step: usize, value: f64) {
        self.values[row * self.steps + step] = value;
    }

    /// The values of a series.
    pub(crate) fn series(&self, row: usize) -> &[f64] {
        &self.values[row * self.steps..(row + 1) * self.steps]
    }

    /// The series that have a value at a step.
    pub(crate) fn at(&self, step: usize) -> impl Iterator<Item = (usize, f64)> {
        (0..self.rows.len())
            .map(move |row| (row, self.get(row, step)))
            .filter(|&(_, value)| !is_absent(value))
    }

    /// How many values there are.
    pub(crate) fn present(&self) -> usize {
        self.values.iter().filter(|&&value| !is_absent(value)).count()
    }

    /// Changes each value that there is. The result is no longer the metric.
    pub(crate) fn map(mut self, function: impl Fn(f64) -> f64) -> Self {
        self.map_steps(|_, value| function(value));
        self.rows.iter_mut().for_each(|row| row.drop_name = true);
        self
    }

    /// Changes each value that there is, by its step.
    pub(crate) fn map_steps(&mut self, function: impl Fn(usize, f64) -> f64) {
        let steps = self.steps.max(1);
        for (index, value) in self.values.iter_mut().enumerate() {
            if !is_absent(*value) {
                *value = function(index % steps, *value);
            }
        }
    }

    /// Leaves out the series without a value.
    pub(crate) fn compact(self) -> Self {
        let keep: Vec<usize> =
            (0..self.rows.len()).filter(|&row| self.series(row).iter().any(|&v| !is_absent(v))).collect();
        if keep.len() == self.rows.len() { self } else { self.pick(&keep) }
    }

    /// These series in this order.
    pub(crate) fn pick(&self, rows: &[usize]) -> Self {
        let mut picked = Self::new(self.steps);
        for &row in rows {
            picked.rows.push(self.rows[row].clone());
            picked.values.extend_from_slice(self.series(row));
        }
        picked
    }

    /// Puts series with the same labels together, which must not both have a value at a step.
    pub(crate) fn merge(self) -> Result<Self, SameLabels> {
        let mut index = Index::new(Subset::All);
        let places: Vec<usize> = self.rows.iter().map(|row| index.ordinal(&row.labels)).collect();
        if index.len() == self.rows.len() {
            return Ok(self);
        }
        let mut output = Output::new(self.steps);
        for (row, known) in self.rows.iter().enumerate() {
            let place = output.row(known.clone());
            for (step, &value) in self.series(row).iter().enumerate().filter(|&(_, &v)| !is_absent(v)) {
                output.set(place, step, value)?;
            }
        }
        debug_assert_eq!(output.block.rows.len(), places.iter().max().map_or(0, |max| max + 1));
        Ok(output.block)
    }
}

/// A block that is filled step by step, with one series for equal labels.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) block: Block,
    index: Index,
}

impl Output {
    pub(crate) fn new(steps: usize) -> Self {
        Self { block: Block::new(steps), index: Index::new(Subset::All) }
    }

    /// The series with these labels.
    pub(crate) fn row(&mut self, row: Row) -> usize {
        let place = self.index.ordinal(&row.labels);
        if place == self.block.rows.len() {
            self.block.add(row);
        }
        place
    }

    pub(crate) fn set(&mut self, row: usize, step: usize, value: f64) -> Result<(), SameLabels> {
        if !is_absent(self.block.get(row, step)) {
            return Err(SameLabels);
        }
        self.block.set(row, step, present(value));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn row(value: &str) -> Row {
        Row { labels: Rc::new(Labels::from_pairs([("a", value)])), drop_name: false }
    }

    #[test]
    fn equal_labels_merge_where_they_do_not_overlap() {
        let mut block = Block::new(2);
        block.add(row("x"))[0] = 1.0;
        block.add(row("y"))[0] = 2.0;
        block.add(row("x"))[1] = 3.0;
        let merged = block.clone().merge().unwrap();
        assert_eq!((merged.rows.len(), merged.series(0)), (2, &[1.0, 3.0][..]));
        block.set(2, 0, 4.0);
        assert_eq!(block.merge().unwrap_err(), SameLabels);
    }

    #[test]
    fn a_nan_is_a_value() {
        let mut block = Block::new(1);
        block.add(row("x"))[0] = f64::NAN;
        block.add(row("y"));
        assert_eq!((block.present(), block.compact().rows.len()), (1, 1));
    }
}
