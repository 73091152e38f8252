//! Files for tests of scanners and unpackers.

use std::rc::Rc;

use super::host;
use crate::bindings::imports::picket::plugin::objects::{ObjectInfo, ReadError};

/// The most that the host gives in one read.
const MAX_READ: u32 = 256 << 10;

/// A file in memory.
#[derive(Debug, Clone)]
pub struct Object {
    info: ObjectInfo,
    content: Rc<[u8]>,
}

impl Object {
    /// A regular file of root's with mode 0644, of an unknown type, modified now.
    ///
    /// The host also gives a digest and a media type; a test whose plugin looks at them sets them,
    /// since the test host computes neither.
    pub fn new(path: &str, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        let info = ObjectInfo {
            path: path.to_owned(),
            size: content.len() as u64,
            modified: host::now(),
            mode: 0o100_644,
            uid: 0,
            gid: 0,
            sha256: String::new(),
            media_type: "application/octet-stream".to_owned(),
            depth: 0,
        };
        Self { info, content: content.into() }
    }

    /// Changes what the host knows of it.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut ObjectInfo)) -> Self {
        change(&mut self.info);
        self
    }

    pub(crate) fn info(&self) -> ObjectInfo {
        self.info.clone()
    }

    pub(crate) fn read(&self, offset: u64, len: u32) -> Result<Vec<u8>, ReadError> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.content.len());
        let end = start.saturating_add(len.min(MAX_READ) as usize).min(self.content.len());
        Ok(self.content[start..end].to_vec())
    }
}
