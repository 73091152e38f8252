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

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::book::{Book, Known, is_copy_name};
use super::buffers::Buffers;
use super::checkpoint::{Checkpoint, Position};
use super::config::{Checked, Start};
use super::identity::{FINGERPRINT_BYTES, Identity};
use super::labels;
use super::reader::Clock;
use super::tail::{Activity, Look, Opened, RECENT, Tail, Turn};
use crate::model::{Digest, Stream};
use crate::pipeline::route::{RouteWatch, SourceRoutes};
use crate::sources::Checkpoints;
use crate::sources::glob::{Links, Visit};
use crate::sources::metrics::SourceMetrics;
use crate::sources::status::{Problem, SourceStatus};
use crate::sources::watch::Watch;

/// Checkpoints of files that have not been there for this long are forgotten. Longer than a file
/// system stays unmounted for maintenance.
const KEEP_CHECKPOINTS: Duration = Duration::from_secs(7 * 24 * 3600);
/// Hints are followed at most this often, so that a folder in which much happens costs little.
const MIN_BETWEEN_LOOKS: Duration = Duration::from_millis(100);

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

    fn is_time_to_look(&mut self, now: Instant) -> bool {
        let since = self.looked.map(|looked| now.saturating_duration_since(looked));
        let Some(since) = since else { return true };
        if since < MIN_BETWEEN_LOOKS {
            return false;
        }
        since >= self.config.discover || self.folders.as_mut().is_some_and(|folders| folders.changes().any())
    }

    /// Looks for files: new ones, renamed ones and those that are gone.
    fn find_files(&mut self, clock: Clock) {
        self.looked = Some(clock.instant);
        let mut found = Found::default();
        self.config.globs.walk(Links::Follow, &mut found);
        if let Some(folders) = &mut self.folders {
            folders.set(&found.folders);
        }
        self.logged = std::mem::take(&mut self.problems);
        for (path, error) in std::mem::take(&mut found.problems) {
            self.refuse("list", &path, &error);
        }
        let known: HashMap<(u64, u64), u64> =
            self.tails.iter().map(|(id, tail)| ((tail.identity.device, tail.identity.inode), *id)).collect();
        self.copies.retain(|inode, _| found.files.contains_key(inode));
        for (inode, id) in &known {
            let Some(tail) = self.tails.get_mut(id) else { continue };
            match found.files.get(inode) {
                Some(seen) if seen.paths.contains(&tail.path) => {
                    let path = tail.path.clone();
                    tail.found_at(&path);
                }
                Some(seen) => tail.found_at(&seen.paths[0]),
                None if !tail.has_left() => {
                    let kind = if tail.path.exists() { "renamed" } else { "deleted" };
                    self.metrics.rotation(kind);
                    tail.leave();
                }
                None => {}
            }
        }
        found.files.retain(|inode, _| !known.contains_key(inode) && !self.copies.contains_key(inode));
        let mut new: Vec<Seen> = found.files.into_values().collect();
        new.sort_by(|a, b| (a.modified, &a.paths).cmp(&(b.modified, &b.paths)));
        self.open_found(new, clock);
    }

    /// Opens new files: first those with checkpoints, so that copies of them are known as such.
    fn open_found(&mut self, new: Vec<Seen>, clock: Clock) {
        let mut unknown = Vec::new();
        for seen in new {
            let path = seen.paths[0].clone();
            if !self.make_room() {
                let error = io::Error::from(rustix::io::Errno::MFILE);
                self.refuse("open", &path, &error);
                continue;
            }
            match Opened::open(&path) {
                Ok(opened) => match self.identify(&opened) {
                    Some(Known::Same(stream, first_seen, checkpoint)) => {
                        let identity =
                            Identity { epoch: checkpoint.identity.epoch, ..opened.identity.clone() };
                        let name = checkpoint.path;
                        self.add(
                            Opened { identity, ..opened },
                            path,
                            Some((stream, first_seen, name)),
                            clock,
                        );
                    }
                    known => unknown.push((path, opened, known)),
                },
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.refuse("open", &path, &error),
            }
        }
        for (path, mut opened, known) in unknown {
            if self.is_copy_of_followed(&path, &opened) {
                // A short start may be the same by chance and differ later: it is looked at again.
                if usize::from(opened.identity.fingerprint.bytes) == FINGERPRINT_BYTES {
                    self.copies.insert((opened.identity.device, opened.identity.inode), path);
                }
            } else if let Some(Known::Copy(stream, first_seen, checkpoint)) = self.copied(&path, &opened) {
                opened.identity.epoch = checkpoint.identity.epoch;
                self.add(opened, path, Some((stream, first_seen, checkpoint.path)), clock);
            } else if let Some(Known::Truncated(checkpoint)) = known {
                self.metrics.rotation("truncated");
                opened.identity.epoch = checkpoint.identity.epoch + 1;
                self.add(opened, path, None, clock);
            } else {
                self.add(opened, path, None, clock);
            }
        }
    }

    fn identify(&self, opened: &Opened) -> Option<Known> {
        let known = |book: &Book| book.identify(&opened.identity, &opened.head, opened.size);
        let mut truncated = None;
        for known in self.books.values().filter_map(known) {
            match known {
                Known::Truncated(checkpoint) => truncated = Some(Known::Truncated(checkpoint)),
                same => return Some(same),
            }
        }
        truncated
    }

    /// The stream of which a file is a copy, unless that stream is followed.
    fn copied(&self, path: &Path, opened: &Opened) -> Option<Known> {
        let copied = |book: &Book| book.copied(path, &opened.head, opened.size);
        self.books.values().filter_map(copied).find(|known| match known {
            Known::Copy(stream, ..) => !self.follows(stream),
            _ => false,
        })
    }

    fn follows(&self, stream: &Digest) -> bool {
        self.tails.values().any(|tail| tail.stream.id == *stream)
    }

    /// Whether a file is a copy of one that is followed: same folder, longer name, same start.
    fn is_copy_of_followed(&self, path: &Path, opened: &Opened) -> bool {
        self.tails.values().any(|tail| {
            let fingerprint = tail.identity.fingerprint;
            is_copy_name(&tail.path, path) && fingerprint.bytes > 0 && fingerprint.matches(&opened.head)
        })
    }

    /// Follows a file, as a stream that is known or as a new one.
    fn add(
        &mut self,
        opened: Opened,
        path: PathBuf,
        known: Option<(Digest, u64, String)>,
        clock: Clock,
    ) -> u64 {
        let (id, first_seen, name) = known.unwrap_or_else(|| {
            let name = path.to_string_lossy().into_owned();
            (opened.identity.stream(&self.name, clock.nanos), clock.nanos, name)
        });
        let mut labels: BTreeMap<String, String> = self.config.labels.clone();
        labels.extend(labels::from_path(Path::new(&name)));
        let stream = Stream { source: self.name.clone(), name, labels: labels.into_iter().collect(), id };
        let tail = Tail::new(opened, Arc::new(stream), path, first_seen, self.config.format.clone());
        let number = self.next_tail;
        self.next_tail += 1;
        self.tails.insert(number, tail);
        let lanes: Vec<u64> = self.books.keys().copied().collect();
        lanes.into_iter().for_each(|lane| self.attach(number, lane, !self.started));
        number
    }

    /// Looks for files of a plugin's checkpoints that were renamed or copied away while nobody looked,
    /// beside their former places.
    fn find_moved(&mut self, lane: u64, clock: Clock) {
        let Some(book) = self.books.get(&lane) else { return };
        let missing: Vec<_> =
            book.entries().iter().filter(|entry| !self.follows(&entry.0)).cloned().collect();
        let plugin = book.plugin.clone();
        let mut folders: HashMap<PathBuf, Vec<(PathBuf, Metadata)>> = HashMap::new();
        for (stream, checkpoint) in missing {
            let path = PathBuf::from(&checkpoint.path);
            let Some(folder) = path.parent() else { continue };
            let files = folders.entry(folder.to_owned()).or_insert_with(|| regular_files(folder));
            let renamed = files.iter().find(|(_, metadata)| metadata.ino() == checkpoint.identity.inode);
            let candidates = renamed
                .into_iter()
                .chain(files.iter().filter(|(candidate, _)| is_copy_name(&path, candidate)));
            let mut opened = candidates.filter_map(|(candidate, _)| {
                let opened = Opened::open(candidate).ok()?;
                let fits = checkpoint.identity.fingerprint.bytes > 0
                    && checkpoint.identity.fingerprint.matches(&opened.head)
                    && checkpoint.position.done <= opened.size;
                fits.then(|| (candidate.clone(), opened))
            });
            let followed =
                |opened: &Opened| self.tails.values().any(|tail| tail.identity.same_inode(&opened.identity));
            match opened.find(|(_, opened)| !followed(opened)) {
                Some((candidate, mut opened)) => {
                    opened.identity.epoch = checkpoint.identity.epoch;
                    let known = (stream, checkpoint.first_seen, checkpoint.path);
                    let number = self.add_left(opened, candidate, known, clock);
                    self.metrics.rotation("renamed");
                    tracing::info!(source = self.name, stream = number, "A renamed file is read to its end.");
                }
                None if clock.nanos.saturating_sub(checkpoint.made) > KEEP_CHECKPOINTS.as_nanos() as u64 => {
                    self.checkpoints.forget(&plugin, &self.name, &stream);
                }
                None => {}
            }
        }
    }

    fn add_left(&mut self, opened: Opened, path: PathBuf, known: (Digest, u64, String), clock: Clock) -> u64 {
        let number = self.add(opened, path, Some(known), clock);
        if let Some(tail) = self.tails.get_mut(&number) {
            tail.leave();
        }
        number
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

    /// A file was truncated: the rest of the former content is read from a copy, if there is one, and
    /// the file becomes another stream, read from its beginning.
    fn restart(&mut self, id: u64, clock: Clock) {
        let Some(tail) = self.tails.get(&id) else { return };
        let (path, former) = (tail.path.clone(), tail.identity.clone());
        let had_left = tail.has_left();
        let Ok(mut opened) = tail.reopen() else { return };
        let copy = self.find_copy(id);
        self.metrics.rotation("truncated");
        if let Some(tail) = self.tails.get_mut(&id) {
            match copy {
                Some(copy) => tail.go_on_in(copy),
                None => tail.lose(&self.metrics),
            }
        }
        opened.identity.epoch = former.epoch + 1;
        let number = self.add(opened, path, None, clock);
        if had_left && let Some(tail) = self.tails.get_mut(&number) {
            tail.leave();
        }
    }

    /// A copy of a followed file, made before it was truncated.
    fn find_copy(&mut self, id: u64) -> Option<Opened> {
        let tail = self.tails.get(&id)?;
        let mut candidates: Vec<(PathBuf, Metadata)> = regular_files(tail.path.parent()?);
        candidates.retain(|(path, metadata)| {
            is_copy_name(&tail.path, path) && metadata.ino() != tail.identity.inode
        });
        candidates.sort_by_key(|(_, metadata)| std::cmp::Reverse((metadata.mtime(), metadata.mtime_nsec())));
        let (copy, inode) = candidates.into_iter().find_map(|(path, metadata)| {
            let opened = Opened::open(&path).ok()?;
            let fits = tail.identity.fingerprint.bytes > 0
                && tail.identity.fingerprint.matches(&opened.head)
                && opened.size >= tail.size();
            fits.then_some((opened, (metadata.dev(), metadata.ino())))
        })?;
        self.copies.remove(&inode);
        Some(copy)
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

    /// Makes room for one more open file.
    fn make_room(&mut self) -> bool {
        let open = self.tails.values().filter(|tail| tail.is_open()).count();
        if open < self.config.max_open_files {
            return true;
        }
        let mut idle: Vec<&mut Tail> = self.tails.values_mut().filter(|tail| tail.is_open()).collect();
        idle.sort_by_key(|tail| tail.grown());
        idle.into_iter().any(Tail::close)
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

fn regular_files(folder: &Path) -> Vec<(PathBuf, Metadata)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let files = entries.flatten().filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)));
    files.filter(|(_, metadata)| metadata.is_file()).collect()
}

/// What looking for files came across.
#[derive(Default)]
struct Found {
    files: HashMap<(u64, u64), Seen>,
    folders: BTreeSet<PathBuf>,
    problems: Vec<(PathBuf, io::Error)>,
}

/// A file under all the paths that name it.
struct Seen {
    paths: Vec<PathBuf>,
    modified: (i64, i64),
}

impl Visit for Found {
    fn file(&mut self, path: PathBuf, metadata: Metadata) {
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        let seen = self.files.entry((metadata.dev(), metadata.ino()));
        seen.or_insert_with(|| Seen { paths: Vec::new(), modified }).paths.push(path);
    }

    fn folder(&mut self, path: &Path) {
        self.folders.insert(path.to_owned());
    }

    fn problem(&mut self, path: &Path, error: io::Error) {
        self.problems.push((path.to_owned(), error));
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
