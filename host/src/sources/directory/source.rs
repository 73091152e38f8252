//! One `directory` source: which file goes to which scanner, and when.
//!
//! Files come from three sides: the kernel tells what was written, a walk at the start and on schedule
//! comes across everything, and a new generation of a scanner makes the walk come earlier. Whichever
//! side it is, a file waits until it has settled, its digest is taken (or remembered), and it goes to
//! the scanners that have not judged the same key with their generation yet.
//!
//! A container is a folder to the source: what an unpacker takes out of it lies in the spool folder, and
//! goes to the scanners from there like any file. The container is done when everything in it is.
//!
//! The walk streams: it keeps no list of files, so a folder may hold millions.

mod give;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use super::config::Checked;
use super::examine::{self, StatKey, Unscannable, scan_key};
use super::waiting::Waiting;
use crate::model::Digest;
use crate::pipeline::route::{RouteWatch, Router};
use crate::pipeline::work::{Member, Opened, ScanDone};
use crate::sources::glob::Links;
use crate::sources::metrics::SourceMetrics;
use crate::sources::status::{Problem, SourceStatus, StatusBoard};
use crate::sources::watch::Watch;
use walk::Walk;

/// Files that wait to settle. Beyond it a walk finds them again.
const MAX_WAITING: usize = 10_000;
/// New folders that wait to be walked. When more appear, everything is walked.
const MAX_APPEARED: usize = 1000;
/// How often the kernel is asked what changed.
const TICK: Duration = Duration::from_millis(250);
/// When a scan came to nothing (the plugin was replaced or its circuit opened), the file is tried
/// again after this long.
const RETRY_AFTER: Duration = Duration::from_secs(60);
/// Files reported as skipped that are remembered, so that each is reported once.
const MAX_REPORTED: usize = 10_000;

/// What is remembered of scans, beyond restarts.
pub trait ScanLog: Send + Sync {
    /// Whether a generation of a plugin has judged this key (see
    /// [`ScanTarget::key`](crate::pipeline::work::ScanTarget::key)).
    fn known(&self, plugin: &str, generation: &Digest, key: &Digest) -> bool;
    /// Whether a container was opened and everything in it judged, by just these.
    fn opened(&self, record: &Opened) -> bool;
    /// Notes that.
    fn judged(&self, record: &Opened);
    /// The digest of a file's content, if it was remembered for the same path and stat key.
    fn digest_of(&self, path: &Path, key: &StatKey) -> Option<Digest>;
    /// Remembers a digest.
    fn remember(&self, path: &Path, key: &StatKey, content: &Digest);
    /// A file was left out for good (until it changes); to be reported. Says whether that is committed.
    fn skipped(&self, source: &str, path: &Path, size: u64, reason: &str) -> bool;
}

/// What a `directory` source needs.
pub struct Parts {
    /// Its name.
    pub name: String,
    /// Its settings.
    pub config: Checked,
    /// Which scanners it feeds.
    pub watch: RouteWatch,
    /// To sleep on, so that changed routes wake it.
    pub router: Arc<Router>,
    /// What was scanned.
    pub log: Arc<dyn ScanLog>,
    /// Where to count.
    pub metrics: SourceMetrics,
    /// Where to tell how it is doing.
    pub status: StatusBoard,
    /// Set when it has to stop.
    pub stop: Arc<AtomicBool>,
}

/// A `directory` source at work.
pub struct DirectorySource {
    parts: Parts,
    folders: Option<Watch>,
    /// Files that changed, with when they may have settled and how they were then.
    waiting: Waiting,
    /// Folders that appeared and have not been walked yet.
    appeared: BTreeSet<PathBuf>,
    /// Sent and not done: plugin, path, and whether it is to be opened.
    under_way: BTreeSet<(String, PathBuf, bool)>,
    done: (Sender<ScanDone>, Receiver<ScanDone>),
    /// What unpackers took out of containers.
    members: (Sender<Member>, Receiver<Member>),
    generations: BTreeSet<(String, Digest)>,
    next_walk: Instant,
    reported: BTreeSet<StatKey>,
    problems: BTreeMap<PathBuf, Problem>,
    files: usize,
}

impl DirectorySource {
    /// A source whose first walk is due.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            // Without it files are found by walking only.
            folders: Watch::new().ok(),
            waiting: Waiting::default(),
            appeared: BTreeSet::new(),
            under_way: BTreeSet::new(),
            done: crossbeam_channel::unbounded(),
            // A container is bounded in its members, and a lane in its containers.
            members: crossbeam_channel::unbounded(),
            generations: BTreeSet::new(),
            next_walk: Instant::now(),
            reported: BTreeSet::new(),
            problems: BTreeMap::new(),
            files: 0,
        }
    }

    /// Works until it is told to stop.
    pub fn run(mut self) {
        while !self.stopped() {
            let seen = self.parts.router.version();
            self.turn();
            self.parts.router.wait_for_change(seen, Instant::now() + TICK);
        }
    }

    /// Does what is due now.
    pub fn turn(&mut self) {
        self.follow_routes();
        if self.generations.is_empty() {
            return;
        }
        self.take_notice();
        self.scan_settled();
        self.scan_members();
        if Instant::now() >= self.next_walk {
            self.walk();
        } else {
            self.walk_appeared();
        }
    }

    fn stopped(&self) -> bool {
        self.parts.stop.load(Ordering::Relaxed)
    }

    /// A generation that has not been seen yet has to judge everything.
    fn follow_routes(&mut self) {
        let routes = self.parts.watch.routes();
        let generations: BTreeSet<(String, Digest)> =
            routes.routes.iter().map(|route| (route.plugin.clone(), route.generation)).collect();
        if generations.difference(&self.generations).next().is_some() {
            self.next_walk = Instant::now();
        }
        self.generations = generations;
    }

    /// Takes in what the kernel tells and what the scanners have done.
    fn take_notice(&mut self) {
        let changes = self.folders.as_mut().map(Watch::changes).unwrap_or_default();
        if changes.overflow {
            self.next_walk = Instant::now();
        }
        for path in changes.paths {
            match fs::symlink_metadata(&path) {
                // A new folder, or one with new permissions: what is in it by now was not told.
                Ok(metadata) if metadata.is_dir() => self.appear(path),
                Ok(metadata) if metadata.is_file() && self.parts.config.globs.matches(&path) => {
                    self.wait(path, Some(StatKey::of(&metadata)), self.parts.config.settle);
                }
                _ => {}
            }
        }
        let done: Vec<ScanDone> = self.done.1.try_iter().collect();
        for done in done {
            self.under_way.remove(&(done.plugin, done.path.clone(), done.unpacked));
            if let (true, Some(record)) = (done.committed, &done.record) {
                self.parts.log.judged(record);
            }
            // Of what lies in a container nothing comes by itself: the container comes again.
            if !done.committed && done.path.exists() {
                self.wait(done.path, None, RETRY_AFTER);
            }
        }
    }

    fn appear(&mut self, folder: PathBuf) {
        if self.appeared.len() < MAX_APPEARED {
            self.appeared.insert(folder);
        } else {
            self.next_walk = Instant::now();
        }
    }

    fn wait(&mut self, path: PathBuf, key: Option<StatKey>, long: Duration) {
        if self.waiting.len() >= MAX_WAITING {
            self.next_walk = self.next_walk.min(Instant::now() + long);
            return;
        }
        self.waiting.insert(path, Instant::now() + long, key);
    }

    fn scan_settled(&mut self) {
        for path in self.waiting.due(Instant::now()) {
            if self.stopped() {
                return;
            }
            let Some((_, key)) = self.waiting.remove(&path) else { continue };
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            let now = StatKey::of(&metadata);
            if key.is_some_and(|key| key != now) {
                self.wait(path, Some(now), self.parts.config.settle);
            } else {
                self.scan(&path, &metadata);
            }
        }
    }

    /// Comes across everything.
    fn walk(&mut self) {
        self.next_walk = Instant::now() + self.parts.config.rescan;
        self.appeared.clear();
        self.problems.clear();
        let globs = self.parts.config.globs.clone();
        let mut walk = Walk::new(self);
        globs.walk(Links::Ignore, &mut walk);
        let Walk { files, folders, .. } = walk;
        if let Some(watch) = &mut self.folders {
            watch.set(&folders);
        }
        self.files = files;
        self.report();
    }

    /// Comes across what is in folders that appeared.
    fn walk_appeared(&mut self) {
        let globs = self.parts.config.globs.clone();
        for folder in std::mem::take(&mut self.appeared) {
            globs.walk_in(&folder, Links::Ignore, &mut Walk::new(self));
        }
    }

    fn report(&self) {
        self.parts.metrics.files(self.files, 0);
        self.parts.status.set(SourceStatus {
            name: self.parts.name.clone(),
            kind: "directory".to_owned(),
            streams: self.files,
            problems: self.problems.values().cloned().collect(),
            ..SourceStatus::default()
        });
    }

    /// Gives a settled file to the scanners that want it.
    fn scan(&mut self, path: &Path, metadata: &Metadata) {
        let known = self.parts.log.digest_of(path, &StatKey::of(metadata));
        if known.is_some_and(|digest| self.wanted(path, &scan_key(path, metadata, &digest)).is_empty()) {
            self.parts.metrics.skipped("unchanged");
            return;
        }
        let base = self.parts.config.globs.base(path);
        let stop = self.parts.stop.clone();
        let examined = examine::open(&base, path, self.parts.config.max_file_bytes).and_then(|opened| {
            let key = opened.key();
            let known = self.parts.log.digest_of(path, &key);
            let target = opened.examine(&self.parts.name, known, &mut || !stop.load(Ordering::Relaxed))?;
            if known.is_none() {
                self.parts.log.remember(path, &key, &target.info.sha256);
            }
            Ok(Arc::new(target))
        });
        let target = match examined {
            Ok(target) => target,
            Err(reason) => return self.refuse(path, metadata, reason),
        };
        for task in self.wanted(path, &target.key) {
            self.give(task, &target);
        }
    }

    fn refuse(&mut self, path: &Path, metadata: &Metadata, reason: Unscannable) {
        match reason {
            Unscannable::TooLarge { size, .. } => self.tell_too_large(path, metadata, size, &reason),
            Unscannable::NotRegular => self.parts.metrics.skipped("not-regular"),
            Unscannable::Changed if self.stopped() => {}
            Unscannable::Changed => self.wait(path.to_owned(), None, self.parts.config.settle),
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

    fn problem_with(&mut self, path: &Path, error: &io::Error) {
        self.parts.metrics.error("read");
        let problem = Problem::new(path, error);
        tracing::warn!(
            source = self.parts.name,
            path = %path.display(),
            error = problem.error,
            remedy = problem.remedy,
            "A file or folder cannot be scanned."
        );
        self.problems.insert(path.to_owned(), problem);
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
