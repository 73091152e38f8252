//! Reads the records of one segment file one after the other through a buffer of bounded size.

use std::io;

use crate::format::{RECORD_HEADER_BYTES, decode_record, payload_length};
use crate::{File, Position};

/// How much is read from a file at once, in bytes: large enough that small records cost no system
/// call each, small enough for a reader per forwarder.
pub const READ_AHEAD: usize = 256 << 10;

/// Bytes of a file around the place that was asked for last.
#[derive(Debug, Default)]
pub(crate) struct Window {
    bytes: Vec<u8>,
    start: u64,
}

impl Window {
    /// Forgets what was read: the file is another one now.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The payload of the record at `at`, if one ends at or before `end` and is valid.
    pub(crate) fn record(&mut self, file: &dyn File, at: Position, end: u64) -> io::Result<Option<&[u8]>> {
        let left = end.saturating_sub(at.offset);
        if left <= RECORD_HEADER_BYTES {
            return Ok(None);
        }
        let Some(length) = payload_length(self.range(file, at.offset, RECORD_HEADER_BYTES, left)?) else {
            return Ok(None);
        };
        let whole = RECORD_HEADER_BYTES + u64::from(length);
        if whole > left {
            return Ok(None);
        }
        Ok(decode_record(at, self.range(file, at.offset, whole, left)?))
    }

    /// At least `wanted` bytes from an offset, less only where the file ends; never reads further
    /// than `left` bytes from the offset.
    fn range(&mut self, file: &dyn File, offset: u64, wanted: u64, left: u64) -> io::Result<&[u8]> {
        let covered = self.start + self.bytes.len() as u64;
        if offset < self.start || offset + wanted > covered {
            self.fill(file, offset, wanted, left)?;
        }
        Ok(&self.bytes[(offset - self.start) as usize..])
    }

    fn fill(&mut self, file: &dyn File, offset: u64, wanted: u64, left: u64) -> io::Result<()> {
        let length = wanted.max(left.min(READ_AHEAD as u64)) as usize;
        if length <= READ_AHEAD && self.bytes.capacity() > 2 * READ_AHEAD {
            // A large record has passed: give its memory back.
            self.bytes = Vec::new();
        }
        self.bytes.clear();
        self.bytes.resize(length, 0);
        self.start = offset;
        let read = file.read_at(&mut self.bytes, offset);
        self.bytes.truncate(*read.as_ref().unwrap_or(&0));
        read.map(|_| ())
    }
}
