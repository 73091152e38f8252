//! Analyzers and the batches of records they read.

use std::borrow::Cow;

use crate::bindings::analyzer_kind::exports::picket::plugin::analyzer as wit;
use crate::types::Label;
use crate::{Plugin, Report, Result, Timestamp};

/// Reads records: lines of logs, entries of a journal.
pub trait Analyzer: Plugin {
    /// Reads a batch and puts what it found into the report. An error (or a panic) discards the
    /// instance, its state writes and the report; the host then tries the batch on a fresh instance
    /// and looks for the record that is to blame. A record that cannot be parsed is no error: count
    /// it.
    fn analyze(&mut self, batch: &Batch, report: &mut Report) -> Result<()>;
}

/// Records of one stream, in order. Iterate over it: `for record in batch`.
#[derive(Debug, Clone)]
pub struct Batch {
    wit: wit::Batch,
}

/// One record of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Its bytes, without the line end. Not always UTF-8.
    pub bytes: &'a [u8],
    /// When it was made, as its framing says (CRI, Docker), else when it was read. Plugins that can
    /// read a better time out of the bytes should.
    pub time: Timestamp,
    /// Its index in the batch, for findings and columns.
    pub index: u32,
    hits: &'a [wit::Hit],
}

impl<'a> Record<'a> {
    /// The literals of the interest that it holds, as indexes in the order of
    /// [`Setup::interest`](crate::Setup::interest), rising, each once. None when the interest is
    /// every record.
    pub fn hits(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.hits.iter().map(|hit| hit.literal)
    }

    /// Its text; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.bytes)
    }
}

impl Batch {
    pub(crate) fn new(wit: wit::Batch) -> Self {
        Self { wit }
    }

    /// The source's name in the configuration.
    pub fn source(&self) -> &str {
        &self.wit.source
    }

    /// The stream within the source: the path of a file, say.
    pub fn stream(&self) -> &str {
        &self.wit.stream
    }

    /// What is known of the stream: `pod`, `container`, and the labels the operator gave.
    pub fn labels(&self) -> &[Label] {
        &self.wit.labels
    }

    /// The value of one of the stream's labels.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.wit.labels.iter().find(|label| label.name == name).map(|label| label.value.as_str())
    }

    /// How many records it holds; one at least.
    pub fn len(&self) -> usize {
        self.wit.ends.len()
    }

    /// Whether it holds no record, which the host never sends.
    pub fn is_empty(&self) -> bool {
        self.wit.ends.is_empty()
    }

    /// Records of this stream since the last batch that held none of the interest's literals.
    pub fn passed_over(&self) -> u64 {
        self.wit.passed_over
    }

    /// The records end to end, for plugins that search the whole batch at once.
    pub fn data(&self) -> &[u8] {
        &self.wit.data
    }

    /// A field of structured records (journald), if the source has it.
    pub fn column(&self, name: &str) -> Option<Column<'_>> {
        self.wit.columns.iter().find(|column| column.name == name).map(|wit| Column { wit })
    }

    /// The records in order.
    pub fn iter(&self) -> Records<'_> {
        Records { batch: &self.wit, next: 0, start: 0, hit: 0 }
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = Record<'a>;
    type IntoIter = Records<'a>;

    fn into_iter(self) -> Records<'a> {
        self.iter()
    }
}

/// The records of a batch.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    batch: &'a wit::Batch,
    next: usize,
    start: usize,
    hit: usize,
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        let end = *self.batch.ends.get(self.next)? as usize;
        // A host that breaks its promise makes empty records, not a panic.
        let bytes = self.batch.data.get(self.start..end).unwrap_or_default();
        let time = self.batch.times.get(self.next).copied().unwrap_or_default();
        let index = self.next as u32;
        let hits = self.take_hits(index);
        self.start = end;
        self.next += 1;
        Some(Record { bytes, time, index, hits })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.batch.ends.len() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Records<'_> {}

impl<'a> Records<'a> {
    #[inline]
    fn take_hits(&mut self, record: u32) -> &'a [wit::Hit] {
        let rest = self.batch.hits.get(self.hit..).unwrap_or_default();
        if rest.is_empty() {
            return rest;
        }
        let count = rest.iter().take_while(|hit| hit.record == record).count();
        self.hit += count;
        &rest[..count]
    }
}

/// A field of structured records: one value for each record of the batch.
#[derive(Debug, Clone, Copy)]
pub struct Column<'a> {
    wit: &'a wit::Column,
}

impl<'a> Column<'a> {
    /// The value of a record; an empty one may mean "absent".
    pub fn of(&self, record: &Record<'_>) -> &'a [u8] {
        let index = record.index as usize;
        let start = match index {
            0 => 0,
            _ => self.wit.ends.get(index - 1).copied().unwrap_or_default() as usize,
        };
        let end = self.wit.ends.get(index).copied().unwrap_or_default() as usize;
        self.wit.data.get(start..end).unwrap_or_default()
    }
}
