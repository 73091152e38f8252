//! Puts records together from the parts and lines that belong to one.
//!
//! Two layers in one state: parts of a line that the container runtime split, and lines of a record
//! that a multi-line pattern joins. Each channel (standard output, standard error) has its own record
//! under way, since the two are mixed in a file.

use std::sync::Arc;

use super::checkpoint::Position;
use super::framing::{self, CHANNELS, Framing};
use super::multiline::Multiline;
use crate::model::Record;

/// A record that is still open this many bytes behind where it started is taken as complete: what
/// has to be read again after a restart stays bounded.
const MAX_OPEN_DISTANCE: u64 = 4 << 20;

/// How the records of one file stand in it.
#[derive(Debug, Clone)]
pub struct Format {
    /// Never [`Framing::Auto`]: that has been found out.
    pub framing: Framing,
    /// Joins lines, if asked for.
    pub multiline: Option<Arc<Multiline>>,
    /// Bytes of a record; the rest is cut off and counted.
    pub record_bytes: usize,
    /// Bytes that are read at once.
    pub block_bytes: usize,
}

/// Records of one read and what was counted on the way.
#[derive(Debug, Default)]
pub struct Chunk {
    /// What the records point into.
    pub data: Vec<u8>,
    /// In the order in which they were complete.
    pub records: Vec<Record>,
    /// Bytes cut off records that were too long.
    pub cut_bytes: u64,
    /// Lines that were not in the file's framing and were taken as they are.
    pub malformed: u64,
}

impl Chunk {
    /// Forgets everything but the memory.
    pub fn clear(&mut self) {
        self.data.clear();
        self.records.clear();
        self.cut_bytes = 0;
        self.malformed = 0;
    }

    fn push(&mut self, text: &[u8], offset: u64, time: u64) {
        let start = self.data.len() as u32;
        self.data.extend_from_slice(text);
        self.records.push(Record { start, end: self.data.len() as u32, offset, time });
    }
}

/// The record under way on one channel.
#[derive(Debug, Default)]
struct Group {
    /// Where its first line starts; none when nothing is under way.
    start: Option<u64>,
    time: u64,
    text: Vec<u8>,
    /// Complete lines in it.
    lines: u32,
    /// Whether the current line goes on.
    goes_on: bool,
}

impl Group {
    fn begin(&mut self, start: u64, time: u64) {
        self.start = Some(start);
        self.time = time;
        self.text.clear();
        self.lines = 0;
        self.goes_on = false;
    }

    /// Appends as much as there is room for.
    fn append(&mut self, text: &[u8], room: usize, chunk: &mut Chunk) {
        let taken = text.len().min(room.saturating_sub(self.text.len()));
        self.text.extend_from_slice(&text[..taken]);
        chunk.cut_bytes += (text.len() - taken) as u64;
    }

    fn emit(&mut self, chunk: &mut Chunk) {
        if let Some(start) = self.start.take() {
            chunk.push(&self.text, start, self.time);
        }
    }
}

/// The records under way in a file.
#[derive(Debug)]
pub struct Assembler {
    format: Arc<Format>,
    groups: [Group; CHANNELS],
    /// Where the reader began: lines before it are taken only for the records that were open there.
    began: Position,
}

impl Assembler {
    /// At a position; the lines from [`Position::read_from`] on have to follow.
    pub fn new(format: Arc<Format>, began: Position) -> Self {
        Self { format, groups: Default::default(), began }
    }

    /// Takes the line that starts at `offset` in the file, without its line end. `now` is the time of
    /// records whose framing has none.
    pub fn line(&mut self, offset: u64, line: &[u8], now: u64, chunk: &mut Chunk) {
        for group in &mut self.groups {
            if group.start.is_some_and(|start| start + MAX_OPEN_DISTANCE < offset) {
                group.emit(chunk);
            }
        }
        let Some(part) = framing::part(self.format.framing, line) else {
            if offset >= self.began.done {
                chunk.malformed += 1;
                self.whole(offset, line, now, chunk);
            }
            return;
        };
        if !self.began.takes(part.channel, offset) {
            return;
        }
        let time = part.time.unwrap_or(now);
        if self.format.multiline.is_none()
            && !part.goes_on
            && self.groups[usize::from(part.channel)].start.is_none()
        {
            return self.whole(offset, &part.text, time, chunk);
        }
        self.join(offset, &part, time, chunk);
    }

    /// A record by itself.
    fn whole(&self, offset: u64, text: &[u8], time: u64, chunk: &mut Chunk) {
        let taken = text.len().min(self.format.record_bytes);
        chunk.cut_bytes += (text.len() - taken) as u64;
        chunk.push(&text[..taken], offset, time);
    }

    fn join(&mut self, offset: u64, part: &framing::Part<'_>, time: u64, chunk: &mut Chunk) {
        let room = self.format.record_bytes;
        let group = &mut self.groups[usize::from(part.channel)];
        if group.start.is_some() && !group.goes_on {
            // A line begins: it goes on with the record or begins another.
            let another = self.format.multiline.as_ref().is_none_or(|multiline| {
                multiline.starts(&part.text)
                    || group.lines >= multiline.max_lines
                    || group.text.len() + 1 + part.text.len() > room
            });
            if another {
                group.emit(chunk);
            } else {
                group.append(b"\n", room, chunk);
            }
        }
        if group.start.is_none() {
            group.begin(offset, time);
        }
        group.append(&part.text, room, chunk);
        group.goes_on = part.goes_on;
        if !part.goes_on {
            group.lines += 1;
            if self.format.multiline.is_none() {
                group.emit(chunk);
            }
        }
    }

    /// Whether a record could be complete and only waits for a line that may not belong to it.
    pub fn waits(&self) -> bool {
        self.groups.iter().any(|group| group.start.is_some() && !group.goes_on)
    }

    /// Takes the records that wait as complete.
    pub fn flush_waiting(&mut self, chunk: &mut Chunk) {
        self.groups.iter_mut().filter(|group| !group.goes_on).for_each(|group| group.emit(chunk));
    }

    /// Takes all records as complete: nothing more will come.
    pub fn flush(&mut self, chunk: &mut Chunk) {
        self.groups.iter_mut().for_each(|group| group.emit(chunk));
    }

    /// The records under way, for a [`Position`].
    pub fn open(&self) -> Vec<(u8, u64)> {
        let open = self.groups.iter().enumerate();
        open.filter_map(|(channel, group)| group.start.map(|start| (channel as u8, start))).collect()
    }
}
