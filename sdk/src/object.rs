//! The file under scan, as scanners and unpackers read it.

use std::cell::OnceCell;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

pub use crate::bindings::imports::picket::plugin::objects::ObjectInfo;
use crate::bindings::imports::picket::plugin::objects::ReadError;
use crate::{Error, Result};

#[cfg(target_arch = "wasm32")]
pub(crate) use crate::bindings::imports::picket::plugin::objects::Object as Handle;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::Object as Handle;

/// What a reader fetches at once: large enough that the call costs nothing beside the copy, small
/// enough to stay in the cache. The host gives at most 256 KiB.
const CHUNK: u32 = 64 << 10;

/// A file under scan. Its bytes cross into the plugin only when they are read.
pub struct Object<'a> {
    handle: Source<'a>,
    info: OnceCell<ObjectInfo>,
}

enum Source<'a> {
    Lent(&'a Handle),
    Owned(Handle),
}

impl<'a> Object<'a> {
    pub(crate) fn lent(handle: &'a Handle) -> Self {
        Self { handle: Source::Lent(handle), info: OnceCell::new() }
    }

    fn handle(&self) -> &Handle {
        match &self.handle {
            Source::Lent(handle) => handle,
            Source::Owned(handle) => handle,
        }
    }

    /// What the host knows of it; asked for once.
    pub fn info(&self) -> &ObjectInfo {
        self.info.get_or_init(|| self.handle().info())
    }

    /// The last part of its path.
    pub fn file_name(&self) -> &str {
        let path = &self.info().path;
        path.rsplit(['/', '\\']).next().unwrap_or(path)
    }

    /// The bytes from `offset`, at most `len` of them and never more than 256 KiB; fewer at the end
    /// of the file, none past it.
    pub fn read(&self, offset: u64, len: u32) -> Result<Vec<u8>> {
        self.handle().read(offset, len).map_err(|error| {
            Error::new(match error {
                ReadError::Changed => format!("`{}` changed while it was read", self.info().path),
                ReadError::Io(reason) => format!("`{}` cannot be read: {reason}", self.info().path),
            })
        })
    }

    /// Exactly the first `len` bytes, or all there are.
    pub fn head(&self, len: usize) -> Result<Vec<u8>> {
        let mut head = Vec::new();
        while head.len() < len {
            let chunk = self.read(head.len() as u64, CHUNK.min((len - head.len()) as u32))?;
            if chunk.is_empty() {
                break;
            }
            head.extend_from_slice(&chunk);
        }
        Ok(head)
    }

    /// A reader over the content, buffered and able to seek, for parsers that want one.
    pub fn reader(&self) -> Reader<&Self> {
        Reader::new(self)
    }
}

impl Object<'static> {
    pub(crate) fn owned(handle: Handle) -> Self {
        Self { handle: Source::Owned(handle), info: OnceCell::new() }
    }

    /// A reader that keeps the object, for containers that read from it between calls.
    pub fn into_reader(self) -> Reader<Self> {
        Reader::new(self)
    }
}

impl fmt::Debug for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("info", self.info()).finish()
    }
}

/// Gives a reader its object, lent or owned.
pub trait Readable {
    /// The object.
    fn object(&self) -> &Object<'_>;
}

impl Readable for &Object<'_> {
    fn object(&self) -> &Object<'_> {
        self
    }
}

impl Readable for Object<'static> {
    fn object(&self) -> &Object<'_> {
        self
    }
}

/// Reads an object through a buffer of 64 KiB. Made by [`Object::reader`].
#[derive(Debug)]
pub struct Reader<O> {
    object: O,
    position: u64,
    buffer: Vec<u8>,
    buffer_start: u64,
}

impl<O: Readable> Reader<O> {
    fn new(object: O) -> Self {
        Self { object, position: 0, buffer: Vec::new(), buffer_start: 0 }
    }

    /// The object itself.
    pub fn object(&self) -> &Object<'_> {
        self.object.object()
    }

    /// What the buffer holds from the position on, if anything.
    fn buffered(&self) -> &[u8] {
        let skip = self.position.checked_sub(self.buffer_start).and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.buffer.get(skip..)).unwrap_or_default()
    }
}

impl<O: Readable> Read for Reader<O> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        if self.buffered().is_empty() {
            self.buffer =
                self.object().read(self.position, CHUNK).map_err(|e| io::Error::other(e.to_string()))?;
            self.buffer_start = self.position;
        }
        let bytes = self.buffered();
        let len = bytes.len().min(out.len());
        out[..len].copy_from_slice(&bytes[..len]);
        self.position += len as u64;
        Ok(len)
    }
}

impl<O: Readable> Seek for Reader<O> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.object().info().size.checked_add_signed(by),
        };
        let outside =
            || io::Error::new(io::ErrorKind::InvalidInput, "seek to before the start of the object");
        self.position = target.ok_or_else(outside)?;
        Ok(self.position)
    }
}
