//! One `file` source: finds its files, keeps a [`Tail`] of each, and decides where plugins begin.
//!
//! What is hard here is that files change their names and their content behind the agent's back:
//!
//! - *Renamed*: the inode is known, so the tail goes on; if no pattern matches the new name it is read
//!   to its end and let go. If it was renamed while the agent was down, it is looked for beside its
//!   former place.
//! - *Truncated*: smaller than before, or with another start. It becomes another stream, and what
//!   was not read is looked for in a copy beside it (logrotate's `copytruncate`).
//! - *Copied*: another inode with the same start and a longer name is such a copy, not a new file.
//! - *Deleted*: read to its end through the open file.
//! - *Gone for a while*, with its file system or since its folder could not be listed: where plugins were
//!   is kept, and they go on there.

mod find;
mod lanes;
mod moved;
mod room;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::pipeline::route::{RouteWatch, SourceRoutes};
use crate::sources::Checkpoints;
use crate::sources::file::book::Book;
use crate::sources::file::buffers::Buffers;
use crate::sources::file::config::Checked;
use crate::sources::file::reader::Clock;
use crate::sources::file::tail::{Activity, RECENT, Tail, Turn};
use crate::sources::metrics::SourceMetrics;
use crate::sources::status::{Problem, SourceStatus};
use crate::sources::watch::Watch;

pub use lanes::{Place, Places};

/// A `file` source at work. Driven by turns; it has no thread of its own.
pub struct FileSource {
    name: String,
    config: Checked,
    watch: RouteWatch,
    checkpoints: Arc<dyn Checkpoints>,
    metrics: SourceMetrics,
    routes: Arc<SourceRoutes>,
    /// By lane.
    books: BTreeMap<u64, Book>,
    /// In the order in which they were found, so that older files are read first.
    tails: BTreeMap<u64, Tail>,
    next_tail: u64,
    /// By device and inode: copies of files that have been read under their first name.
    copies: HashMap<(u64, u64), PathBuf>,
    folders: Option<Watch>,
    looked: Option<Instant>,
    /// Whether files have been looked for since plugins are fed.
    started: bool,
    problems: BTreeMap<PathBuf, Problem>,
    /// Problems of the last but one look for files, which are in the log already.
    logged: BTreeMap<PathBuf, Problem>,
    /// Whether some plugin had no room in the last turn.
    blocked: bool,
    /// Where plugins were in the source that this one replaces, or before they left the routes. What
    /// they were handed since their last commit is still in their lanes.
    inherited: Places,
    /// Lanes whose checkpoints could not be read so far.
    unread: BTreeSet<u64>,
}

impl FileSource {
    /// A source that has not looked for files yet.
    pub fn new(
        name: &str,
        config: Checked,
        watch: RouteWatch,
        checkpoints: Arc<dyn Checkpoints>,
        metrics: SourceMetrics,
    ) -> Self {
        Self {
            name: name.to_owned(),
            config,
            watch,
            checkpoints,
            metrics,
            routes: Arc::default(),
            books: BTreeMap::new(),
            tails: BTreeMap::new(),
            next_tail: 0,
            copies: HashMap::new(),
            // Without it files are found by looking only.
            folders: Watch::new().ok(),
            looked: None,
            started: false,
            problems: BTreeMap::new(),
            logged: BTreeMap::new(),
            blocked: false,
            inherited: Places::new(),
            unread: BTreeSet::new(),
        }
    }

    /// Does what there is to do now and says how busy that was.
    pub fn turn(&mut self, clock: Clock, buffers: &mut Buffers) -> Activity {
        self.follow_routes(clock);
        if self.books.is_empty() {
            return Activity::Idle;
        }
        if self.is_time_to_look(clock.instant) {
            self.find_files(clock);
        }
        self.look_at_files(clock);
        let activity = self.read(clock, buffers);
        self.let_go(clock);
        activity
    }

    /// Tells all plugins where they are, before the source stops.
    pub fn settle(&mut self, clock: Clock, buffers: &mut Buffers) {
        let mut excess = BTreeMap::new();
        let mut turn = Turn {
            routes: &self.routes,
            clock,
            buffers,
            metrics: &self.metrics,
            excess: &mut excess,
            finish_after: self.config.finish_after,
        };
        self.tails.values_mut().for_each(|tail| tail.tell_positions(&mut turn, true));
    }

    /// For the API and the CLI.
    pub fn status(&self) -> SourceStatus {
        let mut lag_bytes = BTreeMap::new();
        for tail in self.tails.values() {
            for (_, plugin, behind, _) in tail.lag() {
                *lag_bytes.entry(plugin.to_owned()).or_insert(0) += behind;
            }
        }
        let open_files = self.tails.values().filter(|tail| tail.is_open()).count();
        self.metrics.files(self.tails.len(), open_files);
        for (plugin, bytes) in &lag_bytes {
            self.metrics.lag(plugin, *bytes);
        }
        SourceStatus {
            name: self.name.clone(),
            kind: "file".to_owned(),
            streams: self.tails.len(),
            open_files,
            lag_bytes,
            problems: self.problems.values().cloned().collect(),
        }
    }

    /// The metrics of this source.
    pub fn metrics(&self) -> &SourceMetrics {
        &self.metrics
    }

    fn read(&mut self, clock: Clock, buffers: &mut Buffers) -> Activity {
        let mut excess = if self.blocked { self.excess() } else { BTreeMap::new() };
        let mut blocked = false;
        let mut refused = Vec::new();
        let mut turn = Turn {
            routes: &self.routes,
            clock,
            buffers,
            metrics: &self.metrics,
            excess: &mut excess,
            finish_after: self.config.finish_after,
        };
        let mut activity = Activity::Idle;
        for tail in self.tails.values_mut() {
            match tail.turn(&mut turn) {
                Ok(tail) => {
                    activity = activity.max(tail);
                    blocked |= tail == Activity::Blocked;
                }
                Err(error) => refused.push((tail.path.clone(), error)),
            }
        }
        for (path, error) in refused {
            self.refuse("read", &path, &error);
        }
        self.blocked = blocked;
        activity
    }

    /// By lane: by how many bytes a plugin is further behind than it may be.
    fn excess(&self) -> BTreeMap<u64, u64> {
        let mut grown = BTreeMap::new();
        for (lane, _, _, bytes) in self.tails.values().flat_map(Tail::lag) {
            *grown.entry(lane).or_insert(0) += bytes;
        }
        grown.retain(|_, bytes: &mut u64| *bytes > self.config.max_lag);
        grown.values_mut().for_each(|bytes| *bytes -= self.config.max_lag);
        grown
    }

    /// Lets files go that are gone and read, and keeps where plugins were in them: what is gone may come
    /// back.
    fn let_go(&mut self, clock: Clock) {
        if self.routes.routes.iter().any(|route| route.lane.is_closed()) {
            // Its thread has ended: what it was handed is read again for the one that takes its place.
            return;
        }
        let finish_after = self.config.finish_after;
        let gone = self.tails.extract_if(.., |_, tail| tail.is_finished(clock.instant, finish_after));
        for (lane, stream, place) in gone.flat_map(|(_, tail)| tail.hand_over(clock.nanos)) {
            if let Some(book) = self.books.get_mut(&lane) {
                book.let_go(stream, place);
            }
        }
    }

    /// Whether a file has grown a moment ago, so that more is likely.
    pub fn is_busy(&self, now: Instant) -> bool {
        self.tails.values().any(|tail| now.saturating_duration_since(tail.grown()) < RECENT)
    }

    fn refuse(&mut self, operation: &str, path: &Path, error: &io::Error) {
        self.metrics.error(operation);
        let problem = Problem::new(path, error);
        let known = [&self.logged, &self.problems].iter().any(|known| known.get(path) == Some(&problem));
        if !known {
            tracing::warn!(
                source = self.name,
                path = %path.display(),
                error = problem.error,
                remedy = problem.remedy,
                "A file or folder cannot be read."
            );
        }
        self.problems.insert(path.to_owned(), problem);
    }
}
