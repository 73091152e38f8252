//! One series in memory: its newest samples as chunks, the last of them open. Knows no bound of the whole store.
//!
//! What is in memory is always the end of the series: what is before it may be in segments.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::chunk::{self, Open};
use crate::index::PairIds;

/// What a closed chunk costs beside its bytes: its entry, the counts of the shared bytes, the allocation.
const CLOSED_BYTES: u64 = 80;

/// No sample is known. Appending takes anything then.
pub(crate) const NONE: i64 = i64::MIN;

/// See the module's description.
pub(crate) struct Series {
    /// Never given to another series, also not after a restart.
    pub(crate) id: u64,
    /// Of its labels.
    pub(crate) hash: u64,
    pub(crate) labels: PairIds,
    /// The time of the first sample that is known of.
    pub(crate) begun: i64,
    /// The time of the last sample, in memory or not.
    pub(crate) last: i64,
    /// The bits of its value.
    pub(crate) value: u64,
    /// In which log its labels have been written.
    pub(crate) declared: u32,
    open: Open,
    closed: Vec<Closed>,
}

/// A chunk that does not grow any more.
pub(crate) struct Closed {
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) data: Arc<[u8]>,
    /// The bits of its last value.
    value: u64,
    count: u16,
    /// Whether it is in a segment too.
    pub(crate) written: bool,
}

impl Closed {
    /// The bits of its last value.
    pub(crate) fn last_value(&self) -> u64 {
        self.value
    }

    fn bytes(&self) -> u64 {
        self.data.len() as u64 + CLOSED_BYTES
    }
}

/// What left memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) samples: u64,
    pub(crate) bytes: u64,
}

impl Gone {
    /// What is held less than before.
    fn without(self, held: Self) -> Self {
        Self { samples: self.samples - held.samples, bytes: self.bytes.saturating_sub(held.bytes) }
    }

    fn closed(&mut self, chunk: &Closed) {
        self.samples += u64::from(chunk.count);
        self.bytes += chunk.bytes();
    }
}

impl Series {
    /// Without a sample.
    pub(crate) fn new(id: u64, hash: u64, labels: PairIds) -> Self {
        let (open, closed) = Default::default();
        Self { id, hash, labels, begun: NONE, last: NONE, value: 0, declared: 0, open, closed }
    }

    /// Adds a sample that is later than the last one. Returns how many bytes more it takes now.
    pub(crate) fn push(&mut self, time: i64, value: u64, window: i64) -> i64 {
        debug_assert!(self.last < time);
        let mut grown = 0;
        let full = self.open.count() == chunk::MAX_SAMPLES;
        if full || (self.open.count() > 0 && !same_window(self.open.first(), time, window)) {
            grown += self.close();
        }
        let before = self.open.bytes();
        self.open.push((self.last, self.value), (time, value));
        (self.last, self.value) = (time, value);
        if self.begun == NONE || time < self.begun {
            self.begun = time;
        }
        grown + (self.open.bytes() - before) as i64
    }

    /// Closes the open chunk. Returns how many bytes more it takes now.
    pub(crate) fn close(&mut self) -> i64 {
        if self.open.count() == 0 {
            return 0;
        }
        let open = std::mem::take(&mut self.open);
        let (data, count) = (open.closed(), open.count());
        let closed =
            Closed { first: open.first(), last: self.last, data, value: self.value, count, written: false };
        let grown = closed.bytes() as i64 - open.bytes() as i64;
        self.closed.reserve_exact(1);
        self.closed.push(closed);
        grown
    }

    /// Closes the open chunk if all of its window is before a time. Returns how many bytes more it takes now.
    pub(crate) fn close_before(&mut self, time: i64, window: i64) -> i64 {
        let end = (self.open.first().div_euclid(window) + 1).saturating_mul(window);
        if end <= time { self.close() } else { 0 }
    }

    /// The time of the first sample in memory: at and behind it no segment holds.
    pub(crate) fn memory_from(&self) -> i64 {
        match self.closed.first() {
            Some(chunk) => chunk.first,
            None if self.open.count() > 0 => self.open.first(),
            None => i64::MAX,
        }
    }

    /// The chunks in memory with samples in a stretch of time, both ends included, the open one as a copy.
    pub(crate) fn chunks(&self, start: i64, end: i64) -> Vec<Arc<[u8]>> {
        let inside = |first: i64, last: i64| first <= end && last >= start;
        let closed = self.closed.iter().filter(|chunk| inside(chunk.first, chunk.last));
        let mut chunks: Vec<_> = closed.map(|chunk| Arc::clone(&chunk.data)).collect();
        if self.open.count() > 0 && inside(self.open.first(), self.last) {
            chunks.push(self.open.closed());
        }
        chunks
    }

    /// The chunk in memory with the last sample that is not later than a time.
    pub(crate) fn chunk_at(&self, time: i64) -> Option<Arc<[u8]>> {
        if self.open.count() > 0 && self.open.first() <= time {
            return Some(self.open.closed());
        }
        let chunk = self.closed.iter().rev().find(|chunk| chunk.first <= time)?;
        Some(Arc::clone(&chunk.data))
    }

    /// The closed chunks that are in no segment.
    pub(crate) fn unwritten(&self) -> impl Iterator<Item = &Closed> {
        self.closed.iter().filter(|chunk| !chunk.written)
    }

    /// Whether something in memory is in no segment.
    pub(crate) fn has_unlogged(&self) -> bool {
        self.open.count() > 0 || self.unwritten().next().is_some()
    }

    /// Everything in memory that is in no segment, oldest first.
    pub(crate) fn unlogged(&self) -> Vec<Arc<[u8]>> {
        let mut chunks: Vec<_> = self.unwritten().map(|chunk| Arc::clone(&chunk.data)).collect();
        if self.open.count() > 0 {
            chunks.push(self.open.closed());
        }
        chunks
    }

    /// The closed chunks of a stretch of time are in a segment now.
    pub(crate) fn wrote(&mut self, from: i64, until: i64) {
        let inside = |chunk: &&mut Closed| chunk.first >= from && chunk.last <= until;
        self.closed.iter_mut().filter(inside).for_each(|chunk| chunk.written = true);
    }

    /// Drops the oldest chunks as long as `goes` says so. The open one stays.
    pub(crate) fn drop_oldest(&mut self, goes: impl Fn(&Closed) -> bool) -> Gone {
        let count = self.closed.iter().take_while(|chunk| goes(chunk)).count();
        let mut gone = Gone::default();
        self.closed.drain(..count).for_each(|chunk| gone.closed(&chunk));
        self.closed.shrink_to_fit();
        gone
    }

    /// Makes room for a sample: drops the oldest chunk, or half of the only one.
    pub(crate) fn make_room(&mut self) -> Gone {
        let before = self.held();
        if self.closed.is_empty() {
            let samples = decoded(&self.open.closed());
            self.reopen(&samples[samples.len() / 2..]);
        } else {
            self.closed.remove(0);
        }
        before.without(self.held())
    }

    /// Drops every sample in memory from a time on. The series ends before it, or has none any more.
    pub(crate) fn cut(&mut self, from: i64) -> Gone {
        if self.last < from {
            return Gone::default();
        }
        let before = self.held();
        let earlier = |chunk: &[u8]| {
            let mut samples = decoded(chunk);
            samples.retain(|(time, _)| *time < from);
            samples
        };
        if self.open.count() > 0 {
            let samples = earlier(&self.open.closed());
            self.reopen(&samples);
        }
        while let Some(chunk) = self.closed.pop_if(|chunk| chunk.last >= from) {
            self.reopen(&earlier(&chunk.data));
        }
        let newest = if self.open.count() > 0 {
            decoded(&self.open.closed()).pop()
        } else {
            self.closed.last().and_then(|chunk| decoded(&chunk.data).pop())
        };
        (self.last, self.value) = newest.unwrap_or((NONE, 0));
        before.without(self.held())
    }

    /// Replaces the open chunk by one with these samples.
    fn reopen(&mut self, samples: &[(i64, u64)]) {
        self.open = Open::default();
        let mut last = (0, 0);
        for sample in samples {
            self.open.push(last, *sample);
            last = *sample;
        }
    }

    /// All in memory.
    pub(crate) fn held(&self) -> Gone {
        let mut held = Gone { samples: u64::from(self.open.count()), bytes: self.open.bytes() };
        self.closed.iter().for_each(|chunk| held.closed(chunk));
        held
    }
}

/// Whether two times are in one window.
pub(crate) fn same_window(one: i64, other: i64, window: i64) -> bool {
    one.div_euclid(window) == other.div_euclid(window)
}

/// All samples of a chunk that was made in memory.
fn decoded(chunk: &[u8]) -> Vec<(i64, u64)> {
    let mut samples = Vec::new();
    // What was made here can be read; if it could not, its beginning would be kept.
    let _ = chunk::decode(chunk, |time, value| {
        samples.push((time, value.to_bits()));
        ControlFlow::Continue(())
    });
    samples
}
