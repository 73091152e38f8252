//! Answering a selection: which series, which chunks, which samples.
//!
//! Under the lock only what memory has is looked up and taken along; chunks are decoded, and segments read, outside of
//! it. A request for the latest samples is mostly answered from what each series knows of its last one.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use crate::bounds::{Bounds, Watch};
use crate::chunk::{self, Damaged};
use crate::config::to_ns;
use crate::error::SelectError;
use crate::matcher::{Selector, Test};
use crate::memory::Memory;
use crate::resolve::resolve;
use crate::segment::{Block, Segments, Unreadable};
use crate::series::{NONE, Series};

/// Series whose chunks are taken along at once: some megabytes at most.
const SLICE: usize = 1024;

/// Which samples of a series in the stretch of time are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// Each one.
    All,
    /// Each one, but none of a series that has ended: whose last sample in the stretch is a stale marker.
    OfLive,
    /// The last one only; none when that is a stale marker.
    Latest,
}

/// One question of a selection. Times are Unix time in nanoseconds, both inclusive; like the times of samples they are
/// rounded down to milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Of which series.
    pub selector: Selector,
    /// From when on.
    pub start: u64,
    /// Until when.
    pub end: u64,
    /// Which of their samples.
    pub wanted: Wanted,
}

/// Samples as flat columns.
///
/// Row `r` is a series; its samples are `times` and `values` from `sample_ends[r - 1]` to
/// `sample_ends[r]`, by time. Request `q` has the rows from `row_ends[q - 1]` to `row_ends[q]`,
/// by series id. A series without a sample to give has no row; stale markers are never given.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Selection {
    /// Where each request's rows end.
    pub row_ends: Vec<u32>,
    /// The id of each row's series.
    pub series: Vec<u64>,
    /// Where each row's samples end.
    pub sample_ends: Vec<u32>,
    /// Unix times in nanoseconds.
    pub times: Vec<u64>,
    /// One for each time.
    pub values: Vec<f64>,
}

/// What a request is about, in milliseconds.
#[derive(Clone, Copy)]
struct Span {
    start: i64,
    end: i64,
    wanted: Wanted,
}

/// What is known of a series after a look under the lock.
enum Found {
    /// The latest sample.
    Latest(i64, f64),
    /// Chunks in memory. Before `from` samples may be in segments.
    Chunks { chunks: Vec<Arc<[u8]>>, from: i64 },
}

/// A selection that is being made.
pub(crate) struct Select<'a> {
    pub(crate) memory: &'a Memory,
    /// Earlier samples are not selected any more, in milliseconds.
    pub(crate) horizon: i64,
    pub(crate) bounds: Bounds,
    pub(crate) watch: Watch,
    pub(crate) answer: Selection,
    pub(crate) block: Block,
}

impl Select<'_> {
    /// Adds the answer to one request.
    pub(crate) fn request(
        &mut self,
        tests: &[Test<'_>],
        times: Range<i64>,
        wanted: Wanted,
    ) -> Result<(), SelectError> {
        let span = Span { start: times.start.max(self.horizon.saturating_add(1)), end: times.end, wanted };
        if span.start <= span.end {
            let mut found = Vec::new();
            let (ids, segments) = {
                let inner = self.memory.read();
                let labels = |place: u32| &*inner.series[place as usize].labels;
                let places = resolve(&inner.index, tests, labels, &mut self.watch)?;
                let of = |place: &u32| &inner.series[*place as usize];
                found.extend(places.iter().take(SLICE).filter_map(|place| look(of(place), span)));
                let later = places.iter().skip(SLICE).map(|place| of(place).id);
                (later.collect::<Vec<u64>>(), Arc::clone(&inner.segments))
            };
            self.take(&mut found, span, &segments)?;
            for slice in ids.chunks(SLICE) {
                {
                    let inner = self.memory.read();
                    let series =
                        slice.iter().filter_map(|id| inner.place(*id)).map(|place| &inner.series[place]);
                    found.extend(series.filter_map(|series| look(series, span)));
                }
                self.take(&mut found, span, &segments)?;
            }
        }
        self.answer.row_ends.push(column_end(self.answer.series.len()));
        Ok(())
    }

    fn take(
        &mut self,
        found: &mut Vec<(u64, Found)>,
        span: Span,
        segments: &Segments,
    ) -> Result<(), SelectError> {
        for (id, found) in found.drain(..) {
            self.watch.look()?;
            match found {
                Found::Latest(time, value) => self.push(time, value)?,
                Found::Chunks { chunks, from } => self.samples(id, &chunks, from, span, segments)?,
            }
            let end = column_end(self.answer.times.len());
            if self.answer.sample_ends.last().copied().unwrap_or(0) < end {
                self.answer.series.push(id);
                self.answer.sample_ends.push(end);
            }
        }
        Ok(())
    }

    fn samples(
        &mut self,
        id: u64,
        chunks: &[Arc<[u8]>],
        from: i64,
        span: Span,
        segments: &Segments,
    ) -> Result<(), SelectError> {
        let before = self.answer.times.len();
        let mut last = None;
        // Latest looks into segments only when memory has nothing.
        if from > span.start && (span.wanted != Wanted::Latest || chunks.is_empty()) {
            let (mut parts, mut until) = (Vec::new(), from.min(span.end.saturating_add(1)));
            for segment in segments.about(span.start, span.end) {
                self.watch.look()?;
                let read = segment.find(id, &mut self.block).map_err(Unreadable::from);
                let run =
                    read.and_then(|entry| entry.map(|entry| Ok((entry, segment.run(&entry)?))).transpose());
                match run {
                    Ok(Some((entry, run))) => {
                        parts.push((run, until));
                        until = until.min(entry.first);
                    }
                    Ok(None) => {}
                    Err(_) => self.memory.metrics.damaged_chunk(),
                }
                if until <= span.start {
                    break;
                }
            }
            for (run, until) in parts.iter().rev() {
                let whole = self.part(span, *until, &mut last, |decode| run.each(decode));
                self.whole(whole)?;
            }
        }
        for data in chunks {
            self.watch.look()?;
            let whole = self.part(span, i64::MAX, &mut last, |decode| decode(data));
            self.whole(whole)?;
        }
        let ended = last.is_some_and(|(_, value)| is_marker(value));
        match (span.wanted, last) {
            (Wanted::Latest, Some((time, value))) if !ended => self.push(time, value),
            (Wanted::OfLive, _) if ended => {
                self.answer.times.truncate(before);
                self.answer.values.truncate(before);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Decodes chunks: samples of the span that are before `until`. Says whether the chunks were whole.
    fn part(
        &mut self,
        span: Span,
        until: i64,
        last: &mut Option<(i64, f64)>,
        each: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<(), Damaged>) -> Result<(), Damaged>,
    ) -> Result<Result<(), Damaged>, SelectError> {
        let mut refused = Ok(());
        let end = span.end.min(until.saturating_sub(1));
        let mut sample = |time: i64, value: f64| {
            if time > end {
                return ControlFlow::Break(());
            }
            // A damage that the checksum did not find must not make times fall.
            if time < span.start || last.is_some_and(|(last, _)| last >= time) {
                return ControlFlow::Continue(());
            }
            *last = Some((time, value));
            if span.wanted != Wanted::Latest && !is_marker(value) {
                refused = self.push(time, value);
            }
            if refused.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let whole = each(&mut |data| chunk::decode(data, &mut sample));
        refused.map(|()| whole)
    }

    fn whole(&self, part: Result<Result<(), Damaged>, SelectError>) -> Result<(), SelectError> {
        if part?.is_err() {
            self.memory.metrics.damaged_chunk();
        }
        Ok(())
    }

    fn push(&mut self, time: i64, value: f64) -> Result<(), SelectError> {
        if self.answer.times.len() as u64 >= self.bounds.max_samples {
            return Err(SelectError::TooManySamples { max: self.bounds.max_samples });
        }
        self.answer.times.push(to_ns(time));
        self.answer.values.push(value);
        Ok(())
    }
}

/// What a series has in a stretch of time.
fn look(series: &Series, span: Span) -> Option<(u64, Found)> {
    let Span { start, end, wanted } = span;
    if series.last == NONE || series.last < start || series.begun > end {
        return None;
    }
    let value = f64::from_bits(series.value);
    let found = if wanted == Wanted::Latest && series.last <= end {
        if is_marker(value) {
            return None;
        }
        Found::Latest(series.last, value)
    } else if wanted == Wanted::Latest {
        Found::Chunks { chunks: series.chunk_at(end).into_iter().collect(), from: series.memory_from() }
    } else if wanted == Wanted::OfLive && series.last <= end && is_marker(value) {
        return None;
    } else {
        Found::Chunks { chunks: series.chunks(start, end), from: series.memory_from() }
    };
    Some((series.id, found))
}

/// Whether a value is none, but says that the series ended.
fn is_marker(value: f64) -> bool {
    value.to_bits() == picket_model::STALE_NAN
}

fn column_end(length: usize) -> u32 {
    u32::try_from(length).expect("a selection is bounded by u32::MAX samples, and no row is empty")
}
