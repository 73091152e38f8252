//! Which segments there are, how much of each counts, and what times they cover. It is small and
//! is stored as a whole with each batch.

use serde::{Deserialize, Serialize};

use super::config::Config;
use super::segment::{HEADER_BYTES, Records};
use crate::model::{Frame, FrameKind};

/// Segments by rising number; the last one is written to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Index {
    pub(super) segments: Vec<Segment>,
    /// Numbers up to here were given.
    pub(super) last_number: u64,
}

/// What is known of a segment. Times are Unix times in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Segment {
    pub(super) number: u64,
    /// Up to here it is whole; what stands behind was never accepted.
    pub(super) length: u64,
    /// When it was begun and last written to.
    pub(super) begun: u64,
    pub(super) written: u64,
    /// The least and the greatest time of its frames.
    pub(super) oldest: u64,
    pub(super) newest: u64,
    /// Where its retractions stand. Last, and empty in an index that is older than them.
    #[serde(default)]
    pub(super) retractions: Vec<u64>,
}

impl Segment {
    pub(super) fn new(number: u64, now: u64) -> Self {
        let retractions = Vec::new();
        Self {
            number,
            length: HEADER_BYTES,
            begun: now,
            written: now,
            oldest: u64::MAX,
            newest: 0,
            retractions,
        }
    }

    /// A frame stands in it now, in a record that begins at an offset.
    pub(super) fn add(&mut self, offset: u64, frame: &Frame) {
        if frame.kind() == FrameKind::Retraction {
            self.retractions.push(offset);
        }
        self.oldest = self.oldest.min(frame.time());
        self.newest = self.newest.max(frame.time());
    }

    /// Of a file that no index knows: reads it up to its first damage.
    pub(super) fn scan(path: &std::path::Path, number: u64) -> std::io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        let written =
            metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let written = written.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        let mut segment = Self::new(number, written);
        if let Ok(mut records) = Records::open(path, metadata.len()) {
            while let Ok(Some(record)) = records.next() {
                segment.length = record.end;
                segment.add(record.offset, &record.frame);
            }
        }
        Ok(segment)
    }
}

/// Why a segment leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    Age,
    Bytes,
}

impl Bound {
    /// For the metrics' label `bound`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Bytes => "bytes",
        }
    }
}

impl Index {
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.length).sum()
    }

    pub(super) fn has(&self, number: u64) -> bool {
        self.segments.binary_search_by_key(&number, |segment| segment.number).is_ok()
    }

    /// Whether the next batch needs a new segment.
    pub(super) fn is_full(&self, config: &Config, now: u64) -> bool {
        self.segments.last().is_none_or(|last| {
            last.length >= config.segment_bytes() || now.saturating_sub(last.begun) > config.segment_age()
        })
    }

    /// Takes out the segments that have to go. The one that is written to goes by age only.
    pub(super) fn expire(&mut self, config: &Config, now: u64) -> Vec<(Segment, Bound)> {
        let max_age = config.max_age.as_nanos();
        let mut gone = Vec::new();
        let is_old = |segment: &mut Segment| now.saturating_sub(segment.written) > max_age;
        gone.extend(self.segments.extract_if(.., is_old).map(|segment| (segment, Bound::Age)));
        let mut bytes = self.bytes();
        while bytes > config.bytes() && self.segments.len() > 1 {
            let segment = self.segments.remove(0);
            bytes -= segment.length;
            gone.push((segment, Bound::Bytes));
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::model::{ByteSize, Span};

    const SECOND: u64 = 1_000_000_000;

    /// Segments as `(bytes in KiB, last written in seconds)`; the clock stands at 1000 s.
    fn check(segments: &[(u64, u64)], expected: &[(u64, Bound)]) {
        let config = Config { max_age: Span::seconds(100), max_bytes: ByteSize(1 << 20) };
        let mut index = Index::default();
        for (number, (kib, written)) in segments.iter().enumerate() {
            let segment = Segment::new(number as u64, written * SECOND);
            index.segments.push(Segment { length: kib << 10, ..segment });
        }
        let gone = index.expire(&config, 1000 * SECOND);
        let gone: Vec<_> = gone.into_iter().map(|(segment, bound)| (segment.number, bound)).collect();
        assert_eq!(gone, expected, "{segments:?}");
    }

    #[test]
    fn an_index_from_before_retractions_is_read() {
        // Structs are packed as lists.
        let old = (vec![(7_u64, 100_u64, 1_u64, 2_u64, 3_u64, 4_u64)], 7_u64);
        let index: Index = rmp_serde::from_slice(&rmp_serde::to_vec(&old).unwrap()).unwrap();
        assert_eq!(
            index.segments[0],
            Segment { length: 100, written: 2, oldest: 3, newest: 4, ..Segment::new(7, 1) }
        );
        assert_eq!(index.last_number, 7);
    }

    #[test]
    fn segments_go_by_age_and_by_bytes() {
        check(&[(1, 950), (1, 1000)], &[]);
        check(&[(1, 899), (1, 900), (1, 1000)], &[(0, Bound::Age)]);
        check(&[(1, 10)], &[(0, Bound::Age)]);
        check(&[(600, 950), (600, 960), (600, 1000)], &[(0, Bound::Bytes), (1, Bound::Bytes)]);
        check(&[(2000, 1000)], &[]);
        check(&[(600, 10), (600, 960), (400, 1000)], &[(0, Bound::Age)]);
    }
}
