//! Takes in what the kernel tells and what plugins have done, and lets files wait until they settle.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::super::attempts::MAX_CHANGED;
use super::super::under_way::{Busy, Errand};
use super::{DirectorySource, StatKey};
use crate::pipeline::work::ScanDone;
use crate::sources::watch::Watch;

/// Files that wait to settle. Beyond it a walk finds them again.
const MAX_WAITING: usize = 10_000;
/// New folders that wait to be walked. When more appear, everything is walked.
const MAX_APPEARED: usize = 1000;

impl DirectorySource {
    /// Takes in all that was told since the last time.
    pub(super) fn take_notice(&mut self) {
        let changes = self.folders.as_mut().map(Watch::changes).unwrap_or_default();
        if changes.overflow {
            self.next_walk = Instant::now();
        }
        for path in changes.paths {
            match fs::symlink_metadata(&path) {
                // A new folder, or one with new permissions: what is in it by now was not told.
                Ok(metadata) if metadata.is_dir() => self.appear(path),
                Ok(metadata) if metadata.is_file() && self.parts.config.globs.matches(&path) => {
                    self.settle(path, &metadata);
                }
                _ => {}
            }
        }
        let done: Vec<ScanDone> = self.done.1.try_iter().collect();
        done.into_iter().for_each(|done| self.take_done(done));
    }

    fn appear(&mut self, folder: PathBuf) {
        if self.appeared.len() < MAX_APPEARED {
            self.appeared.insert(folder);
        } else {
            self.next_walk = Instant::now();
        }
    }

    fn take_done(&mut self, done: ScanDone) {
        let Some(busy) = self.under_way.end(&Errand::of(&done)) else { return };
        if let (true, Some(record)) = (done.committed, &done.record) {
            self.parts.log.judged(record);
        }
        if done.member.is_some() {
            // Its path is none on disk, and nothing comes of it by itself: the container comes again.
            if !done.committed {
                busy.twins.iter().for_each(|container| container.fail());
            }
        } else {
            self.take_file_done(&done, &busy);
        }
    }

    fn take_file_done(&mut self, done: &ScanDone, busy: &Busy) {
        let ScanDone { plugin, path, committed, .. } = done;
        let now = fs::symlink_metadata(path).ok().filter(Metadata::is_file);
        let Some(metadata) = now.filter(|_| busy.again || !committed) else {
            return self.attempts.forget(plugin, path);
        };
        if *committed {
            self.attempts.forget(plugin, path);
            self.settle(path.clone(), &metadata);
        } else if StatKey::of(&metadata) != busy.stat {
            self.changed(plugin, path, &metadata);
        } else {
            let long = self.attempts.failed(plugin, path, busy.about, Instant::now());
            // What was left out meanwhile need not wait for that.
            self.retry(path, if busy.again { self.parts.config.settle } else { long });
        }
    }

    /// A file changed during an attempt. It is tried again when it has settled, but whoever changes it all
    /// the time must not keep it from being noticed.
    pub(super) fn changed(&mut self, plugin: &str, path: &Path, metadata: &Metadata) {
        if self.attempts.changed(plugin, path) {
            let reason =
                format!("it changes all the time: it did during each of {MAX_CHANGED} attempts to scan it");
            if self.parts.log.skipped(&self.parts.name, path, metadata.len(), &reason) {
                self.parts.metrics.skipped("changing");
                self.attempts.told(path);
            }
        }
        self.settle(path.to_owned(), metadata);
    }

    /// Lets a file wait until it does not change any more.
    pub(super) fn settle(&mut self, path: PathBuf, metadata: &Metadata) {
        let (now, settle) = (Instant::now(), self.parts.config.settle);
        if self.has_place_for(&path, settle) {
            self.waiting.settle(path, now, settle, StatKey::of(metadata));
        }
    }

    /// Lets a file wait for so long, if it does not wait already.
    pub(super) fn retry(&mut self, path: &Path, long: Duration) {
        if self.has_place_for(path, long) {
            self.waiting.retry(path, Instant::now() + long);
        }
    }

    fn has_place_for(&mut self, path: &Path, long: Duration) -> bool {
        let has_place = self.waiting.len() < MAX_WAITING || self.waiting.contains(path);
        if !has_place {
            self.next_walk = self.next_walk.min(Instant::now() + long);
        }
        has_place
    }

    /// Scans what has settled, and what has been touched for so long that it will not.
    pub(super) fn scan_settled(&mut self, now: Instant) {
        for path in self.waiting.due(now) {
            if self.stopped() {
                return;
            }
            let Some(entry) = self.waiting.remove(&path) else { continue };
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            let key = StatKey::of(&metadata);
            if entry.key.is_none_or(|before| before == key) || entry.is_overdue(now) {
                self.scan(&path, &metadata);
            } else {
                self.waiting.postpone(path, now, self.parts.config.settle, entry.with(key));
            }
        }
    }
}
