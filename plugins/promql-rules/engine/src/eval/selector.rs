//! Instant selectors: the last sample of each series that is not too old.

use super::block::{ABSENT, Block, Row};
use super::grid::Grid;
use super::{Evaluator, Failure};
use crate::ast::{Selector, Shift};
use crate::storage::{STALE_MARKER, Series};

/// What of a sample is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Value,
    /// Its time in Unix seconds.
    Time,
}

impl Evaluator<'_> {
    pub(crate) fn selector(&mut self, selector: &Selector, grid: Grid, part: Part) -> Result<Block, Failure> {
        let slot = self.plan.slots[selector.id];
        self.instant(slot, selector.shift, grid, part)
    }

    /// The last samples of the series of a request at each step.
    pub(crate) fn instant(
        &mut self,
        slot: usize,
        shift: Shift,
        grid: Grid,
        part: Part,
    ) -> Result<Block, Failure> {
        let all = std::rc::Rc::clone(&self.data[slot]);
        self.check_cells(all.len(), grid)?;
        let mut block = Block::new(grid.count);
        for (index, series) in all.iter().enumerate() {
            self.check_deadline(index)?;
            let values = block.add(Row { labels: series.labels.clone(), drop_name: false });
            let mut next = 0;
            for (step, value) in values.iter_mut().enumerate() {
                let time = self.span.shifted(grid.time(step), shift);
                *value = last_before(series, time, self.options.lookback_ms, &mut next, part);
            }
            block.pop_if_absent();
        }
        Ok(block)
    }
}

/// The last sample up to a time. `next` is the first sample behind the one of an earlier or the same time.
fn last_before(series: &Series, time: i64, lookback_ms: i64, next: &mut usize, part: Part) -> f64 {
    while series.times.get(*next).is_some_and(|&sample| sample <= time) {
        *next += 1;
    }
    let Some(last) = next.checked_sub(1) else { return ABSENT };
    let (sample, value) = (series.times[last], series.values[last]);
    if time - sample >= lookback_ms || value.to_bits() == STALE_MARKER {
        return ABSENT;
    }
    match part {
        Part::Value => value,
        Part::Time => sample as f64 / 1_000.0,
    }
}
