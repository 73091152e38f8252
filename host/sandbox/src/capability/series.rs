//! Capability `series`: recent samples of the node.
//!
//! A grant may bound what a plugin sees by selectors: then every selector of the guest is asked
//! once for each of them with the matchers of both, and labels are told only of series that such
//! an answer named.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::{HasSelf, Linker};

use super::HostState;
use crate::accounts::Counters;
use crate::bindings::{series, types};
use crate::call::Deadline;
use crate::error::Violation;
use crate::{Label, SeriesGrant};

/// Requests of one call: a rule group may ask for those of all its rules at once.
const MAX_REQUESTS: usize = 4096;
/// Matchers of one selector.
const MAX_MATCHERS: usize = 64;
/// Bytes of a matcher's name or value: as many as an expression may have and the store takes, or a rule that was checked
/// could not be evaluated.
const MAX_MATCHER_BYTES: usize = 64 << 10;
/// Series of one `labels` call.
const MAX_LABELS: usize = 100_000;
/// Bytes of one `labels` answer, with what each label and row takes besides its text: some thousand
/// series of a usual node. More are asked for in several calls, so that no call makes the agent hold
/// the labels of a whole store.
const MAX_LABEL_BYTES: usize = 8 << 20;
/// Series that the reader is asked for at once. The largest that a store takes have 64 labels of 4352
/// bytes, so that what is read before it is counted stays below the bound of an answer.
const LABELS_AT_ONCE: usize = 16;
/// Series that an instance with a bounded grant is remembered to have seen.
const MAX_SEEN: usize = 1_000_000;

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// The label has this value; an absent label has the empty one.
    Equal,
    /// It has another value.
    NotEqual,
    /// The whole value matches the regular expression.
    Regex,
    /// It does not.
    NotRegex,
}

/// A condition on one label.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Matcher {
    /// The label's name; `__name__` is the metric's name.
    pub name: String,
    /// The comparison.
    pub op: MatchOp,
    /// What is compared with.
    pub value: String,
}

/// Series that satisfy every matcher.
pub type Selector = Vec<Matcher>;

/// The bits of a stale marker, as Prometheus has it: the NaN that says that a series ends here.
pub const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;

/// Which samples of a series are wanted. Stale markers are only in [`Wanted::Marked`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// Each one in the window.
    All,
    /// Each one in the window, but none of a series that has ended by the window's end.
    OfLive,
    /// The last one in the window; none when the series has ended by the window's end.
    Latest,
    /// Each one in the window, and the stale markers among them.
    Marked,
}

/// Series, and a window of time with both ends in it, as Unix time in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SeriesRequest {
    /// One matcher at least must not match the empty string.
    pub selector: Selector,
    /// Not earlier than this.
    pub start: u64,
    /// Not later than this.
    pub end: u64,
    /// Which samples of each.
    pub wanted: Wanted,
}

/// Samples as flat columns: see `selection` in `wit/capabilities.wit`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selection {
    /// Where each request's rows end.
    pub row_ends: Vec<u32>,
    /// The series of each row.
    pub series: Vec<u64>,
    /// Where each row's samples end.
    pub sample_ends: Vec<u32>,
    /// Unix time in nanoseconds of each sample.
    pub times: Vec<u64>,
    /// The value of each sample; a stale marker has the bits of [`STALE_NAN`].
    pub values: Vec<f64>,
}

/// Why the store has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeriesError {
    /// Which request, counted from 0, and what is wrong with its selector.
    #[error("selector {0}: {1}")]
    BadSelector(u32, String),
    /// More samples than asked for at most; the number is that bound.
    #[error("more than {0} samples")]
    TooManySamples(u64),
    /// No series has this id.
    #[error("there is no series {0}")]
    UnknownSeries(u64),
    /// The deadline passed before there was an answer.
    #[error("the deadline has passed")]
    Late,
}

/// The store of the node's samples.
pub trait SeriesReader: Send + Sync {
    /// The samples of each request, at most `max_samples` in all, by `deadline`.
    fn select(
        &self,
        requests: &[SeriesRequest],
        max_samples: u64,
        deadline: Instant,
    ) -> Result<Selection, SeriesError>;

    /// The labels of series, sorted by name, in the order asked.
    fn labels(&self, series: &[u64]) -> Result<Vec<Vec<Label>>, SeriesError>;
}

/// An instance's view of the store.
pub(crate) struct SeriesContext {
    reader: Option<Arc<dyn SeriesReader>>,
    grant: SeriesGrant,
    max_samples: u64,
    deadline: Deadline,
    counters: Arc<Counters>,
    /// The series that answers named, if the grant is bounded.
    seen: HashSet<u64>,
}

impl SeriesContext {
    pub(crate) fn new(
        reader: Option<Arc<dyn SeriesReader>>,
        grant: SeriesGrant,
        max_samples: u64,
        deadline: Deadline,
        counters: Arc<Counters>,
    ) -> Self {
        Self { reader, grant, max_samples, deadline, counters, seen: HashSet::new() }
    }

    fn select_granted(
        &mut self,
        reader: &dyn SeriesReader,
        requests: Vec<SeriesRequest>,
    ) -> Result<Selection, SeriesError> {
        let (max, deadline) = (self.max_samples, self.deadline.at());
        let SeriesGrant::Matching(bounds) = &self.grant else {
            return reader.select(&requests, max, deadline);
        };
        if bounds.is_empty() {
            let row_ends = vec![0; requests.len()];
            return Ok(Selection { row_ends, ..Selection::default() });
        }
        let both = |request: &SeriesRequest, bound: &Selector| {
            let selector = [request.selector.as_slice(), bound].concat();
            SeriesRequest { selector, ..request.clone() }
        };
        let bounded: Vec<_> =
            requests.iter().flat_map(|request| bounds.iter().map(|bound| both(request, bound))).collect();
        let parts = bounds.len();
        let found = reader.select(&bounded, max, deadline).map_err(|error| match error {
            SeriesError::BadSelector(index, words) => SeriesError::BadSelector(index / parts as u32, words),
            error => error,
        })?;
        let joined = join(&found, parts);
        if self.seen.len() > MAX_SEEN {
            self.seen.clear();
        }
        self.seen.extend(&joined.series);
        Ok(joined)
    }

    fn labels_granted(
        &self,
        reader: &dyn SeriesReader,
        series: &[u64],
    ) -> wasmtime::Result<Result<Vec<LabelRow>, SeriesError>> {
        if let (SeriesGrant::Matching(_), Some(unseen)) =
            (&self.grant, series.iter().find(|id| !self.seen.contains(id)))
        {
            return Ok(Err(SeriesError::UnknownSeries(*unseen)));
        }
        let mut rows = Vec::with_capacity(series.len());
        let mut left = MAX_LABEL_BYTES;
        for part in series.chunks(LABELS_AT_ONCE) {
            self.deadline.check()?;
            let found = match reader.labels(part) {
                Ok(found) => found,
                Err(error) => return Ok(Err(error)),
            };
            for row in found {
                left = left.checked_sub(row_bytes(&row)).ok_or_else(|| {
                    misuse("`labels` was asked for more than 8 MiB: ask for fewer series at once")
                })?;
                rows.push(lowered_row(row));
            }
        }
        Ok(Ok(rows))
    }
}

/// A series' labels as the guest gets them.
type LabelRow = Vec<types::LabelResult>;

/// What a row takes in memory.
fn row_bytes(row: &[Label]) -> usize {
    let label = |label: &Label| size_of::<Label>() + label.name.len() + label.value.len();
    size_of::<LabelRow>() + row.iter().map(label).sum::<usize>()
}

fn lowered_row(row: Vec<Label>) -> LabelRow {
    row.into_iter().map(|label| types::LabelResult { name: label.name, value: label.value }).collect()
}

fn has_repeated(series: &[u64]) -> bool {
    let mut sorted = series.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}

fn misuse(what: &'static str) -> wasmtime::Error {
    wasmtime::Error::new(Violation::Misuse(what))
}

/// Makes one request of each `parts` that follow each other: their rows by series id, each once.
fn join(found: &Selection, parts: usize) -> Selection {
    let mut joined = Selection::default();
    let mut first = 0;
    for ends in found.row_ends.chunks(parts) {
        let end = ends.last().map_or(first, |end| *end as usize);
        let mut rows: Vec<usize> = (first..end).collect();
        rows.sort_by_key(|row| found.series[*row]);
        rows.dedup_by_key(|row| found.series[*row]);
        for row in rows {
            let start = row.checked_sub(1).map_or(0, |before| found.sample_ends[before] as usize);
            let end = found.sample_ends[row] as usize;
            joined.times.extend_from_slice(&found.times[start..end]);
            joined.values.extend_from_slice(&found.values[start..end]);
            joined.series.push(found.series[row]);
            joined.sample_ends.push(joined.times.len() as u32);
        }
        joined.row_ends.push(joined.series.len() as u32);
        first = end;
    }
    joined
}

fn checked(requests: Vec<series::Request>) -> Result<Vec<SeriesRequest>, SeriesError> {
    if requests.len() > MAX_REQUESTS {
        let words = format!("{} selectors, at most {MAX_REQUESTS} at a time", requests.len());
        return Err(SeriesError::BadSelector(MAX_REQUESTS as u32, words));
    }
    let matcher = |matcher: series::Matcher| Matcher {
        name: matcher.name,
        op: match matcher.op {
            series::MatchOp::Equal => MatchOp::Equal,
            series::MatchOp::NotEqual => MatchOp::NotEqual,
            series::MatchOp::Regex => MatchOp::Regex,
            series::MatchOp::NotRegex => MatchOp::NotRegex,
        },
        value: matcher.value,
    };
    for (index, request) in (0..).zip(&requests) {
        let selector = &request.matchers;
        let bad = |words: String| Err(SeriesError::BadSelector(index, words));
        if selector.len() > MAX_MATCHERS {
            return bad(format!("{} matchers, at most {MAX_MATCHERS}", selector.len()));
        }
        if selector.iter().any(|it| it.name.len().max(it.value.len()) > MAX_MATCHER_BYTES) {
            return bad(format!("a matcher's name or value is longer than {MAX_MATCHER_BYTES} bytes"));
        }
    }
    let wanted = |wanted| match wanted {
        series::Wanted::All => Wanted::All,
        series::Wanted::OfLive => Wanted::OfLive,
        series::Wanted::Latest => Wanted::Latest,
        series::Wanted::Marked => Wanted::Marked,
    };
    let request = |request: series::Request| SeriesRequest {
        selector: request.matchers.into_iter().map(matcher).collect(),
        start: request.start,
        end: request.end,
        wanted: wanted(request.wanted),
    };
    Ok(requests.into_iter().map(request).collect())
}

/// An error that the guest sees, or the end of it when time is up.
fn told(error: SeriesError) -> wasmtime::Result<series::SeriesError> {
    Ok(match error {
        SeriesError::BadSelector(index, words) => series::SeriesError::BadSelector((index, words)),
        SeriesError::TooManySamples(bound) => series::SeriesError::TooManySamples(bound),
        SeriesError::UnknownSeries(id) => series::SeriesError::UnknownSeries(id),
        SeriesError::Late => return Err(wasmtime::Error::new(Violation::Deadline)),
    })
}

impl series::Host for SeriesContext {
    fn select(
        &mut self,
        requests: Vec<series::Request>,
    ) -> wasmtime::Result<Result<series::Selection, series::SeriesError>> {
        self.deadline.check()?;
        let Some(reader) = self.reader.clone() else {
            // Without a store there are no series: every request matches none.
            let row_ends = vec![0; requests.len().min(MAX_REQUESTS)];
            return Ok(Ok(lowered(Selection { row_ends, ..Selection::default() })));
        };
        let found = checked(requests).and_then(|requests| self.select_granted(reader.as_ref(), requests));
        self.deadline.check()?;
        let found = found.and_then(|found| match found.times.len() as u64 > self.max_samples {
            true => Err(SeriesError::TooManySamples(self.max_samples)),
            false => Ok(found),
        });
        if matches!(found, Err(SeriesError::TooManySamples(_))) {
            Counters::add(&self.counters.series_refused, 1);
        }
        match found {
            Ok(found) => Ok(Ok(lowered(found))),
            Err(error) => told(error).map(Err),
        }
    }

    fn labels(
        &mut self,
        series: Vec<u64>,
    ) -> wasmtime::Result<Result<Vec<Vec<types::LabelResult>>, series::SeriesError>> {
        self.deadline.check()?;
        if series.len() > MAX_LABELS {
            return Err(misuse("`labels` was asked for over 100,000 series"));
        }
        if has_repeated(&series) {
            return Err(misuse("`labels` was asked for a series twice: ask once for each id"));
        }
        let found = match (&self.reader, series.first()) {
            (_, None) => Ok(Vec::new()),
            (None, Some(id)) => Err(SeriesError::UnknownSeries(*id)),
            (Some(reader), Some(_)) => self.labels_granted(reader.as_ref(), &series)?,
        };
        self.deadline.check()?;
        match found {
            Ok(rows) => Ok(Ok(rows)),
            Err(error) => told(error).map(Err),
        }
    }
}

fn lowered(found: Selection) -> series::Selection {
    let is_marker = |value: &f64| value.to_bits() == STALE_NAN;
    let markers = (0..).zip(&found.values).filter(|(_, value)| is_marker(value)).map(|(index, _)| index);
    series::Selection {
        markers: markers.collect(),
        row_ends: found.row_ends,
        series: found.series,
        sample_ends: found.sample_ends,
        times: found.times,
        values: found.values,
    }
}

pub(crate) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    series::add_to_linker::<_, HasSelf<SeriesContext>>(linker, |host| &mut host.series)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    /// Every series has one label of so many bytes, and takes its time to say so.
    #[derive(Default)]
    struct Wide {
        bytes: usize,
        takes: Duration,
        told: AtomicUsize,
        most_at_once: AtomicUsize,
    }

    impl SeriesReader for Wide {
        fn select(
            &self,
            _requests: &[SeriesRequest],
            _max_samples: u64,
            _deadline: Instant,
        ) -> Result<Selection, SeriesError> {
            Ok(Selection::default())
        }

        fn labels(&self, series: &[u64]) -> Result<Vec<Vec<Label>>, SeriesError> {
            std::thread::sleep(self.takes);
            self.told.fetch_add(series.len(), Ordering::Relaxed);
            self.most_at_once.fetch_max(series.len(), Ordering::Relaxed);
            let label =
                |id: &u64| Label { name: "id".into(), value: format!("{id}{}", "x".repeat(self.bytes)) };
            Ok(series.iter().map(|id| vec![label(id)]).collect())
        }
    }

    fn ask(reader: &Arc<Wide>, limit: Duration, series: Vec<u64>) -> Result<Vec<String>, String> {
        let deadline = Deadline::default();
        deadline.set(limit);
        let mut context =
            SeriesContext::new(Some(reader.clone()), SeriesGrant::All, 1, deadline, Arc::default());
        let rows = series::Host::labels(&mut context, series).map_err(|error| error.to_string())?;
        let value = |row: LabelRow| row.into_iter().map(|label| label.value).collect();
        rows.map(|rows| rows.into_iter().map(value).collect()).map_err(|error| format!("{error:?}"))
    }

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn labels_come_in_the_order_asked_though_the_reader_is_asked_by_parts() {
        let reader = Arc::<Wide>::default();
        let ids: Vec<u64> = (0..100).rev().collect();
        let expected: Vec<String> = ids.iter().map(u64::to_string).collect();
        assert_eq!(ask(&reader, LONG, ids), Ok(expected));
        assert_eq!(reader.most_at_once.load(Ordering::Relaxed), LABELS_AT_ONCE);
    }

    #[test]
    fn an_answer_of_too_many_bytes_is_not_gathered() {
        let reader = Arc::new(Wide { bytes: 1 << 20, ..Wide::default() });
        assert_eq!(ask(&reader, LONG, (0..7).collect()).map(|rows| rows.len()), Ok(7));
        reader.told.store(0, Ordering::Relaxed);
        let error = ask(&reader, LONG, (0..1000).collect()).unwrap_err();
        assert!(error.contains("more than 8 MiB"), "{error}");
        assert_eq!(reader.told.load(Ordering::Relaxed), LABELS_AT_ONCE, "the rest was not asked for");
    }

    #[test]
    fn a_series_is_asked_for_once() {
        let reader = Arc::<Wide>::default();
        let error = ask(&reader, LONG, vec![1, 2, 1]).unwrap_err();
        assert!(error.contains("twice"), "{error}");
        assert_eq!(reader.told.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_deadline_holds_between_two_parts() {
        let takes = Duration::from_millis(50);
        let reader = Arc::new(Wide { bytes: 1, takes, ..Wide::default() });
        assert!(ask(&reader, takes, (0..1000).collect()).is_err());
        assert_eq!(reader.told.load(Ordering::Relaxed), LABELS_AT_ONCE);
    }
}
