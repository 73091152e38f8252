//! Reads records from one place in a file on.
//!
//! A reader always stands at the start of a line. What it cannot use yet (a line without its end, a
//! record that waits for its next line) is either read again later or kept by the assembler, and
//! either way the [`Position`] says how to come to the same state from nothing. So any way of
//! cutting the input into reads, and any restart between blocks, gives the same records.
//!
//! Does not open files and does not know plugins.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use memchr::{memchr, memchr_iter, memrchr};

use super::assemble::{Assembler, Chunk, Format};
use super::buffers::Buffers;
use super::checkpoint::Position;
use super::framing::{Framing, without_line_end};
use crate::model::Record;

/// A raw line of a framed file may be longer than a record's bound, since escapes take up to six
/// bytes for one; runtimes split lines at 16 KiB.
const MIN_FRAMED_LINE: usize = 128 << 10;
/// How far the end of an overlong line is searched for in one step, so that other files have their
/// turn.
const SEARCH_BYTES: u64 = 8 << 20;

/// Bytes that can be read by position.
pub trait ReadAt {
    /// As `pread`.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, offset)
    }
}

/// The time as the caller has it: for timeouts, and for records without a time of their own.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Monotonic.
    pub instant: Instant,
    /// Unix time in nanoseconds.
    pub nanos: u64,
}

impl Clock {
    /// Now.
    pub fn now() -> Self {
        Self { instant: Instant::now(), nanos: crate::model::now_nanos() }
    }
}

/// How far a file can be read.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// The file's size.
    pub size: u64,
    /// Nothing will be added: what is there is complete.
    pub last: bool,
}

/// What a step came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Records are in the chunk.
    Records,
    /// Something was read, but no record is complete.
    Advanced,
    /// There is nothing to do until the file grows or time passes.
    End,
}

/// A place in a file and the state there.
#[derive(Debug)]
pub struct Reader {
    format: Arc<Format>,
    position: Position,
    /// Where the next line to read starts.
    next: u64,
    assembler: Option<Assembler>,
    /// How far the end of an overlong line has been searched for.
    searched: u64,
    /// The file's size at which nothing more could be done.
    ended_at: Option<u64>,
    /// When the last line was taken.
    touched: Instant,
}

impl Reader {
    /// At a position.
    pub fn new(format: Arc<Format>, position: Position, now: Instant) -> Self {
        let plain = format.framing == Framing::Lines && format.multiline.is_none();
        let next = position.read_from();
        let assembler = (!plain).then(|| Assembler::new(format.clone(), position.clone()));
        Self { format, position, next, assembler, searched: 0, ended_at: None, touched: now }
    }

    /// What a checkpoint after the last step has to say.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Whether a step could do something before the file grows.
    pub fn may_step(&self, extent: Extent, now: Instant) -> bool {
        let unread = self.next < extent.size && (extent.last || self.ended_at != Some(extent.size));
        unread || self.flush_due(extent, now)
    }

    /// Reads the next records into `buffers.chunk`, which is emptied before.
    pub fn step<F: ReadAt>(
        &mut self,
        file: &F,
        extent: Extent,
        clock: Clock,
        buffers: &mut Buffers,
    ) -> io::Result<Step> {
        let step = self.take(file, extent, clock, buffers)?;
        self.ended_at = (step == Step::End).then_some(extent.size);
        Ok(step)
    }

    fn take<F: ReadAt>(
        &mut self,
        file: &F,
        extent: Extent,
        clock: Clock,
        buffers: &mut Buffers,
    ) -> io::Result<Step> {
        buffers.prepare();
        // A line is taken whole, or found too long, only at its start and by this measure: so it does
        // not matter how much of it is there when it is first seen.
        let capacity = self.format.block_bytes.max(self.line_bound() + 2);
        let want = extent.size.saturating_sub(self.next).min(capacity as u64) as usize;
        let plain = self.assembler.is_none();
        let raw = if plain { &mut buffers.chunk.data } else { &mut buffers.raw };
        raw.resize(want, 0);
        let length = read_full(file, raw, self.next)?;
        raw.truncate(length);
        let at_end = extent.last && self.next + length as u64 >= extent.size;
        match memrchr(b'\n', raw) {
            Some(end) if !at_end => raw.truncate(end + 1),
            None if length >= capacity => return self.long_line(file, extent, clock, buffers),
            None if !at_end => raw.clear(),
            _ => {}
        }
        if raw.is_empty() {
            return Ok(self.flush(extent, clock, &mut buffers.chunk));
        }
        self.touched = clock.instant;
        let taken = raw.len() as u64;
        match &mut self.assembler {
            None => cut_lines(&mut buffers.chunk, self.next, self.format.record_bytes, clock.nanos),
            Some(assembler) => {
                let mut offset = self.next;
                for line in buffers.raw.split_inclusive(|byte| *byte == b'\n') {
                    assembler.line(offset, without_line_end(line), clock.nanos, &mut buffers.chunk);
                    offset += line.len() as u64;
                }
            }
        }
        self.advance(taken);
        Ok(self.outcome(&buffers.chunk))
    }

    fn line_bound(&self) -> usize {
        match self.assembler {
            None => self.format.record_bytes,
            Some(_) => self.format.record_bytes.max(MIN_FRAMED_LINE),
        }
    }

    fn outcome(&self, chunk: &Chunk) -> Step {
        if chunk.records.is_empty() { Step::Advanced } else { Step::Records }
    }

    fn advance(&mut self, bytes: u64) {
        self.next += bytes;
        self.searched = 0;
        if self.next >= self.position.done {
            self.position.done = self.next;
            self.position.open = self.assembler.as_ref().map(Assembler::open).unwrap_or_default();
        }
    }

    fn flush_due(&self, extent: Extent, now: Instant) -> bool {
        let Some(assembler) = &self.assembler else { return false };
        if extent.last {
            return !self.position.open.is_empty();
        }
        let timeout = self.format.multiline.as_ref().map(|multiline| multiline.timeout);
        assembler.waits() && timeout.is_some_and(|timeout| now.duration_since(self.touched) >= timeout)
    }

    /// Takes open records as complete when their time has come.
    fn flush(&mut self, extent: Extent, clock: Clock, chunk: &mut Chunk) -> Step {
        if !self.flush_due(extent, clock.instant) {
            return Step::End;
        }
        match &mut self.assembler {
            Some(assembler) if extent.last => assembler.flush(chunk),
            Some(assembler) => assembler.flush_waiting(chunk),
            None => {}
        }
        self.advance(0);
        self.outcome(chunk)
    }

    /// The line at `next` is longer than its bound. Its end is searched for without keeping the rest;
    /// only then does the reader move, so that no position lies within a line.
    fn long_line<F: ReadAt>(
        &mut self,
        file: &F,
        extent: Extent,
        clock: Clock,
        buffers: &mut Buffers,
    ) -> io::Result<Step> {
        let bound = self.line_bound();
        let from = self.searched.max(self.next + bound as u64);
        let upto = extent.size.min(from + SEARCH_BYTES);
        let (found, searched) = find_line_end(file, from, upto)?;
        self.searched = searched;
        let end = match found {
            Some(end) => end + 1,
            None if searched >= extent.size && extent.last => searched,
            None if searched >= extent.size || searched == from => return Ok(Step::End),
            None => return Ok(Step::Advanced),
        };
        self.touched = clock.instant;
        let taken = end - self.next;
        buffers.chunk.cut_bytes += taken.saturating_sub(bound as u64 + 1);
        match &mut self.assembler {
            None => {
                buffers.chunk.data.truncate(bound);
                let record = Record { start: 0, end: bound as u32, offset: self.next, time: clock.nanos };
                buffers.chunk.records.push(record);
            }
            Some(assembler) => {
                assembler.line(self.next, &buffers.raw[..bound], clock.nanos, &mut buffers.chunk);
            }
        }
        self.advance(taken);
        Ok(self.outcome(&buffers.chunk))
    }
}

/// Makes a record of each line of `chunk.data`, in place.
fn cut_lines(chunk: &mut Chunk, base: u64, bound: usize, time: u64) {
    let Chunk { data, records, cut_bytes, .. } = chunk;
    let mut start = 0;
    let last = (!data.ends_with(b"\n")).then_some(data.len());
    for end in memchr_iter(b'\n', data).chain(last) {
        let mut stop = start + without_line_end(&data[start..end]).len();
        if stop - start > bound {
            *cut_bytes += (stop - start - bound) as u64;
            stop = start + bound;
        }
        records.push(Record { start: start as u32, end: stop as u32, offset: base + start as u64, time });
        start = end + 1;
    }
}

/// The first line end between two offsets, and how far was searched.
fn find_line_end<F: ReadAt>(file: &F, from: u64, upto: u64) -> io::Result<(Option<u64>, u64)> {
    let mut buffer = vec![0; 64 << 10];
    let mut at = from;
    while at < upto {
        let want = (upto - at).min(buffer.len() as u64) as usize;
        let length = read_full(file, &mut buffer[..want], at)?;
        if let Some(end) = memchr(b'\n', &buffer[..length]) {
            return Ok((Some(at + end as u64), at + end as u64));
        }
        at += length as u64;
        if length < want {
            break;
        }
    }
    Ok((None, at))
}

/// Reads until the buffer is full or the file ends.
fn read_full<F: ReadAt>(file: &F, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read_at(&mut buffer[length..], offset + length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
