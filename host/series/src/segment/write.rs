//! Writing a segment: series by series into a buffer, under the store's lock, and from there into the file, outside.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write as _};

use crate::index::Index;
use crate::series::{Closed, Series};
use crate::varint;

use super::{Entry, Foot, HEAD, MAGIC, VERSION, head, run_crc};

/// A pair of the index has no number in the file yet.
const NO_NUMBER: u32 = u32::MAX;

/// A segment that is being written.
pub(crate) struct Writer {
    file: File,
    buffer: Vec<u8>,
    /// How far the file goes with the buffer.
    at: u64,
    entries: Vec<Entry>,
    names: HashMap<u32, u32>,
    name_bytes: Vec<u8>,
    /// By the number in the index.
    pairs: Vec<u32>,
    pair_count: u32,
    pair_bytes: Vec<u8>,
    lists: Vec<u8>,
}

impl Writer {
    /// Into an empty file.
    pub(crate) fn new(file: File) -> Self {
        Self {
            file,
            buffer: head(MAGIC, VERSION).to_vec(),
            at: HEAD,
            entries: Vec::new(),
            names: HashMap::new(),
            name_bytes: Vec::new(),
            pairs: Vec::new(),
            pair_count: 0,
            pair_bytes: Vec::new(),
            lists: Vec::new(),
        }
    }

    /// Adds chunks of a series; series come by rising id. Into the buffer only.
    pub(crate) fn add<'a>(
        &mut self,
        series: &Series,
        index: &Index,
        chunks: impl Iterator<Item = &'a Closed>,
    ) {
        let start = self.buffer.len();
        let mut ends: Option<(i64, i64, u64)> = None;
        for chunk in chunks {
            varint::put(&mut self.buffer, chunk.data.len() as u64);
            self.buffer.extend_from_slice(&chunk.data);
            let first = ends.map_or(chunk.first, |(first, ..)| first);
            ends = Some((first, chunk.last, chunk.last_value()));
        }
        let Some((first, last, value)) = ends else { return };
        let run = &self.buffer[start..];
        let length = u32::try_from(run.len()).expect("a series in a window is far below the bound of memory");
        let crc = run_crc(series.id, run);
        self.entries.push(Entry { id: series.id, offset: self.at, length, crc, first, last, value });
        self.at += u64::from(length);
        varint::put(&mut self.lists, series.labels.len() as u64);
        for pair in &series.labels {
            let number = self.pair(*pair, index);
            varint::put(&mut self.lists, u64::from(number));
        }
    }

    fn pair(&mut self, id: u32, index: &Index) -> u32 {
        if self.pairs.len() <= id as usize {
            self.pairs.resize(index.pair_bound(), NO_NUMBER);
        }
        if self.pairs[id as usize] == NO_NUMBER {
            let pair = index.pair(id);
            let next = self.names.len() as u32;
            let name = *self.names.entry(pair.name).or_insert_with(|| {
                varint::put_text(&mut self.name_bytes, index.name_text(pair.name));
                next
            });
            varint::put(&mut self.pair_bytes, u64::from(name));
            varint::put_text(&mut self.pair_bytes, &pair.value);
            self.pairs[id as usize] = self.pair_count;
            self.pair_count += 1;
        }
        self.pairs[id as usize]
    }

    /// Bytes in the buffer.
    pub(crate) fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// Writes what is in the buffer.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Writes the tables and syncs the file. Returns the entries.
    pub(crate) fn finish(mut self, next_id: u64) -> io::Result<Vec<Entry>> {
        self.write()?;
        let mut tables = Vec::with_capacity(self.entries.len() * super::ENTRY);
        self.entries.iter().for_each(|entry| entry.put(&mut tables));
        let labels_at = self.at + tables.len() as u64;
        varint::put(&mut tables, self.names.len() as u64);
        tables.append(&mut self.name_bytes);
        varint::put(&mut tables, u64::from(self.pair_count));
        tables.append(&mut self.pair_bytes);
        tables.append(&mut self.lists);
        let foot = Foot {
            index_at: self.at,
            count: self.entries.len() as u64,
            labels_at,
            min: self.entries.iter().map(|entry| entry.first).min().unwrap_or(0),
            max: self.entries.iter().map(|entry| entry.last).max().unwrap_or(0),
            next_id,
            crc: crc32fast::hash(&tables),
        };
        foot.put(&mut tables);
        self.file.write_all(&tables)?;
        self.file.sync_all()?;
        Ok(self.entries)
    }
}
