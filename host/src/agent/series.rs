//! The series store as guests see it through the sandbox.

use std::sync::Arc;
use std::time::Instant;

use picket_sandbox::{Label, MatchOp, Selection, SeriesError, SeriesReader, SeriesRequest, Wanted};
use picket_series::{Bounds, Matcher, Op, SelectError, Store, Window};

/// Lets guests read the store.
pub struct StoreReader(
    /// The store.
    pub Arc<Store>,
);

impl SeriesReader for StoreReader {
    fn select(
        &self,
        requests: &[SeriesRequest],
        max_samples: u64,
        deadline: Instant,
    ) -> Result<Selection, SeriesError> {
        let mut joined = Selection::default();
        for (index, request) in (0..).zip(requests) {
            let left = max_samples.saturating_sub(joined.times.len() as u64);
            let found = self.one(request, left, deadline).map_err(|error| match error {
                SelectError::BadSelector { reason, .. } => SeriesError::BadSelector(index, reason),
                SelectError::TooManySamples { .. } => SeriesError::TooManySamples(max_samples),
                SelectError::Deadline => SeriesError::Late,
            })?;
            add(&mut joined, &found, request.wanted);
        }
        Ok(joined)
    }

    fn labels(&self, series: &[u64]) -> Result<Vec<Vec<Label>>, SeriesError> {
        let labels = self.0.labels(series).map_err(|unknown| SeriesError::UnknownSeries(unknown.0))?;
        let label = |label: &picket_series::Label| Label {
            name: label.name.to_string(),
            value: label.value.to_string(),
        };
        Ok(labels.iter().map(|labels| labels.iter().map(label).collect()).collect())
    }
}

impl StoreReader {
    fn one(
        &self,
        request: &SeriesRequest,
        max_samples: u64,
        deadline: Instant,
    ) -> Result<picket_series::Selection, SelectError> {
        let selector: Vec<Matcher> = request.selector.iter().map(matcher).collect();
        let bounds = Bounds { max_samples, deadline: Some(deadline) };
        let window = Window { after: request.start.saturating_sub(1), to: request.end };
        self.0.select(&[selector], window, bounds)
    }
}

fn add(joined: &mut Selection, found: &picket_series::Selection, wanted: Wanted) {
    let mut first = 0;
    for (series, end) in found.series.iter().zip(&found.sample_ends) {
        let end = *end as usize;
        let from = if wanted == Wanted::Latest { end.saturating_sub(1) } else { first };
        joined.times.extend_from_slice(&found.times[from..end]);
        joined.values.extend_from_slice(&found.values[from..end]);
        joined.series.push(*series);
        joined.sample_ends.push(joined.times.len() as u32);
        first = end;
    }
    joined.row_ends.push(joined.series.len() as u32);
}

fn matcher(matcher: &picket_sandbox::Matcher) -> Matcher {
    let op = match matcher.op {
        MatchOp::Equal => Op::Equal,
        MatchOp::NotEqual => Op::NotEqual,
        MatchOp::Regex => Op::Regex,
        MatchOp::NotRegex => Op::NotRegex,
    };
    Matcher { name: matcher.name.clone(), op, value: matcher.value.clone() }
}
