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

mod find;
mod moved;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::model::Digest;
use crate::pipeline::route::{RouteWatch, SourceRoutes};
use crate::sources::Checkpoints;
use crate::sources::file::book::Book;
use crate::sources::file::buffers::Buffers;
use crate::sources::file::checkpoint::{Checkpoint, Position};
use crate::sources::file::config::{Checked, Start};
use crate::sources::file::reader::Clock;
use crate::sources::file::tail::{Activity, Look, RECENT, Tail, Turn};
use crate::sources::metrics::SourceMetrics;
use crate::sources::status::{Problem, SourceStatus};
use crate::sources::watch::Watch;

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
    /// By lane: where plugins were in the source that this one replaces. What they were handed since
    /// their last commit is still in their lanes.
    inherited: Places,
}

/// By lane: where it is in each stream.
pub type Places = BTreeMap<u64, Vec<(Digest, Checkpoint)>>;

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
        }
    }

    /// Goes on where a source that fed the same lanes was.
    pub fn inherit(&mut self, places: Places) {
        self.inherited = places;
    }

    /// Where all lanes are, for the source that replaces this one.
    pub fn hand_over(&self, clock: Clock) -> Places {
        let mut places = self.inherited.clone();
        for (lane, stream, checkpoint) in self.tails.values().flat_map(|tail| tail.hand_over(clock.nanos)) {
            places.entry(lane).or_default().push((stream, checkpoint));
        }
        places
    }

    /// Does what there is to do now and says how busy that was.
    pub fn turn(&mut self, clock: Clock, buffers: &mut Buffers) -> Activity {
        self.follow_routes(clock);
        if self.routes.routes.is_empty() {
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

    /// Takes over changed routes: new lanes begin at their plugin's checkpoints.
    fn follow_routes(&mut self, clock: Clock) {
        let routes = self.watch.routes();
        if Arc::ptr_eq(&routes, &self.routes) {
            return;
        }
        self.routes = routes;
        let lanes: BTreeMap<u64, String> =
            self.routes.routes.iter().map(|route| (route.lane.id(), route.plugin.clone())).collect();
        let gone: Vec<u64> = self.books.keys().filter(|lane| !lanes.contains_key(lane)).copied().collect();
        for lane in gone {
            if let Some(book) = self.books.remove(&lane) {
                self.metrics.forget_plugin(&book.plugin);
            }
            self.tails.values_mut().for_each(|tail| tail.detach(lane));
        }
        let new: Vec<(u64, String)> =
            lanes.into_iter().filter(|(lane, _)| !self.books.contains_key(lane)).collect();
        for (lane, plugin) in &new {
            let (mut book, refused) = Book::new(plugin, self.checkpoints.load(plugin, &self.name));
            let inherited = self.inherited.remove(lane).unwrap_or_default();
            inherited.into_iter().for_each(|(stream, checkpoint)| book.insert(stream, checkpoint));
            for reason in refused {
                tracing::error!(source = self.name, plugin, reason, "A checkpoint was not used.");
            }
            self.books.insert(*lane, book);
        }
        if new.is_empty() {
            return;
        }
        if self.started {
            let tails: Vec<u64> = self.tails.keys().copied().collect();
            for (lane, _) in &new {
                tails.iter().for_each(|tail| self.attach(*tail, *lane, true));
            }
        } else {
            self.find_files(clock);
            self.started = true;
        }
        for (lane, _) in &new {
            self.find_moved(*lane, clock);
        }
    }

    /// Gives a file to a plugin where it has to begin, if at all. `there_before` says whether the file
    /// was there when the plugin came.
    fn attach(&mut self, tail: u64, lane: u64, there_before: bool) {
        let (Some(tail), Some(book)) = (self.tails.get_mut(&tail), self.books.get(&lane)) else { return };
        let known = book.position(&tail.stream.id, &tail.identity, tail.head(), tail.size());
        let position = match known {
            Some(position) => position,
            None if tail.has_left() => return,
            None if !there_before || self.config.start == Start::Beginning => Position::default(),
            None if book.is_new(&tail.identity) => Position::default(),
            None => Position::at(tail.last_line()),
        };
        tail.attach(lane, &book.plugin, position);
    }

    /// Asks for the size of files that may have grown.
    fn look_at_files(&mut self, clock: Clock) {
        let mut truncated = Vec::new();
        let mut refused = Vec::new();
        for (id, tail) in &mut self.tails {
            match tail.look(clock.instant) {
                Ok(Look::Truncated) => truncated.push(*id),
                Ok(_) => {}
                // A closed file that is gone is found out by looking for files.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => refused.push((tail.path.clone(), error)),
            }
        }
        for (path, error) in refused {
            self.refuse("read", &path, &error);
        }
        for id in truncated {
            self.restart(id, clock);
        }
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

    /// Forgets files that are gone and read.
    fn let_go(&mut self, clock: Clock) {
        let finish_after = self.config.finish_after;
        self.tails.retain(|_, tail| !tail.is_finished(clock.instant, finish_after));
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
