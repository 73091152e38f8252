//! The series store as guests see it through the sandbox.

use std::sync::Arc;
use std::time::Instant;

use picket_sandbox::{Label, MatchOp, Selection, SeriesError, SeriesReader, SeriesRequest, Wanted};
use picket_series::{Bounds, Matcher, Op, Request, SelectError, Store};

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
        let requests: Vec<Request> = requests.iter().map(request).collect();
        let bounds = Bounds { max_samples, deadline: Some(deadline) };
        let selected = self.0.select(&requests, bounds).map_err(|error| match error {
            SelectError::BadSelector { selector, reason } => SeriesError::BadSelector(selector, reason),
            SelectError::TooManySamples { max } => SeriesError::TooManySamples(max),
            SelectError::Deadline => SeriesError::Late,
        })?;
        Ok(Selection {
            row_ends: selected.row_ends,
            series: selected.series,
            sample_ends: selected.sample_ends,
            times: selected.times,
            values: selected.values,
        })
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

fn request(request: &SeriesRequest) -> Request {
    Request {
        selector: request.selector.iter().map(matcher).collect(),
        start: request.start,
        end: request.end,
        wanted: match request.wanted {
            Wanted::All => picket_series::Wanted::All,
            Wanted::OfLive => picket_series::Wanted::OfLive,
            Wanted::Latest => picket_series::Wanted::Latest,
        },
    }
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
