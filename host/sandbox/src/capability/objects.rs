//! The file under scan, as scanners and unpackers see it.
//!
//! A scanner borrows the object for one call; an unpacker is given it for as long as its container
//! is open. Bytes come from the agent's [`ObjectReader`], which may wait for the disk: the deadline
//! is looked at before and after.

use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};

use super::HostState;
use crate::bindings::objects;
use crate::call::Deadline;

/// Bytes of one read. Larger ones leave the processor's cache and gain nothing.
const MAX_READ: u32 = 256 << 10;

/// What the host knows of an object: see `object-info` in `wit/scanner.wit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its path; for a member of a container the container's path, `!/` and the member's.
    pub path: String,
    /// In bytes, when the scan began.
    pub size: u64,
    /// Unix time in nanoseconds.
    pub modified: u64,
    /// Permission bits and file type as in POSIX `st_mode`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Of the whole content, in lower-case hexadecimal.
    pub sha256: String,
    /// The type that the first bytes tell.
    pub media_type: String,
    /// How deep in containers it lies; 0 for a file on disk.
    pub depth: u32,
}

/// Why bytes of an object could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The file changed or vanished under the scan.
    #[error("the file changed under the scan")]
    Changed,
    /// The operating system's own words.
    #[error("{0}")]
    Io(String),
}

/// An object that can be scanned. The agent implements it over an open file.
pub trait ObjectReader: Send + Sync {
    /// What is known of it.
    fn info(&self) -> ObjectInfo;

    /// The bytes from `offset`, at most `len`; fewer at the end, none past it. `len` is at most
    /// 256 KiB. More than `len` are cut.
    fn read(&self, offset: u64, len: u32) -> Result<Vec<u8>, ReadError>;
}

/// What a guest's `object` handle stands for.
#[allow(unreachable_pub, reason = "the generated bindings name it again, publicly")]
pub struct Object(Arc<dyn ObjectReader>);

/// The objects lent or given to an instance now.
pub(crate) struct ObjectsContext {
    table: ResourceTable,
    deadline: Deadline,
}

impl ObjectsContext {
    pub(crate) fn new(deadline: Deadline) -> Self {
        Self { table: ResourceTable::new(), deadline }
    }

    /// A handle for a guest. Only the host makes them, one a call, so the table stays small.
    pub(crate) fn push(&mut self, reader: Arc<dyn ObjectReader>) -> wasmtime::Result<Resource<Object>> {
        Ok(self.table.push(Object(reader))?)
    }

    /// Takes a lent object back.
    pub(crate) fn take_back(&mut self, object: Resource<Object>) -> wasmtime::Result<()> {
        self.table.delete(object)?;
        Ok(())
    }
}

impl objects::Host for ObjectsContext {}

impl objects::HostObject for ObjectsContext {
    fn info(&mut self, object: Resource<Object>) -> wasmtime::Result<objects::ObjectInfo> {
        let info = self.table.get(&object)?.0.info();
        Ok(objects::ObjectInfo {
            path: info.path,
            size: info.size,
            modified: info.modified,
            mode: info.mode,
            uid: info.uid,
            gid: info.gid,
            sha256: info.sha256,
            media_type: info.media_type,
            depth: info.depth,
        })
    }

    fn read(
        &mut self,
        object: Resource<Object>,
        offset: u64,
        len: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, objects::ReadError>> {
        self.deadline.check()?;
        let len = len.min(MAX_READ);
        let read = self.table.get(&object)?.0.read(offset, len);
        self.deadline.check()?;
        Ok(match read {
            Ok(mut bytes) => {
                bytes.truncate(len as usize);
                Ok(bytes)
            }
            Err(ReadError::Changed) => Err(objects::ReadError::Changed),
            Err(ReadError::Io(words)) => Err(objects::ReadError::Io(words)),
        })
    }

    fn drop(&mut self, object: Resource<Object>) -> wasmtime::Result<()> {
        self.take_back(object)
    }
}

pub(crate) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    objects::add_to_linker::<_, HasSelf<ObjectsContext>>(linker, |host| &mut host.objects)
}
