//! Looks at a file on disk that is to be scanned, and gives it to all who want it.

use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::examine::{self, Unscannable, scan_key};
use super::{DirectorySource, StatKey};
use crate::pipeline::work::ScanTarget;

/// Files reported as skipped that are remembered, so that each is reported once.
const MAX_REPORTED: usize = 10_000;

impl DirectorySource {
    /// Gives a settled file to the scanners that want it.
    pub(super) fn scan(&mut self, path: &Path, metadata: &Metadata) {
        let known = self.parts.log.digest_of(path, &StatKey::of(metadata));
        let wanted = known.map(|digest| self.wanted(path, &scan_key(path, metadata, &digest), None));
        if wanted.as_ref().is_some_and(Vec::is_empty) {
            self.parts.metrics.skipped("unchanged");
            return;
        }
        if self.put_off(path, wanted.as_deref()) {
            return;
        }
        let target = match self.examine(path) {
            Ok(target) => target,
            Err(reason) => return self.refuse(path, metadata, reason),
        };
        self.attempts.forget("", path);
        for task in self.wanted(path, &target.key, None) {
            self.give(task, &target);
        }
    }

    fn examine(&self, path: &Path) -> Result<Arc<ScanTarget>, Unscannable> {
        let base = self.parts.config.globs.base(path);
        let opened = examine::open(&base, path, self.parts.config.max_file_bytes)?;
        let key = opened.key();
        let known = self.parts.log.digest_of(path, &key);
        let target =
            opened.examine(&self.parts.name, known, &mut || !self.parts.stop.load(Ordering::Relaxed))?;
        if known.is_none() {
            self.parts.log.remember(path, &key, &target.info.sha256);
        }
        Ok(Arc::new(target))
    }

    fn refuse(&mut self, path: &Path, metadata: &Metadata, reason: Unscannable) {
        match reason {
            Unscannable::TooLarge { size, .. } => self.tell_too_large(path, metadata, size, &reason),
            Unscannable::NotRegular => self.parts.metrics.skipped("not-regular"),
            Unscannable::Changed if self.stopped() => {}
            Unscannable::Changed => self.changed("", path, metadata),
            Unscannable::Io(error) if error.kind() == io::ErrorKind::NotFound => {}
            Unscannable::Io(error) => self.problem_with(path, &error),
        }
    }

    /// Once for each file; again if it could not be committed.
    fn tell_too_large(&mut self, path: &Path, metadata: &Metadata, size: u64, reason: &Unscannable) {
        let key = StatKey::of(metadata);
        if self.reported.contains(&key) {
            return;
        }
        if self.parts.log.skipped(&self.parts.name, path, size, &reason.to_string()) {
            if self.reported.len() >= MAX_REPORTED {
                self.reported.clear();
            }
            self.reported.insert(key);
            self.parts.metrics.skipped("too-large");
        }
    }
}
