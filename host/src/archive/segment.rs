//! One segment file: appending records, cutting it back, reading it. See the archive's module
//! documentation for the layout.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::model::Frame;

const MAGIC: [u8; 8] = *b"PICKETA\n";
const VERSION: u32 = 1;
/// Bytes before the first record.
pub(super) const HEADER_BYTES: u64 = 12;
const RECORD_HEADER_BYTES: usize = 8;
/// The longest payload that is read: a longer one is damage. The output bound of a plugin's call is
/// far below it.
const MAX_PAYLOAD_BYTES: u32 = 64 << 20;
/// How much is read from the disk at once.
const READ_BYTES: usize = 256 << 10;
/// Results can hold what logs hold; only the agent reads them here.
const FILE_MODE: u32 = 0o600;

const EXTENSION: &str = "segment";

/// The path of a segment.
pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:020}.{EXTENSION}"))
}

/// The number of a segment's path, if it is one.
pub(super) fn number(path: &Path) -> Option<u64> {
    let stem = path.file_stem()?.to_str()?;
    let is_one = path.extension()? == EXTENSION && stem.len() == 20;
    stem.parse().ok().filter(|_| is_one)
}

/// Makes an empty segment, durably. One that is there is emptied: no index knows it.
pub(super) fn create(folder: &Path, number: u64) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).read(true).write(true).mode(FILE_MODE);
    let mut file = options.open(path(folder, number))?;
    file.write_all(&MAGIC)?;
    file.write_all(&VERSION.to_le_bytes())?;
    file.sync_all()?;
    File::open(folder)?.sync_all()?;
    Ok(file)
}

/// Appends a frame as a record to a buffer.
pub(super) fn encode(frame: &Frame, buffer: &mut Vec<u8>) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; RECORD_HEADER_BYTES]);
    rmp_serde::encode::write_named(buffer, frame).expect("plain data always encodes into memory");
    let payload = &buffer[start + RECORD_HEADER_BYTES..];
    let length = u32::try_from(payload.len()).expect("a frame is part of a commit, whose length is 32 bits");
    let crc = crc32fast::hash(payload);
    buffer[start..start + 4].copy_from_slice(&length.to_le_bytes());
    buffer[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

/// Writes records at the known end of a segment and syncs them. After an error anything may stand
/// behind that end.
pub(super) fn append(file: &File, end: u64, records: &[u8]) -> io::Result<()> {
    file.write_all_at(records, end)?;
    file.sync_data()
}

/// Opens a segment for appending behind a length that is known to be whole, and cuts off the rest.
/// Returns the length it has now, which is less when the file is shorter.
pub(super) fn open_at(folder: &Path, number: u64, length: u64) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().read(true).write(true).open(path(folder, number))?;
    let found = file.metadata()?.len();
    if found > length {
        file.set_len(length)?;
        file.sync_all()?;
    }
    Ok((file, found.min(length)))
}

/// Where a record stands and what is in it.
pub(super) struct Record {
    /// Of its header, from the start of the segment.
    pub(super) offset: u64,
    /// Behind it.
    pub(super) end: u64,
    pub(super) frame: Frame,
}

/// Why a segment cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Nothing behind it can be found either, because the lengths lead from one to the next.
    #[error("the segment is damaged at byte {0}")]
    Damaged(u64),
    #[error("the segment has version {0}, and this agent knows only up to {VERSION}: start the newer agent")]
    NewerVersion(u32),
}

/// Reads the records of a segment in order, up to a length.
pub(super) struct Records {
    input: BufReader<io::Take<File>>,
    offset: u64,
    length: u64,
    payload: Vec<u8>,
}

impl Records {
    pub(super) fn open(path: &Path, length: u64) -> Result<Self, ReadError> {
        let file = File::open(path)?;
        let mut input = BufReader::with_capacity(READ_BYTES, file.take(length));
        let (mut magic, mut version) = ([0; 8], [0; 4]);
        let header = input.read_exact(&mut magic).and_then(|()| input.read_exact(&mut version));
        header.map_err(|error| damaged_if_short(error, 0))?;
        match u32::from_le_bytes(version) {
            _ if magic != MAGIC => Err(ReadError::Damaged(0)),
            version if version > VERSION => Err(ReadError::NewerVersion(version)),
            _ => Ok(Self { input, offset: HEADER_BYTES, length, payload: Vec::new() }),
        }
    }

    /// The next record, or `None` at the length.
    pub(super) fn next(&mut self) -> Result<Option<Record>, ReadError> {
        if self.offset >= self.length {
            return Ok(None);
        }
        let offset = self.offset;
        let mut header = [0; RECORD_HEADER_BYTES];
        self.input.read_exact(&mut header).map_err(|error| damaged_if_short(error, offset))?;
        let (length, crc) = split(header);
        // Not beyond what there is, so that a damaged length costs no memory.
        let left = self.length - offset;
        if length > MAX_PAYLOAD_BYTES || RECORD_HEADER_BYTES as u64 + u64::from(length) > left {
            return Err(ReadError::Damaged(offset));
        }
        self.payload.resize(length as usize, 0);
        self.input.read_exact(&mut self.payload).map_err(|error| damaged_if_short(error, offset))?;
        let frame = decode(&self.payload, crc).ok_or(ReadError::Damaged(offset))?;
        self.offset = offset + RECORD_HEADER_BYTES as u64 + u64::from(length);
        Ok(Some(Record { offset, end: self.offset, frame }))
    }
}

/// Reads the one record at an offset that [`Records`] has given.
pub(super) fn read_at(file: &mut File, offset: u64) -> Result<(Frame, u64), ReadError> {
    let mut header = [0; RECORD_HEADER_BYTES];
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(&mut header).map_err(|error| damaged_if_short(error, offset))?;
    let (length, crc) = split(header);
    if length > MAX_PAYLOAD_BYTES {
        return Err(ReadError::Damaged(offset));
    }
    let mut payload = vec![0; length as usize];
    file.read_exact(&mut payload).map_err(|error| damaged_if_short(error, offset))?;
    let frame = decode(&payload, crc).ok_or(ReadError::Damaged(offset))?;
    Ok((frame, u64::from(length)))
}

fn split(header: [u8; RECORD_HEADER_BYTES]) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = header;
    (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
}

fn decode(payload: &[u8], crc: u32) -> Option<Frame> {
    if crc32fast::hash(payload) != crc { None } else { rmp_serde::from_slice(payload).ok() }
}

fn damaged_if_short(error: io::Error, offset: u64) -> ReadError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => ReadError::Damaged(offset),
        _ => ReadError::Io(error),
    }
}
