//! Pulls members out of a container that an unpacker has opened.
//!
//! Every pull is a call of its own with its own deadline; how many members and bytes are pulled in
//! all, and how deep, is for the caller to bound.

use std::sync::Arc;

use wasmtime::component::ResourceAny;

use crate::instance::{Bounds, Instance, Live};
use crate::{CallError, Kind, ObjectReader};

/// Bytes of one read. Larger ones leave the processor's cache and gain nothing.
const MAX_READ: u32 = 256 << 10;
/// Bytes of a member's path.
const PATH_BYTES: usize = 4096;

/// A file inside a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its path inside, at most 4096 bytes. Never a path on disk.
    pub path: String,
    /// As declared. Trust only what is read.
    pub size: Option<u64>,
}

/// An open container. Dropping it closes it in the guest.
pub struct Unpacking<'a> {
    instance: &'a mut Instance,
    container: ResourceAny,
}

impl Instance {
    /// Opens an object; none when it is no container of a type that the plugin knows.
    pub fn unpack(&mut self, object: Arc<dyn ObjectReader>) -> Result<Option<Unpacking<'_>>, CallError> {
        self.expect_kind(Kind::Unpacker, |live| live.unpacker().is_ok())?;
        let call = |live: &mut Live| {
            let own = live.store.data_mut().objects.push(object)?;
            let unpacker = live.unpacker()?;
            unpacker.call_open(&mut live.store, own)
        };
        let opened = self.call(self.pull(), 0, call, |_, container| Ok(container))?.value;
        Ok(opened.map(|container| Unpacking { instance: self, container }))
    }

    /// Bounds of the calls that open, pull and close.
    fn pull(&self) -> Bounds {
        self.quick().without_writes()
    }
}

impl Unpacking<'_> {
    /// Goes to the next member; none at the end.
    pub fn next_member(&mut self) -> Result<Option<Member>, CallError> {
        let container = self.container;
        let call = |live: &mut Live| {
            let unpacker = live.unpacker()?;
            unpacker.container().call_next(&mut live.store, container)
        };
        let member = self.instance.call(self.instance.pull(), 0, call, |_, member| Ok(member))?.value;
        let Some(member) = member else { return Ok(None) };
        if member.path.is_empty() || member.path.len() > PATH_BYTES {
            let what = format!("a member's path has {} bytes, not 1 to {PATH_BYTES}", member.path.len());
            return Err(self.instance.discard(CallError::Report { what }));
        }
        Ok(Some(Member { path: member.path, size: member.size }))
    }

    /// The next bytes of the current member, at most `len` and never more than 256 KiB; none at its
    /// end.
    pub fn read(&mut self, len: u32) -> Result<Vec<u8>, CallError> {
        let container = self.container;
        let len = len.min(MAX_READ);
        let call = |live: &mut Live| {
            let unpacker = live.unpacker()?;
            unpacker.container().call_read(&mut live.store, container, len)
        };
        let bytes = self.instance.call(self.instance.pull(), 0, call, |_, bytes| Ok(bytes))?.value;
        if bytes.len() > len as usize {
            let what = format!("{} bytes were returned where {len} were asked for", bytes.len());
            return Err(self.instance.discard(CallError::Report { what }));
        }
        Ok(bytes)
    }
}

impl Drop for Unpacking<'_> {
    fn drop(&mut self) {
        let container = self.container;
        let call = |live: &mut Live| {
            container.resource_drop(&mut live.store)?;
            Ok(Ok(()))
        };
        // A failure discards the instance, which the next call tells; there is nobody to tell here.
        let _ = self.instance.call(self.instance.pull(), 0, call, |_, ()| Ok(()));
    }
}
