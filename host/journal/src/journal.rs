//! The writer: appends, syncs, starts and deletes segments.

use std::path::Path;
use std::sync::Arc;

use crate::format::{HEADER_BYTES, Header, MAX_RECORD_BYTES, RECORD_HEADER_BYTES, encode_record};
use crate::tail::{Shared, Tail};
use crate::{File, FileSystem, JournalError, Position, Repair, recovery};

/// Bounds of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// The first record after a sync that would extend a segment beyond this many bytes starts a new
    /// one. Records that share a sync share a segment, so that a failed sync fails all of them; a
    /// segment is therefore larger by at most what is appended between two syncs. Deletion frees
    /// whole segments.
    pub segment_bytes: u64,
    /// The longest payload; at most [`MAX_RECORD_BYTES`]. Readers need memory for one.
    pub max_record_bytes: u32,
}

impl Default for Config {
    /// Segments of 64 MiB. Records of 32 MiB: a commit with a snapshot of 16 MiB and as much in
    /// results.
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, max_record_bytes: 32 << 20 }
    }
}

/// The segment that is written to.
struct Active {
    number: u64,
    file: Box<dyn File>,
    /// Where the next record goes.
    written: u64,
    /// Up to where it was synced; 0 while the file's name in the folder is not durable either.
    durable: u64,
}

/// The only writer of a folder. See the [crate's documentation](crate) for format and promises.
pub struct Journal {
    config: Config,
    shared: Arc<Shared>,
    /// `None`: the next record starts a new segment.
    active: Option<Active>,
    /// No segment with this number or a lower one may be made.
    last_number: u64,
    /// Records that were appended, but not synced, are gone.
    lost: bool,
    /// Segments that were never durable and could not be removed yet.
    void: Vec<u64>,
    /// A segment was deleted, and the folder was not synced since.
    unsynced_removal: bool,
    buffer: Vec<u8>,
    _lock: Box<dyn Send + Sync>,
}

impl Journal {
    /// Opens the journal in a folder, which is made when missing, and repairs its end. Fails when
    /// another writer has it, when a newer version wrote it, or when the file system does.
    pub fn open(fs: Arc<dyn FileSystem>, dir: &Path, config: Config) -> Result<(Self, Repair), JournalError> {
        let (found, lock) = recovery::recover(fs.as_ref(), dir)?;
        let active =
            found.resume.map(|(number, file, end)| Active { number, file, written: end, durable: end });
        let journal = Self {
            config: Config { max_record_bytes: config.max_record_bytes.min(MAX_RECORD_BYTES), ..config },
            shared: Arc::new(Shared::new(fs, dir.to_owned(), found.ends)),
            active,
            last_number: found.last_number,
            lost: false,
            void: Vec::new(),
            unsynced_removal: false,
            buffer: Vec::new(),
            _lock: lock,
        };
        Ok((journal, found.repair))
    }

    /// Appends a record and returns where it ends. It is not durable, and no reader sees it, before
    /// the next [`sync`](Self::sync) has returned.
    ///
    /// After an error this record is not in the journal; those appended before it still are, unless
    /// the error of the next call is [`JournalError::Lost`].
    pub fn append(&mut self, payload: &[u8]) -> Result<Position, JournalError> {
        if self.lost {
            return Err(JournalError::Lost);
        }
        if payload.is_empty() {
            return Err(JournalError::Empty);
        }
        if payload.len() > self.config.max_record_bytes as usize {
            let limit = u64::from(self.config.max_record_bytes);
            return Err(JournalError::TooLarge { bytes: payload.len() as u64, limit });
        }
        let record_bytes = RECORD_HEADER_BYTES + payload.len() as u64;
        let mut active = self.segment_for(record_bytes)?;
        let at = Position { segment: active.number, offset: active.written };
        encode_record(at, payload, &mut self.buffer);
        if let Err(error) = active.file.write_at(&self.buffer, at.offset) {
            let path = self.shared.path(at.segment);
            if active.file.set_length(at.offset).is_ok() {
                self.active = Some(active);
            } else {
                self.abandon(active);
            }
            return Err(JournalError::io("cannot write to the segment", &path)(error));
        }
        active.written += record_bytes;
        let end = Position { segment: active.number, offset: active.written };
        self.active = Some(active);
        Ok(end)
    }

    /// Makes everything appended so far durable and shows it to readers. Returns the durable end.
    ///
    /// After an error none of the records since the last successful sync counts.
    pub fn sync(&mut self) -> Result<Position, JournalError> {
        if std::mem::take(&mut self.lost) {
            return Err(JournalError::Lost);
        }
        if let Some(active) = self.active.take_if(|active| active.written > active.durable) {
            if let Err(error) = self.sync_segment(&active) {
                self.abandon(active);
                // Who asked for the sync learns of the loss by this error.
                self.lost = false;
                return Err(error);
            }
            let end = Position { segment: active.number, offset: active.written };
            self.active = Some(Active { durable: active.written, ..active });
            self.shared.update(|ends| {
                ends.segments.insert(end.segment, end.offset);
                ends.durable = end;
            });
        }
        Ok(self.durable_end())
    }

    /// The readers' side.
    pub fn tail(&self) -> Tail {
        Tail { shared: self.shared.clone() }
    }

    /// Where the last durable record ends.
    pub fn durable_end(&self) -> Position {
        self.shared.ends().durable
    }

    /// Where the oldest segment begins; the durable end when there is none.
    pub fn first(&self) -> Position {
        self.tail().first()
    }

    /// How many bytes the segments hold together.
    pub fn bytes(&self) -> u64 {
        let unsynced = self.active.as_ref().map_or(0, |active| active.written - active.durable);
        self.shared.ends().segments.values().sum::<u64>() + unsynced
    }

    /// Deletes the segments that lie wholly before a position, except the one being written.
    /// Returns how many bytes that has freed.
    pub fn delete_before(&mut self, position: Position) -> Result<u64, JournalError> {
        let mut freed = 0;
        self.remove_void()?;
        self.sync_removal()?;
        while let Some((segment, end)) = self.oldest_before(position) {
            // Readers must have lost sight of it before the file goes: see `Reader::was_deleted`.
            self.shared.update(|ends| {
                ends.segments.remove(&segment);
            });
            let path = self.shared.path(segment);
            if let Err(error) = self.shared.fs.remove(&path) {
                self.shared.update(|ends| {
                    ends.segments.insert(segment, end);
                });
                return Err(JournalError::io("cannot delete the segment", &path)(error));
            }
            freed += end;
            // One by one: a power cut may bring back the last one only, which leaves no gap.
            self.unsynced_removal = true;
            self.sync_removal()?;
        }
        Ok(freed)
    }

    /// Makes sure that all records to come lie behind a position: for when somebody has kept one
    /// that this journal has not reached, because its end was damaged or its folder was emptied.
    pub fn advance_past(&mut self, position: Position) -> Result<(), JournalError> {
        if position > self.durable_end() {
            self.sync()?;
            self.active = None;
            self.last_number = self.last_number.max(position.segment);
        }
        Ok(())
    }

    /// Void segments are known by the header of the segment behind them, so they must go first.
    fn remove_void(&mut self) -> Result<(), JournalError> {
        while let Some(&segment) = self.void.last() {
            let path = self.shared.path(segment);
            match self.shared.fs.remove(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(JournalError::io("cannot delete the void segment", &path)(error));
                }
                _ => self.void.pop(),
            };
        }
        Ok(())
    }

    fn sync_removal(&mut self) -> Result<(), JournalError> {
        if self.unsynced_removal {
            let folder = &self.shared.dir;
            self.shared.fs.sync_folder(folder).map_err(JournalError::io("cannot sync the folder", folder))?;
            self.unsynced_removal = false;
        }
        Ok(())
    }

    fn oldest_before(&self, position: Position) -> Option<(u64, u64)> {
        let active = self.active.as_ref().map(|active| active.number);
        let ends = self.shared.ends();
        let (&segment, &end) = ends.segments.first_key_value()?;
        // The durable end must stay in sight, so that the next header can name it.
        let passed = segment < position.segment || segment == position.segment && end <= position.offset;
        (passed && segment != ends.durable.segment && Some(segment) != active).then_some((segment, end))
    }

    /// Takes the segment that the next record goes to: the active one or, when that is full or
    /// missing, a new one.
    fn segment_for(&mut self, record_bytes: u64) -> Result<Active, JournalError> {
        let has_room = |active: &Active| {
            let pending = active.written > active.durable;
            pending || active.written + record_bytes <= self.config.segment_bytes
        };
        if let Some(active) = self.active.take_if(|active| has_room(active)) {
            return Ok(active);
        }
        self.active = None;
        self.start_segment()
    }

    fn start_segment(&mut self) -> Result<Active, JournalError> {
        let number = self.last_number + 1;
        let path = self.shared.path(number);
        let file =
            self.shared.fs.create(&path).map_err(JournalError::io("cannot make the segment", &path))?;
        self.last_number = number;
        let header = Header { segment: number, previous: self.durable_end() };
        if let Err(error) = file.write_at(&header.encode(), 0) {
            self.void.push(number);
            let _ = self.remove_void();
            return Err(JournalError::io("cannot write to the segment", &path)(error));
        }
        Ok(Active { number, file, written: HEADER_BYTES, durable: 0 })
    }

    fn sync_segment(&self, active: &Active) -> Result<(), JournalError> {
        let path = self.shared.path(active.number);
        active.file.sync().map_err(JournalError::io("cannot sync the segment", &path))?;
        if active.durable == 0 {
            let folder = &self.shared.dir;
            self.shared.fs.sync_folder(folder).map_err(JournalError::io("cannot sync the folder", folder))?;
        }
        Ok(())
    }

    /// Leaves a segment at its durable end. That end counts because the next segment's header will
    /// name it; cutting the file as well only spares a start after a crash the trouble.
    fn abandon(&mut self, active: Active) {
        self.lost = active.written > active.durable.max(HEADER_BYTES);
        self.active = None;
        if active.durable == 0 {
            self.void.push(active.number);
            let _ = self.remove_void();
        } else {
            let _ = active.file.set_length(active.durable);
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.update(|ends| ends.closed = true);
    }
}
