//! A file under scan, as the sandbox reads it.

use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use picket_sandbox::{ObjectInfo, ObjectReader, ReadError};

use super::work::ScanTarget;

/// The open file of a scan target. Reads are by position, so that several scanners can share it.
pub(crate) struct FileObject {
    target: Arc<ScanTarget>,
}

impl FileObject {
    /// Makes the target readable for a guest.
    pub(crate) fn new(target: Arc<ScanTarget>) -> Self {
        Self { target }
    }

    /// Size and time of change still are what they were when the digest was taken.
    fn unchanged(&self) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let info = &self.target.info;
        self.target.file.metadata().is_ok_and(|now| {
            let modified = u64::try_from(now.mtime()).unwrap_or(0) * 1_000_000_000 + now.mtime_nsec() as u64;
            now.len() == info.size && modified == info.modified
        })
    }
}

impl ObjectReader for FileObject {
    fn info(&self) -> ObjectInfo {
        let info = &self.target.info;
        ObjectInfo {
            path: self.target.path.to_string_lossy().into_owned(),
            size: info.size,
            modified: info.modified,
            mode: info.mode,
            uid: info.uid,
            gid: info.gid,
            sha256: info.sha256.to_string(),
            media_type: info.media_type.clone(),
            depth: self.target.depth(),
        }
    }

    fn read(&self, offset: u64, len: u32) -> Result<Vec<u8>, ReadError> {
        if !self.unchanged() {
            return Err(ReadError::Changed);
        }
        let mut bytes = vec![0; len as usize];
        let read =
            self.target.file.read_at(&mut bytes, offset).map_err(|error| ReadError::Io(error.to_string()))?;
        bytes.truncate(read);
        Ok(bytes)
    }
}
