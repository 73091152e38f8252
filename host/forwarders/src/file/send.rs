//! Writes batches to the file so that it can be cut back to the last one that was accepted.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::config::{Config, MAX_KEEP, MIN_ROTATE_BYTES};
use super::{encode, rotate};
use crate::{Batch, Forwarder, SendError, Sent, explained};
use picket_model::FrameKind;

/// Results can hold what logs hold: they are for the agent's user and those in its group.
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;

/// The `file` forwarder's hands.
pub struct FileForwarder {
    config: Config,
    output: Option<Output>,
    /// Lines of one batch; kept for its memory.
    buffer: Vec<u8>,
}

/// The file that is open.
struct Output {
    file: File,
    device: u64,
    inode: u64,
    /// Up to here everything was accepted.
    length: u64,
    /// No stored note tells of this file and length yet.
    unnoted: bool,
}

/// What is stored with the cursor: which file, whatever its name is by now, and how much of it
/// belongs to accepted batches.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    device: u64,
    inode: u64,
    length: u64,
}

impl FileForwarder {
    /// Opens nothing yet.
    pub fn new(config: Config) -> Self {
        Self { config, output: None, buffer: Vec::new() }
    }

    fn failed(&self, what: &str) -> impl Fn(io::Error) -> SendError + use<> {
        let context = format!("cannot {what} {}", self.config.path.display());
        move |error| SendError::later(format!("{context}: {}", explained(&error)))
    }

    /// Opens the file at its path, or makes it.
    fn open(&self) -> io::Result<Output> {
        let path = &self.config.path;
        let mut options = OpenOptions::new();
        options.append(true).read(true).mode(FILE_MODE);
        let file = match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = folder(path);
                fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
                let file = options.create_new(true).open(path)?;
                // Whatever the process's mask is.
                file.set_permissions(fs::Permissions::from_mode(FILE_MODE))?;
                File::open(folder)?.sync_all()?;
                file
            }
            opened => opened?,
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no regular file; choose another `path`"));
        }
        let (device, inode) = (metadata.dev(), metadata.ino());
        Ok(Output { file, device, inode, length: metadata.len(), unnoted: true })
    }

    /// Takes back what was written after the note was made, for all of that is sent again. May be stopped
    /// at any point and called again: the file that the note names goes last.
    fn cut_back(&self, mut output: Output, note: &Note) -> io::Result<Output> {
        if note.is_of(output.device, output.inode) {
            output.cut(note.length)?;
            output.unnoted = output.length != note.length;
            return Ok(output);
        }
        let path = &self.config.path;
        let aside = |number| rotate::aside(path, number);
        let is_noted = |number: &u32| {
            fs::metadata(aside(*number)).is_ok_and(|found| note.is_of(found.dev(), found.ino()))
        };
        // Nobody knows what another file holds, so without the noted one nothing is taken back.
        let Some(noted) = (1..=self.config.keep.min(MAX_KEEP)).find(is_noted) else { return Ok(output) };
        for newer in (1..noted).rev().map(aside).chain([path.clone()]) {
            remove(&newer)?;
        }
        let file = OpenOptions::new().write(true).open(aside(noted))?;
        if file.metadata()?.len() > note.length {
            file.set_len(note.length)?;
            file.sync_all()?;
        }
        self.open()
    }

    /// The file may have been moved, removed or cut by others, who need not tell us.
    fn look_after(&self, mut output: Output) -> io::Result<Output> {
        let metadata = match fs::metadata(&self.config.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.open(),
            found => found?,
        };
        if (metadata.dev(), metadata.ino()) != (output.device, output.inode) {
            return self.open();
        }
        if metadata.len() != output.length {
            output.length = metadata.len();
            output.unnoted = true;
        }
        if output.length >= self.config.rotate_bytes.0.max(MIN_ROTATE_BYTES) {
            rotate::put_aside(&self.config.path, self.config.keep.min(MAX_KEEP))?;
            return self.open();
        }
        Ok(output)
    }
}

impl Forwarder for FileForwarder {
    fn wants(&self, kind: FrameKind) -> bool {
        self.config.include.contains(&kind)
    }

    fn resume(&mut self, note: &[u8]) -> Result<(), SendError> {
        self.output = None;
        let mut output = self.open().map_err(self.failed("open"))?;
        if !note.is_empty() {
            let note: Note = rmp_serde::from_slice(note).map_err(|error| {
                SendError::later(format!(
                    "what is stored about {} cannot be read: {error}: remove this forwarder from the \
                     configuration, or give it another name, to begin anew",
                    self.config.path.display()
                ))
            })?;
            output = self.cut_back(output, &note).map_err(self.failed("cut back"))?;
        }
        self.output = Some(output);
        Ok(())
    }

    fn prepare(&mut self) -> Result<Option<Vec<u8>>, SendError> {
        let output = match self.output.take() {
            Some(output) => self.look_after(output),
            None => self.open(),
        };
        let output = self.output.insert(output.map_err(self.failed("look after"))?);
        let note = output.unnoted.then(|| output.note());
        output.unnoted = false;
        Ok(note)
    }

    fn send(&mut self, batch: &Batch) -> Result<Sent, SendError> {
        self.buffer.clear();
        for frame in &batch.frames {
            encode::line(frame, &mut self.buffer);
        }
        let failed = self.failed("write");
        let Some(output) = &mut self.output else {
            return Err(SendError::later("the file is not open"));
        };
        output.file.write_all(&self.buffer).and_then(|()| output.file.sync_data()).map_err(failed)?;
        output.length += self.buffer.len() as u64;
        self.buffer.shrink_to(MAX_KEPT_BUFFER);
        Ok(Sent::noted(output.note()))
    }

    fn probe(&mut self) -> Result<String, SendError> {
        // `check` looks at the target without making it; see `agent::check`.
        Ok("a file".to_owned())
    }
}

/// A batch with a huge record must not cost its memory for ever.
const MAX_KEPT_BUFFER: usize = 2 << 20;

impl Output {
    fn note(&self) -> Vec<u8> {
        let note = Note { device: self.device, inode: self.inode, length: self.length };
        rmp_serde::to_vec(&note).expect("plain data always encodes into memory")
    }

    /// A file that is shorter than it should be was cut by others: nothing to take back.
    fn cut(&mut self, length: u64) -> io::Result<()> {
        if self.length > length {
            self.file.set_len(length)?;
            self.file.sync_all()?;
            self.length = length;
        }
        Ok(())
    }
}

impl Note {
    fn is_of(&self, device: u64, inode: u64) -> bool {
        (self.device, self.inode) == (device, inode)
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
