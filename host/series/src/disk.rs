//! The store's folder: `log-*`, to which what was appended is written every few seconds, and `segment-*`, which are
//! written when a window of time is over and take the place of the log. Numbers in names are hexadecimal and rise.
//!
//! Nothing here fails outwards. When the disk is broken or has no more room than stays free, the store goes on in
//! memory; after a pause the log is begun anew from what is in memory, so that only what has left it meanwhile is not
//! on disk.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::room::{Reserved, Room};
use crate::memory::Memory;
use crate::segment::{Segments, head};

pub(crate) mod recover;
mod roll;
mod room;

pub(crate) const LOG_MAGIC: [u8; 8] = *b"PKTLOG\0\0";
/// The format of logs.
pub(crate) const LOG_VERSION: u32 = 1;
/// Between two tries after an error, in milliseconds.
const RETRY_EVERY: i64 = 30_000;
/// Between two syncs of the log, in milliseconds. A crash of the agent loses nothing that was written, a power cut at
/// most so much.
const SYNC_EVERY: i64 = 60_000;
/// After the end of a window its chunks wait so many milliseconds for scrapes that began within it.
const GRACE: i64 = 30_000;
/// Segments at most: each is an open file.
const MAX_SEGMENTS: usize = 512;
/// Only the agent reads and writes them.
const FILE_MODE: u32 = 0o600;

/// What writes to the folder. One thread at a time has it.
pub(crate) struct Disk {
    folder: PathBuf,
    room: Room,
    log: Option<Log>,
    /// Logs before that one; what is in them is not all in segments.
    old_logs: Vec<PathBuf>,
    next_number: u64,
    /// When the next window is over, in milliseconds.
    roll_at: i64,
    synced: i64,
    /// The log does not have everything any more: it has to be begun anew.
    gap: bool,
    failure: Option<Failure>,
}

struct Log {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// How many of them it had at its beginning.
    begun: u64,
    dirty: bool,
}

struct Failure {
    message: String,
    retry_at: i64,
}

/// How the store's folder is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Segments in the folder.
    pub segments: usize,
    /// Bytes of all its files.
    pub disk_bytes: u64,
    /// Why nothing can be written at the moment. It is tried again by itself.
    pub failing: Option<String>,
}

impl Disk {
    /// Writes what there is to write. `now` is the clock in milliseconds; with `sync` it is durable afterwards.
    pub(crate) fn flush(&mut self, memory: &Memory, now: i64, sync: bool) {
        let paused = self.failure.as_ref().is_some_and(|failure| {
            failure.retry_at > now && failure.retry_at <= now.saturating_add(RETRY_EVERY)
        });
        if paused {
            return;
        }
        // First: what is too old makes room for what is to be written, also on a full disk.
        let kept = self.retain(memory, now);
        match self.try_flush(memory, now, sync).and(kept) {
            Ok(()) => self.failure = None,
            Err(error) => {
                let reserved = error.get_ref().is_some_and(|inner| inner.is::<Reserved>());
                memory.metrics.not_written(if reserved { "reserve" } else { "disk" });
                memory.write().pending.stop();
                self.gap = true;
                let message = format!(
                    "the samples in {} cannot be written: {error}; they are in memory only until they can",
                    self.folder.display()
                );
                self.failure = Some(Failure { message, retry_at: now.saturating_add(RETRY_EVERY) });
            }
        }
        self.show(memory);
    }

    fn try_flush(&mut self, memory: &Memory, now: i64, sync: bool) -> io::Result<()> {
        if let Err(full) = self.room.look() {
            // What was written before takes no more room by this.
            self.sync_log()?;
            return Err(full);
        }
        let (batch, overflowed) = memory.write().pending.take();
        if overflowed || self.gap {
            if overflowed {
                memory.metrics.not_written("behind");
            }
            self.gap = true;
            self.renew_log(memory)?;
        } else {
            self.append(memory, &batch)?;
        }
        let window = memory.config.window_ms();
        let full = self.is_full(memory);
        if full || now >= self.roll_at || self.roll_at > now.saturating_add(2 * window) {
            self.roll(memory, now, full)?;
            self.roll_at = roll_at(now, window);
        }
        if sync || now < self.synced || now - self.synced >= SYNC_EVERY {
            self.sync_log()?;
            self.synced = now;
        }
        self.retain(memory, now)
    }

    fn sync_log(&mut self) -> io::Result<()> {
        if let Some(log) = self.log.as_mut().filter(|log| log.dirty) {
            log.file.sync_data()?;
            log.dirty = false;
        }
        Ok(())
    }

    /// Whether chunks should go to a segment before their window is over: memory or the log is nearly full of them.
    fn is_full(&self, memory: &Memory) -> bool {
        let (bound, disk) = (memory.config.max_bytes, memory.config.max_disk_bytes);
        let inner = memory.read();
        let memory_full = inner.bytes() >= bound - bound / 8 && inner.chunk_bytes() >= bound / 8;
        // One that has just been begun anew is as small as it gets.
        let log_full = |log: &Log| log.bytes > disk / 4 && log.bytes / 2 > log.begun;
        memory_full || self.log.as_ref().is_some_and(log_full)
    }

    fn append(&mut self, memory: &Memory, batch: &[u8]) -> io::Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        if self.log.is_none() {
            let number = self.next_number();
            let path = self.folder.join(log_name(number));
            let mut file = create(&path)?;
            file.write_all(&log_head(memory.read().next_id))?;
            sync_folder(&self.folder)?;
            self.log = Some(Log { path, file, bytes: LOG_HEAD as u64, begun: 0, dirty: true });
        }
        let log = self.log.as_mut().expect("it was just made");
        let framed = framed(batch);
        self.room.take(framed.len())?;
        log.file.write_all(&framed)?;
        log.bytes += framed.len() as u64;
        log.dirty = true;
        Ok(())
    }

    fn next_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }

    /// Deletes segments that are too old, and the oldest while there are too many.
    fn retain(&mut self, memory: &Memory, now: i64) -> io::Result<()> {
        let horizon = now.saturating_sub(memory.config.max_age_ms());
        let segments = Arc::clone(&memory.read().segments);
        let mut bytes = self.log_bytes() + segments.iter().map(|segment| segment.bytes).sum::<u64>();
        let mut count = segments.len();
        let (mut keep, mut gone) = (Vec::new(), Vec::new());
        for segment in segments.iter() {
            let expelled = bytes > memory.config.max_disk_bytes || count > MAX_SEGMENTS;
            if expelled || segment.foot.max <= horizon {
                bytes -= segment.bytes;
                count -= 1;
                memory.metrics.expelled_segments.inc_by(u64::from(segment.foot.max > horizon));
                gone.push(segment.path.clone());
            } else {
                keep.push(Arc::clone(segment));
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        memory.write().segments = Arc::new(Segments::new(keep));
        gone.iter().try_for_each(|path| remove(path))
    }

    fn log_bytes(&self) -> u64 {
        let length = |path: &PathBuf| fs::metadata(path).map_or(0, |file| file.len());
        self.log.as_ref().map_or(0, |log| log.bytes) + self.old_logs.iter().map(length).sum::<u64>()
    }

    fn show(&self, memory: &Memory) {
        let status = self.status(memory);
        memory.metrics.segments.set(status.segments as i64);
        memory.metrics.disk_bytes.set(i64::try_from(status.disk_bytes).unwrap_or(i64::MAX));
    }

    pub(crate) fn status(&self, memory: &Memory) -> Status {
        let segments = Arc::clone(&memory.read().segments);
        let bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
        Status {
            segments: segments.len(),
            disk_bytes: bytes + self.log_bytes(),
            failing: self.failure.as_ref().map(|failure| failure.message.clone()),
        }
    }
}

/// When chunks of the window in which a time is are closed.
fn roll_at(now: i64, window: i64) -> i64 {
    // A window that has just ended is waited for too.
    let grace = GRACE.min(window / 4);
    ((now - grace).div_euclid(window) + 1) * window + grace
}

/// Bytes at the beginning of a log.
pub(crate) const LOG_HEAD: usize = 24;

/// The head of a log: that of every file, and the first id that no series had then.
fn log_head(next_id: u64) -> [u8; LOG_HEAD] {
    let mut bytes = [0; LOG_HEAD];
    bytes[..16].copy_from_slice(&head(LOG_MAGIC, LOG_VERSION));
    bytes[16..].copy_from_slice(&next_id.to_le_bytes());
    bytes
}

/// A batch with its length and its CRC32 before it.
fn framed(batch: &[u8]) -> Vec<u8> {
    let length = u32::try_from(batch.len()).expect("what waits to be written is bounded far below 4 GiB");
    let mut bytes = Vec::with_capacity(8 + batch.len());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(batch).to_le_bytes());
    bytes.extend_from_slice(batch);
    bytes
}

fn log_name(number: u64) -> String {
    format!("log-{number:016x}")
}

fn segment_name(number: u64) -> String {
    format!("segment-{number:016x}")
}

fn create(path: &Path) -> io::Result<File> {
    fs::OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
