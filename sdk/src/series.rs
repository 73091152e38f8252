//! The capability `series`: recent samples of the node. Granted by `series = true`, or by a list of
//! selectors that bound what can be seen.

use std::collections::HashMap;

use crate::bindings::imports::picket::plugin::series as wit;
pub use crate::bindings::imports::picket::plugin::series::{MatchOp, Matcher, Request, Wanted};
use crate::types::Label;
use crate::{Error, Result, Timestamp};

/// The bits of the NaN that says that a series ends here, and no value: Prometheus' stale marker. Only samples that were
/// asked for as [`Wanted::Marked`] have it.
pub const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;

/// Series that satisfy every matcher. One at least must not match the empty string.
pub type Selector = Vec<Matcher>;

/// A selector of a metric by its name; add matchers with [`matching`].
pub fn metric(name: &str) -> Selector {
    vec![matching("__name__", MatchOp::Equal, name)]
}

/// One matcher.
pub fn matching(name: &str, op: MatchOp, value: &str) -> Matcher {
    Matcher { name: name.to_owned(), op, value: value.to_owned() }
}

/// What [`select`] found.
#[derive(Debug, Clone)]
pub struct Selection {
    wit: wit::Selection,
}

/// One series of a selection and its samples, by time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row<'a> {
    /// The series: the same until the agent restarts.
    pub id: u64,
    /// When each sample was taken.
    pub times: &'a [Timestamp],
    /// The samples, as many as `times`.
    pub values: &'a [f64],
}

/// The samples of each request: ask for all that is needed in one call.
pub fn select(requests: &[Request]) -> Result<Selection> {
    let mut wit = raw::select(requests).map_err(refused)?;
    for marker in std::mem::take(&mut wit.markers) {
        if let Some(value) = wit.values.get_mut(marker as usize) {
            *value = f64::from_bits(STALE_NAN);
        }
    }
    Ok(Selection { wit })
}

/// Asks for all samples of live series in a window with both ends in it.
pub fn request(matchers: Selector, start: Timestamp, end: Timestamp) -> Request {
    Request { matchers, start, end, wanted: Wanted::OfLive }
}

impl Selection {
    /// The rows of a request, by its index, in the order of their ids.
    pub fn rows(&self, request: usize) -> impl Iterator<Item = Row<'_>> {
        range(&self.wit.row_ends, request).filter_map(|row| {
            let samples = range(&self.wit.sample_ends, row);
            Some(Row {
                id: *self.wit.series.get(row)?,
                times: self.wit.times.get(samples.clone())?,
                values: self.wit.values.get(samples)?,
            })
        })
    }
}

/// From the end of the one before to its own.
fn range(ends: &[u32], index: usize) -> std::ops::Range<usize> {
    let end = |index: usize| ends.get(index).map_or(0, |&end| end as usize);
    let start = index.checked_sub(1).map_or(0, end);
    start..end(index).max(start)
}

/// Labels of series that were asked for before, so that each crosses the boundary once.
#[derive(Debug, Default)]
pub struct LabelCache {
    known: HashMap<u64, Vec<Label>>,
}

/// More series than one plugin looks at; beyond it the cache begins anew.
const CACHED_SERIES: usize = 100_000;
/// Series whose labels are always within the 8 MiB of one answer, however long they are.
const LABELS_AT_ONCE: usize = 24;

/// The labels of series in the order asked, each id once, with a call for each two dozen: for plugins that
/// keep labels in a form of their own. Others have [`LabelCache`].
pub fn labels(series: &[u64]) -> Result<Vec<Vec<Label>>> {
    let mut all = Vec::with_capacity(series.len());
    for part in series.chunks(LABELS_AT_ONCE) {
        all.extend(raw::labels(part).map_err(refused)?);
    }
    Ok(all)
}

impl LabelCache {
    /// Makes sure that the labels of all rows of a selection are known, with a call for each two
    /// dozen that are not.
    pub fn fill(&mut self, selection: &Selection) -> Result<()> {
        if self.known.len() > CACHED_SERIES {
            self.known.clear();
        }
        let mut wanted: Vec<u64> = selection.wit.series.clone();
        wanted.retain(|id| !self.known.contains_key(id));
        wanted.sort_unstable();
        wanted.dedup();
        self.known.extend(wanted.iter().copied().zip(labels(&wanted)?));
        Ok(())
    }

    /// The labels of a series, sorted by name, `__name__` among them. None before
    /// [`fill`](LabelCache::fill).
    pub fn of(&self, series: u64) -> &[Label] {
        self.known.get(&series).map_or(&[], Vec::as_slice)
    }

    /// The value of one label; the empty one when the series does not have it.
    pub fn value(&self, series: u64, name: &str) -> &str {
        self.of(series).iter().find(|label| label.name == name).map_or("", |label| label.value.as_str())
    }
}

fn refused(error: wit::SeriesError) -> Error {
    Error::new(match error {
        wit::SeriesError::BadSelector((index, why)) => format!("selector {index} is refused: {why}"),
        wit::SeriesError::TooManySamples(bound) => format!("the selection holds more than {bound} samples"),
        wit::SeriesError::UnknownSeries(id) => format!("there is no series {id} any more"),
    })
}

#[cfg(target_arch = "wasm32")]
use crate::bindings::imports::picket::plugin::series as raw;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::host::series as raw;
