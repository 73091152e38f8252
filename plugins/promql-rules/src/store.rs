//! The engine's storage: the host's series with what was recorded in this evaluation on top.

use picket_sdk::series::{self, Selection};
use promql_engine::{MatchOp, Request, Series, Storage, StorageError, Wanted};

use crate::labels::LabelCache;
use crate::overlay::Overlay;

/// Nanoseconds in a millisecond.
const MILLISECOND: i64 = 1_000_000;

/// The series of one evaluation.
#[derive(Debug)]
pub(crate) struct Store<'a> {
    pub(crate) labels: &'a mut LabelCache,
    /// None for queries, which stand alone.
    pub(crate) overlay: Option<&'a Overlay>,
}

impl Storage for Store<'_> {
    fn select(&mut self, requests: &[Request]) -> Result<Vec<Vec<Series>>, StorageError> {
        // What lies before 1970 or ends before it begins has no samples, and the host is not asked for it.
        let asked: Vec<usize> =
            (0..requests.len()).filter(|&at| requests[at].end_ms >= requests[at].start_ms.max(0)).collect();
        let host_requests: Vec<series::Request> = asked.iter().map(|&at| to_host(&requests[at])).collect();
        let mut answers: Vec<Vec<Series>> = requests.iter().map(|_| Vec::new()).collect();
        if host_requests.is_empty() {
            return Ok(answers);
        }
        let selection = series::select(&host_requests).map_err(failed)?;
        for (index, &at) in asked.iter().enumerate() {
            self.labels.fill(selection.rows(index).map(|row| row.id)).map_err(failed)?;
            answers[at] = self.rows(&selection, index);
            if let Some(overlay) = self.overlay {
                overlay.apply(&requests[at], &mut answers[at]).map_err(StorageError)?;
            }
        }
        Ok(answers)
    }
}

impl Store<'_> {
    fn rows(&self, selection: &Selection, index: usize) -> Vec<Series> {
        let milliseconds = |time: &u64| i64::try_from(*time).unwrap_or(i64::MAX) / MILLISECOND;
        let series = |row: series::Row<'_>| Series {
            labels: self.labels.of(row.id),
            times: row.times.iter().map(milliseconds).collect(),
            values: row.values.to_vec(),
        };
        selection.rows(index).map(series).collect()
    }
}

fn failed(error: picket_sdk::Error) -> StorageError {
    StorageError(error.to_string())
}

fn to_host(request: &Request) -> series::Request {
    let op = |op: MatchOp| match op {
        MatchOp::Equal => series::MatchOp::Equal,
        MatchOp::NotEqual => series::MatchOp::NotEqual,
        MatchOp::Regex => series::MatchOp::Regex,
        MatchOp::NotRegex => series::MatchOp::NotRegex,
    };
    let matchers = request.matchers.iter();
    series::Request {
        matchers: matchers.map(|m| series::matching(&m.name, op(m.op), &m.value)).collect(),
        start: nanoseconds(request.start_ms),
        end: nanoseconds(request.end_ms),
        wanted: match request.wanted {
            Wanted::Latest => series::Wanted::Latest,
            Wanted::All => series::Wanted::All,
            Wanted::Marked => series::Wanted::Marked,
        },
    }
}

/// Nanoseconds since 1970; what lies before is 1970.
pub(crate) fn nanoseconds(milliseconds: i64) -> u64 {
    u64::try_from(milliseconds.saturating_mul(MILLISECOND)).unwrap_or(0)
}

/// Milliseconds since 1970, rounded down.
pub(crate) fn milliseconds(nanoseconds: u64) -> i64 {
    i64::try_from(nanoseconds).unwrap_or(i64::MAX) / MILLISECOND
}
