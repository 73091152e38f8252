//! What [`Journal::open`](crate::Journal::open) does with the files it finds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::format::{FORMAT_VERSION, HEADER_BYTES, Header, HeaderError, RECORD_HEADER_BYTES};
use crate::tail::{Ends, segment_name};
use crate::window::Window;
use crate::{File, FileSystem, JournalError, Position};

/// What a start found damaged, and what it did about it. After a clean stop nothing; after a crash
/// usually the end of the last segment, where something was written but not synced.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Repair {
    /// Bytes cut off behind the last good record.
    pub cut_bytes: u64,
    /// Where they were cut off.
    pub cut_at: Option<Position>,
    /// Segments removed because they hold only what was never durable or was reported as failed.
    pub removed_segments: u64,
    /// Last segments with content but a damaged header, which were renamed to these.
    pub set_aside: Vec<PathBuf>,
    /// Older segments whose header is damaged. Their records are read all the same.
    pub damaged_headers: u64,
}

impl Repair {
    /// Whether nothing had to be done.
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return f.write_str("nothing to repair");
        }
        write!(f, "cut {} bytes", self.cut_bytes)?;
        if let Some(at) = self.cut_at {
            write!(f, " at {at}")?;
        }
        write!(f, ", removed {} void segments", self.removed_segments)?;
        for path in &self.set_aside {
            write!(f, ", set aside {}", path.display())?;
        }
        if self.damaged_headers > 0 {
            write!(f, ", found {} older segments with a damaged header", self.damaged_headers)?;
        }
        Ok(())
    }
}

pub(crate) struct Found {
    pub(crate) ends: Ends,
    /// The segment to go on writing to, and its end. `None`: start a new one.
    pub(crate) resume: Option<(u64, Box<dyn File>, u64)>,
    pub(crate) last_number: u64,
    pub(crate) repair: Repair,
}

/// Locks the folder, then finds and repairs what is in it.
pub(crate) fn recover(
    fs: &dyn FileSystem,
    dir: &Path,
) -> Result<(Found, Box<dyn Send + Sync>), JournalError> {
    fs.create_folder(dir).map_err(JournalError::io("cannot make the folder", dir))?;
    let lock = fs.lock(&dir.join("lock")).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => JournalError::Held { dir: dir.to_owned() },
        _ => JournalError::io("cannot lock the folder", dir)(error),
    })?;
    let mut segments = Segments::load(fs, dir)?;
    let mut repair = Repair::default();
    let last_number = segments.headers.keys().next_back().copied().unwrap_or(0);
    segments.drop_headless_end(&mut repair)?;
    let mut ends = Ends { segments: segments.drop_void(&mut repair)?, ..Ends::default() };
    let resume = match segments.headers.keys().next_back() {
        None => None,
        Some(&last) => {
            let (end, resume) = segments.repair_end(last, &mut repair)?;
            ends.segments.insert(last, end);
            ends.durable = Position { segment: last, offset: end };
            // With a number missing behind it, a new segment keeps positions growing.
            resume.filter(|_| last == last_number).map(|file| (last, file, end))
        }
    };
    fs.sync_folder(dir).map_err(JournalError::io("cannot sync the folder", dir))?;
    Ok((Found { ends, resume, last_number, repair }, lock))
}

/// Looks at the headers in a folder without changing or locking anything: fails as
/// [`Journal::open`](crate::Journal::open) would for a journal of a newer version. A folder that does not
/// exist is fine.
pub fn inspect(fs: &dyn FileSystem, dir: &Path) -> Result<(), JournalError> {
    match Segments::load(fs, dir) {
        Err(JournalError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        loaded => loaded.map(|_| ()),
    }
}

/// The segments in the folder, with their headers where these are whole.
struct Segments<'a> {
    fs: &'a dyn FileSystem,
    dir: &'a Path,
    headers: BTreeMap<u64, Option<Header>>,
}

impl<'a> Segments<'a> {
    fn load(fs: &'a dyn FileSystem, dir: &'a Path) -> Result<Self, JournalError> {
        let names = fs.list(dir).map_err(JournalError::io("cannot list the folder", dir))?;
        let numbers = names.iter().filter_map(|name| {
            let number = name.strip_suffix(".journal")?.parse().ok()?;
            (number > 0 && *name == segment_name(number)).then_some(number)
        });
        let mut segments = Self { fs, dir, headers: BTreeMap::new() };
        for number in numbers.collect::<BTreeSet<u64>>() {
            let header = segments.header(number)?;
            segments.headers.insert(number, header);
        }
        Ok(segments)
    }

    fn path(&self, segment: u64) -> PathBuf {
        self.dir.join(segment_name(segment))
    }

    fn open(&self, segment: u64, write: bool) -> Result<Box<dyn File>, JournalError> {
        let path = self.path(segment);
        self.fs.open(&path, write).map_err(JournalError::io("cannot open the segment", &path))
    }

    fn length(&self, segment: u64) -> Result<u64, JournalError> {
        let path = self.path(segment);
        self.open(segment, false)?.length().map_err(JournalError::io("cannot read the length of", &path))
    }

    fn header(&self, segment: u64) -> Result<Option<Header>, JournalError> {
        let path = self.path(segment);
        let mut bytes = [0; HEADER_BYTES as usize];
        let read = self.open(segment, false)?.read_at(&mut bytes, 0);
        let read = read.map_err(JournalError::io("cannot read the header of", &path))?;
        match Header::decode(&bytes[..read]) {
            Ok(header) => Ok(Some(header).filter(|header| header.segment == segment)),
            Err(HeaderError::Damaged) => Ok(None),
            Err(HeaderError::Newer(found)) => {
                Err(JournalError::NewerVersion { path, found, known: FORMAT_VERSION })
            }
        }
    }

    fn remove(&mut self, segment: u64, repair: &mut Repair) -> Result<(), JournalError> {
        let path = self.path(segment);
        self.fs.remove(&path).map_err(JournalError::io("cannot remove the void segment", &path))?;
        self.headers.remove(&segment);
        repair.removed_segments += 1;
        Ok(())
    }

    /// Takes away last segments without a good header: a crash while they were being made, or, when
    /// they hold more than that, damage that people may want to look at.
    fn drop_headless_end(&mut self, repair: &mut Repair) -> Result<(), JournalError> {
        while let Some((&last, None)) = self.headers.last_key_value() {
            if self.length(last)? <= HEADER_BYTES {
                self.remove(last, repair)?;
                continue;
            }
            let path = self.path(last);
            let aside = path.with_extension("damaged");
            self.fs.rename(&path, &aside).map_err(JournalError::io("cannot set aside the segment", &path))?;
            self.headers.remove(&last);
            repair.set_aside.push(aside);
        }
        Ok(())
    }

    /// Follows the headers backwards. Removes segments that lie between a segment and the one it
    /// names as its predecessor, and returns the ends of all but the last.
    fn drop_void(&mut self, repair: &mut Repair) -> Result<BTreeMap<u64, u64>, JournalError> {
        let mut ends = BTreeMap::new();
        let Some(mut current) = self.headers.keys().next_back().copied() else {
            return Ok(ends);
        };
        while let Some(older) = self.headers.range(..current).next_back().map(|(&number, _)| number) {
            match self.headers[&current] {
                Some(header) if header.previous.segment < older => {
                    self.remove(older, repair)?;
                    continue;
                }
                Some(header) if header.previous.segment == older => {
                    ends.insert(older, header.previous.offset);
                }
                // Its successor was deleted or cannot be asked: all of the file counts.
                Some(_) => {
                    ends.insert(older, self.length(older)?);
                }
                None => {
                    repair.damaged_headers += 1;
                    ends.insert(older, self.length(older)?);
                }
            }
            current = older;
        }
        repair.damaged_headers += u64::from(self.headers[&current].is_none());
        Ok(ends)
    }

    /// Checks the records of the last segment, cuts off what follows the last good one, and makes
    /// what is left durable. Returns its end, and the file unless something was cut.
    fn repair_end(
        &self,
        last: u64,
        repair: &mut Repair,
    ) -> Result<(u64, Option<Box<dyn File>>), JournalError> {
        let path = self.path(last);
        let file = self.open(last, true)?;
        let length = file.length().map_err(JournalError::io("cannot read the length of", &path))?;
        let mut window = Window::default();
        let mut at = Position { segment: last, offset: HEADER_BYTES };
        while let Some(payload) = window
            .record(file.as_ref(), at, length)
            .map_err(JournalError::io("cannot read the segment", &path))?
        {
            at.offset += RECORD_HEADER_BYTES + payload.len() as u64;
        }
        if at.offset < length {
            repair.cut_bytes = length - at.offset;
            repair.cut_at = Some(at);
            file.set_length(at.offset).map_err(JournalError::io("cannot cut the segment", &path))?;
        }
        // After `kill -9` the last records may be in the system's cache only.
        file.sync().map_err(JournalError::io("cannot sync the segment", &path))?;
        Ok((at.offset, (at.offset == length).then_some(file)))
    }
}
