//! One segment file: closed chunks of many series, with the labels of these. It is written once and never changed.
//!
//! Head (16 bytes): `PKTSEG` and two zeros, the version, the CRC32 of both. Then the runs: of each series its chunks,
//! each with its length before it. Then the index: an [`Entry`] of 48 bytes a series, by rising id. Then the
//! labels: names, pairs of a name's number and a value, and for each entry the numbers of its pairs. Then the
//! foot ([`Foot`]). Numbers are little-endian. The CRC32 of index and labels is in the foot, which has its own;
//! that of a run is in its entry and covers the id too.
//!
//! In memory a segment costs its open file and every 64th id.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::chunk::Damaged;
use crate::varint::Reader;

pub(crate) mod labels;
pub(crate) mod write;

const MAGIC: [u8; 8] = *b"PKTSEG\0\0";
/// The format of segments.
const VERSION: u32 = 1;
const HEAD: u64 = 16;
const FOOT: usize = 56;
const ENTRY: usize = 48;
/// Of so many entries one id is kept in memory; so many are read at once.
const ENTRIES_OF_BLOCK: usize = 64;
/// Bytes of one series' chunks in a segment: a sample each millisecond of an hour, which nobody has.
const MAX_RUN: u32 = 64 << 20;

/// Why a file cannot be read as a segment.
#[derive(Debug)]
pub(crate) enum Unreadable {
    Io(io::Error),
    Damaged,
    Newer(u32),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged,
            _ => Self::Io(error),
        }
    }
}

/// See the module's description.
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    /// Of the file. Segments that were written later have higher ones, and logs that were begun later too.
    pub(crate) number: u64,
    /// Of the whole file.
    pub(crate) bytes: u64,
    pub(crate) foot: Foot,
    file: File,
    /// The id of each block's first entry.
    fences: Vec<u64>,
}

/// What stands at the end of a segment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Foot {
    index_at: u64,
    count: u64,
    labels_at: u64,
    /// Times of the first and the last sample.
    pub(crate) min: i64,
    pub(crate) max: i64,
    /// No series had this id or a higher one.
    pub(crate) next_id: u64,
    crc: u32,
}

/// Where the chunks of a series are, and how it goes on from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    offset: u64,
    length: u32,
    crc: u32,
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// The bits of the last value.
    pub(crate) value: u64,
}

/// The part of an index that was read last: questions go by rising ids.
#[derive(Default)]
pub(crate) struct Block {
    segment: u64,
    number: usize,
    entries: Vec<Entry>,
}

impl Entry {
    fn put(&self, bytes: &mut Vec<u8>) {
        for number in [self.id, self.offset] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for number in [self.length, self.crc] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for number in [self.first as u64, self.last as u64, self.value] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            id: reader.u64()?,
            offset: reader.u64()?,
            length: reader.u32()?,
            crc: reader.u32()?,
            first: reader.u64()? as i64,
            last: reader.u64()? as i64,
            value: reader.u64()?,
        })
    }
}

impl Foot {
    fn put(&self, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        let (min, max) = (self.min as u64, self.max as u64);
        for number in [self.index_at, self.count, self.labels_at, min, max, self.next_id] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.crc.to_le_bytes());
        let crc = crc32fast::hash(&bytes[start..]);
        bytes.extend_from_slice(&crc.to_le_bytes());
    }

    /// Checked against the file's length.
    fn read(bytes: &[u8; FOOT], length: u64) -> Option<Self> {
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut reader = Reader::new(body);
        let foot = Self {
            index_at: reader.u64()?,
            count: reader.u64()?,
            labels_at: reader.u64()?,
            min: reader.u64()? as i64,
            max: reader.u64()? as i64,
            next_id: reader.u64()?,
            crc: reader.u32()?,
        };
        let index = foot.count.checked_mul(ENTRY as u64)?;
        let fits = foot.index_at >= HEAD
            && foot.index_at.checked_add(index)? == foot.labels_at
            && foot.labels_at <= length - FOOT as u64;
        fits.then_some(foot)
    }
}

/// The first bytes of a file of this store.
pub(crate) fn head(magic: [u8; 8], version: u32) -> [u8; HEAD as usize] {
    let mut bytes = [0; HEAD as usize];
    bytes[..8].copy_from_slice(&magic);
    bytes[8..12].copy_from_slice(&version.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..12]);
    bytes[12..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Checks the first bytes of a file of this store.
pub(crate) fn check_head(bytes: [u8; HEAD as usize], magic: [u8; 8], version: u32) -> Result<(), Unreadable> {
    let mut reader = Reader::new(&bytes);
    let (is, of) = (reader.array(), reader.u32().unwrap_or(0));
    let whole = reader.u32() == Some(crc32fast::hash(&bytes[..12]));
    match (whole && is == Some(magic), of > version) {
        (false, _) => Err(Unreadable::Damaged),
        (true, true) => Err(Unreadable::Newer(of)),
        (true, false) => Ok(()),
    }
}

impl Segment {
    /// Opens a file and gives its entries with what is needed to read their labels.
    pub(crate) fn open(path: &Path, number: u64) -> Result<(Self, labels::Table), Unreadable> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let mut first = [0; HEAD as usize];
        file.read_exact_at(&mut first, 0)?;
        check_head(first, MAGIC, VERSION)?;
        if bytes < HEAD + FOOT as u64 {
            return Err(Unreadable::Damaged);
        }
        let mut last = [0; FOOT];
        file.read_exact_at(&mut last, bytes - FOOT as u64)?;
        let foot = Foot::read(&last, bytes).ok_or(Unreadable::Damaged)?;
        // Not longer than the file.
        let length = usize::try_from(bytes - FOOT as u64 - foot.index_at).map_err(|_| Unreadable::Damaged)?;
        let mut tables = vec![0; length];
        file.read_exact_at(&mut tables, foot.index_at)?;
        if crc32fast::hash(&tables) != foot.crc {
            return Err(Unreadable::Damaged);
        }
        let table = labels::Table::new(tables, foot.count as usize).ok_or(Unreadable::Damaged)?;
        let fences = (0..table.count())
            .step_by(ENTRIES_OF_BLOCK)
            .filter_map(|at| table.entry(at))
            .map(|entry| entry.id);
        let fences = fences.collect();
        Ok((Self { path: path.to_owned(), number, bytes, foot, file, fences }, table))
    }

    /// The entry of a series, if it has one.
    pub(crate) fn find(&self, id: u64, block: &mut Block) -> io::Result<Option<Entry>> {
        let Some(number) = self.fences.partition_point(|first| *first <= id).checked_sub(1) else {
            return Ok(None);
        };
        if (block.segment, block.number) != (self.number, number) || block.entries.is_empty() {
            let first = number * ENTRIES_OF_BLOCK;
            let count = (self.foot.count as usize - first).min(ENTRIES_OF_BLOCK);
            let mut bytes = vec![0; count * ENTRY];
            self.file.read_exact_at(&mut bytes, self.foot.index_at + (first * ENTRY) as u64)?;
            let mut reader = Reader::new(&bytes);
            let entries = std::iter::from_fn(|| Entry::read(&mut reader)).collect();
            *block = Block { segment: self.number, number, entries };
        }
        let found = block.entries.iter().find(|entry| entry.id == id);
        Ok(found.copied())
    }

    /// The chunks of an entry.
    pub(crate) fn run(&self, entry: &Entry) -> Result<Run, Unreadable> {
        let end = entry.offset.checked_add(u64::from(entry.length)).ok_or(Unreadable::Damaged)?;
        if entry.length > MAX_RUN || end > self.foot.index_at {
            return Err(Unreadable::Damaged);
        }
        let mut bytes = vec![0; entry.length as usize];
        self.file.read_exact_at(&mut bytes, entry.offset)?;
        if run_crc(entry.id, &bytes) == entry.crc { Ok(Run(bytes)) } else { Err(Unreadable::Damaged) }
    }
}

/// The chunks of a series in a segment.
pub(crate) struct Run(Vec<u8>);

impl Run {
    /// Gives each chunk.
    pub(crate) fn each(&self, mut chunk: impl FnMut(&[u8]) -> Result<(), Damaged>) -> Result<(), Damaged> {
        let mut reader = Reader::new(&self.0);
        while !reader.is_empty() {
            let length = reader.size(self.0.len()).ok_or(Damaged)?;
            chunk(reader.take(length).ok_or(Damaged)?)?;
        }
        Ok(())
    }
}

fn run_crc(id: u64, run: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&id.to_le_bytes());
    hasher.update(run);
    hasher.finalize()
}

/// All segments, by the order in which they were written. What was written later holds from its first sample on: where
/// the clock was set back, what an earlier one has from there on is not there any more.
#[derive(Default)]
pub(crate) struct Segments {
    list: Vec<(std::sync::Arc<Segment>, bool)>,
}

impl Segments {
    /// In the order in which they were written.
    pub(crate) fn new(list: impl IntoIterator<Item = std::sync::Arc<Segment>>) -> Self {
        let mut latest = i64::MIN;
        let with_hides = |segment: std::sync::Arc<Segment>| {
            let hides = latest >= segment.foot.min;
            latest = latest.max(segment.foot.max);
            (segment, hides)
        };
        Self { list: list.into_iter().map(with_hides).collect() }
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &std::sync::Arc<Segment>> {
        self.list.iter().map(|(segment, _)| segment)
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Those to look into for a stretch of time, newest first: with samples in it, or behind an earlier one that has.
    pub(crate) fn about(&self, start: i64, end: i64) -> impl Iterator<Item = &Segment> {
        let about = move |(segment, hides): &&(std::sync::Arc<Segment>, bool)| {
            segment.foot.min <= end && (segment.foot.max >= start || *hides)
        };
        self.list.iter().rev().filter(about).map(|(segment, _)| &**segment)
    }
}
