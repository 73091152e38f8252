//! A walk over the files of a `directory` source, within the source's share of a processor.
//!
//! It keeps no list of what it comes across. So when there is no room for more, it waits; what came otherwise
//! is served meanwhile.
//!
//! Files that changed a moment ago are only noted here; the source scans them when they have settled.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::{DirectorySource, TICK};
use crate::sources::directory::pace::Pace;
use crate::sources::glob::Visit;

/// Whose room a walk waits for.
pub(super) enum WaitsFor {
    /// It goes on as long as anybody has room.
    Anybody,
    /// It goes on as long as one of these has room.
    These(BTreeSet<String>),
    /// It does not wait.
    Nobody,
}

/// A walk under way.
pub(super) struct Walk<'a> {
    source: &'a mut DirectorySource,
    pace: Pace,
    waits_for: WaitsFor,
    /// How many it came across.
    pub(super) files: usize,
    /// All it came across.
    pub(super) folders: BTreeSet<PathBuf>,
}

impl<'a> Walk<'a> {
    /// A walk whose share of a processor counts from now on.
    pub(super) fn new(source: &'a mut DirectorySource, waits_for: WaitsFor) -> Self {
        let pace = Pace::new(source.parts.config.cpu, cpu_time());
        Self { source, pace, waits_for, files: 0, folders: BTreeSet::new() }
    }

    /// Whether it gives way to a walk for everybody, or to the end.
    pub(super) fn is_broken_off(&self) -> bool {
        let gives_way =
            matches!(self.waits_for, WaitsFor::These(_)) && Instant::now() >= self.source.next_walk;
        gives_way || self.source.stopped()
    }

    /// Waits until somebody has room for what it comes across; everything else goes on.
    fn wait_for_room(&mut self) {
        while !self.is_broken_off() && self.source.has_no_room(&self.waits_for) {
            self.source.pause_walk(&self.waits_for);
            self.source.follow_routes();
            self.source.attend();
            self.source.walk_appeared();
        }
    }

    /// Rests for all that was done since the last rest: listing and looking as well as reading.
    fn rest(&mut self) {
        if let Some(long) = self.pace.rest(cpu_time()) {
            self.source.rest(long);
        }
    }
}

impl Visit for Walk<'_> {
    fn file(&mut self, path: PathBuf, metadata: Metadata) {
        self.files += 1;
        self.source.attend();
        self.wait_for_room();
        let source = &mut *self.source;
        let settle = source.parts.config.settle;
        let changed = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        // A time in the future says nothing; then the file is taken as it is.
        if changed.elapsed().is_ok_and(|age| age < settle) {
            source.settle(path, &metadata);
        } else {
            source.scan(&path, &metadata);
        }
        self.rest();
    }

    fn folder(&mut self, path: &Path) {
        // Watched at once, so that nothing that appears during a long walk is missed.
        if let Some(watch) = &mut self.source.folders {
            watch.add(path);
        }
        self.folders.insert(path.to_owned());
        self.rest();
    }

    fn problem(&mut self, path: &Path, error: io::Error) {
        self.source.problem_with(path, &error);
    }

    fn stop(&self) -> bool {
        self.is_broken_off()
    }
}

impl DirectorySource {
    /// Sleeps, but not beyond being stopped.
    fn rest(&self, long: Duration) {
        let until = Instant::now() + long;
        while !self.stopped() && Instant::now() < until {
            let seen = self.parts.router.version();
            self.parts.router.wait_for_change(seen, until.min(Instant::now() + TICK));
        }
    }
}

/// Processor time of this thread.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
