//! A file under scan, as the sandbox reads it.
//!
//! Its owner may change it meanwhile, and put content and times back. So what was read only counts if the
//! file looks the same before and after each read, by the time of its last change too, which no program can
//! set back. Whether it did is remembered: a guest may take the failed read for something else.

use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use picket_sandbox::{ObjectInfo, ObjectReader, ReadError};

use super::work::{ScanTarget, StatKey};

/// The open file of a scan target. Reads are by position, so that several scanners can share it.
pub(crate) struct FileObject {
    target: Arc<ScanTarget>,
    changed: AtomicBool,
}

impl FileObject {
    /// Makes the target readable for a guest.
    pub(crate) fn new(target: Arc<ScanTarget>) -> Self {
        Self { target, changed: AtomicBool::new(false) }
    }

    /// Whether the file was another than the one whose digest was taken, at any read or check so far. What
    /// a scan of it came to is about no content in particular.
    #[cfg_attr(not(test), allow(dead_code, reason = "asked when a scan is over"))]
    pub(crate) fn changed(&self) -> bool {
        self.changed.load(Ordering::Relaxed)
    }

    /// Whether the file still is the one whose digest was taken.
    pub(crate) fn still_same(&self) -> bool {
        let now = self.target.file.metadata();
        let same = now.is_ok_and(|now| StatKey::of(&now) == self.target.stat);
        if !same {
            self.changed.store(true, Ordering::Relaxed);
        }
        same
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
        if !self.still_same() {
            return Err(ReadError::Changed);
        }
        let mut bytes = vec![0; len as usize];
        let read =
            self.target.file.read_at(&mut bytes, offset).map_err(|error| ReadError::Io(error.to_string()))?;
        bytes.truncate(read);
        if self.still_same() { Ok(bytes) } else { Err(ReadError::Changed) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::fs::{self, File};
    use std::path::Path;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::*;
    use crate::model::Digest;
    use crate::pipeline::work::ScanInfo;

    /// What the source of files to scan makes of a file.
    fn object(path: &Path) -> FileObject {
        let file = File::open(path).unwrap();
        let stat = StatKey::of(&file.metadata().unwrap());
        let sha256 = Digest::of(&fs::read(path).unwrap());
        let (size, media_type) = (stat.size, "text/plain".into());
        let info = ScanInfo { size, modified: 0, mode: 0, uid: 0, gid: 0, sha256, media_type };
        let (source, path) = ("s".into(), path.to_owned());
        FileObject::new(Arc::new(ScanTarget { source, path, file, key: sha256, stat, info }))
    }

    fn set_modified(path: &Path, time: SystemTime) {
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    #[test]
    fn a_content_that_was_put_back_has_changed_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, "good").unwrap();
        let object = object(&path);
        assert_eq!(object.read(0, 10).unwrap(), b"good");
        assert!(object.still_same() && !object.changed());
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        // The kernel's clock for files may stand still for some milliseconds.
        while object.still_same() {
            fs::write(&path, "evil").unwrap();
            set_modified(&path, modified);
        }
        assert!(matches!(object.read(0, 10), Err(ReadError::Changed)));
        assert!(object.changed());
        fs::write(&path, "good").unwrap();
        set_modified(&path, modified);
        assert!(object.changed() && !object.still_same());
    }

    #[test]
    fn files_from_before_1970_and_from_a_far_future_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let far = Duration::from_secs(600 * 366 * 24 * 3600);
        for time in [UNIX_EPOCH - Duration::from_millis(1500), UNIX_EPOCH + far] {
            fs::write(&path, "text").unwrap();
            set_modified(&path, time);
            assert_eq!(object(&path).read(0, 10).unwrap(), b"text");
        }
    }
}
