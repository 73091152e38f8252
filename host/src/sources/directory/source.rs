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
//! One thread serves all plugins of the source, and waits for none of them: what a plugin has no room for is
//! put aside. Only a walk waits, when nobody has room for what it comes across.
//!
//! The walk streams: it keeps no list of files, so a folder may hold millions.

mod give;
mod late;
mod members;
mod notice;
mod scan;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use super::aside::Aside;
use super::attempts::Attempts;
use super::config::Checked;
use super::examine::StatKey;
use super::under_way::UnderWay;
use super::waiting::Waiting;
use crate::model::Digest;
use crate::pipeline::route::{RouteWatch, Router};
use crate::pipeline::work::{Member, Opened, ScanDone};
use crate::sources::glob::Links;
use crate::sources::metrics::SourceMetrics;
use crate::sources::status::{Problem, SourceStatus, StatusBoard};
use crate::sources::watch::Watch;
use walk::{WaitsFor, Walk};

/// How often the kernel is asked what changed.
const TICK: Duration = Duration::from_millis(250);
/// And how often at least, when nothing is in hand.
const LONGEST_TICK: Duration = Duration::from_secs(1);

/// What is remembered of scans, beyond restarts.
///
/// To be asked for something is its use: what nobody has asked for in a long time may be forgotten, and is
/// then unknown like what never was, and scanned again. So an answer may take a commit now and then, in which
/// the use is written down.
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
#[derive(Clone)]
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
    /// Given and not done.
    under_way: UnderWay,
    /// What plugins had no room for.
    aside: Aside,
    /// What came to nothing.
    attempts: Attempts,
    done: (Sender<ScanDone>, Receiver<ScanDone>),
    /// What unpackers took out of containers and nobody has looked at yet.
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
            under_way: UnderWay::default(),
            aside: Aside::default(),
            attempts: Attempts::default(),
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
            self.pause(seen);
        }
    }

    /// Does what is due now.
    pub fn turn(&mut self) {
        self.follow_routes();
        if self.generations.is_empty() {
            return;
        }
        self.attend();
        if Instant::now() >= self.next_walk {
            self.walk();
            return;
        }
        self.walk_appeared();
        let missed = self.aside.take_missed();
        if !missed.is_empty() {
            self.catch_up(missed);
        }
    }

    /// Does what must not wait for a walk.
    fn attend(&mut self) {
        self.take_notice();
        self.give_aside();
        self.scan_settled(Instant::now());
        self.scan_members();
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
        let takers = routes.routes.iter().filter(|route| late::takes_files(route));
        self.aside.keep_only(&takers.map(|route| route.plugin.as_str()).collect());
        self.generations = generations;
    }

    /// Comes across everything.
    fn walk(&mut self) {
        self.next_walk = Instant::now() + self.parts.config.rescan;
        self.appeared.clear();
        self.problems.clear();
        self.aside.forget_missed();
        let globs = self.parts.config.globs.clone();
        let mut walk = Walk::new(self, WaitsFor::Anybody);
        globs.walk(Links::Ignore, &mut walk);
        let Walk { files, folders, .. } = walk;
        if let Some(watch) = &mut self.folders {
            watch.set(&folders);
        }
        self.files = files;
        self.report();
    }

    /// Comes across everything once more, for plugins that had no room for all of it. A walk that is due for
    /// everybody goes first.
    fn catch_up(&mut self, plugins: BTreeSet<String>) {
        let globs = self.parts.config.globs.clone();
        let mut walk = Walk::new(self, WaitsFor::These(plugins.clone()));
        globs.walk(Links::Ignore, &mut walk);
        if walk.is_broken_off() {
            plugins.iter().for_each(|plugin| self.aside.miss(plugin));
        }
    }

    /// Comes across what is in folders that appeared.
    fn walk_appeared(&mut self) {
        let globs = self.parts.config.globs.clone();
        for folder in std::mem::take(&mut self.appeared) {
            globs.walk_in(&folder, Links::Ignore, &mut Walk::new(self, WaitsFor::Nobody));
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

#[cfg(test)]
#[path = "room_tests.rs"]
mod room_tests;
