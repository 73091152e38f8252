//! One file as it is followed: what each plugin has been given of it, and what it gets next.
//!
//! Plugins that stand at the same place share a reader, and so one read and one search. A plugin whose
//! lane is full when there is something for it stays behind with a reader of its own; readers that
//! come to the same place are joined again, which happens at the end of the file at the latest.
//!
//! Does not look for files and does not decide where a plugin begins: that is in [`super::source`].

mod deliver;
mod opened;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::model::{Digest, Stream};
use crate::pipeline::route::SourceRoutes;
use crate::sources::file::assemble::Format;
use crate::sources::file::buffers::Buffers;
use crate::sources::file::checkpoint::{Checkpoint, Position};
use crate::sources::file::framing::{self, Framing};
use crate::sources::file::identity::Identity;
use crate::sources::file::reader::{Clock, Extent, Reader, Step};
use crate::sources::metrics::{Drop, SourceMetrics};

use opened::last_line;
pub use opened::{Look, Opened};

/// Blocks that one reader takes before other files have their turn.
const BLOCKS_PER_TURN: usize = 16;
/// How long a file is asked for its size at every turn after it grew.
pub const RECENT: Duration = Duration::from_secs(10);

/// What a turn came to; the highest decides how long to wait before the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Activity {
    /// Nothing to do.
    Idle,
    /// There are records for plugins that have no room.
    Blocked,
    /// There is more to read at once.
    Progress,
}

/// What a turn needs from the source.
pub struct Turn<'a> {
    /// The routes now.
    pub routes: &'a SourceRoutes,
    /// The time now.
    pub clock: Clock,
    /// Memory for reading.
    pub buffers: &'a mut Buffers,
    /// Where to count.
    pub metrics: &'a SourceMetrics,
    /// By lane: bytes that are too many and may be dropped while the lane has no room.
    pub excess: &'a mut BTreeMap<u64, u64>,
    /// How long a file that was left is still read.
    pub finish_after: Duration,
}

/// A plugin's part in a file.
#[derive(Debug)]
struct Lane {
    plugin: String,
    /// Where it is until it has a reader.
    place: Option<Position>,
    /// The file's size when the plugin began to read it.
    opened_at: u64,
    passed_over: u64,
    /// Whether it stands somewhere else than the last delivery said.
    moved: bool,
    told: Option<Instant>,
}

#[derive(Debug)]
struct Shared {
    reader: Reader,
    lanes: Vec<u64>,
}

/// One file.
#[derive(Debug)]
pub struct Tail {
    /// What its records are said to come from.
    pub stream: Arc<Stream>,
    /// Where it is now.
    pub path: PathBuf,
    /// What it is recognised by.
    pub identity: Identity,
    first_seen: u64,
    file: Option<File>,
    head: Vec<u8>,
    size: u64,
    grown: Instant,
    asked: Format,
    /// None until the first bytes tell the framing.
    format: Option<Arc<Format>>,
    readers: Vec<Shared>,
    lanes: BTreeMap<u64, Lane>,
    left: bool,
    lost: bool,
    counted: u64,
    /// When its size was last asked for.
    looked: Option<Instant>,
    /// Whether the last turn ended because plugins had no room.
    blocked: bool,
    /// Whether it has grown since it was closed.
    unseen: bool,
}

impl Tail {
    /// A file that no plugin reads yet.
    pub fn new(opened: Opened, stream: Arc<Stream>, path: PathBuf, first_seen: u64, asked: Format) -> Self {
        Self {
            stream,
            path,
            identity: opened.identity,
            first_seen,
            file: Some(opened.file),
            head: opened.head,
            size: opened.size,
            grown: Instant::now(),
            asked,
            format: None,
            readers: Vec::new(),
            lanes: BTreeMap::new(),
            left: false,
            lost: false,
            counted: 0,
            looked: None,
            blocked: false,
            unseen: false,
        }
    }

    /// Gives it to a plugin, from a position on. It tells the plugin where it begins, so that a
    /// checkpoint exists even if nothing comes for long.
    pub fn attach(&mut self, lane: u64, plugin: &str, position: Position) {
        let lane_state = Lane {
            plugin: plugin.to_owned(),
            place: Some(position),
            opened_at: self.size,
            passed_over: 0,
            moved: true,
            told: None,
        };
        self.lanes.insert(lane, lane_state);
    }

    /// Takes it from a plugin.
    pub fn detach(&mut self, lane: u64) {
        self.lanes.remove(&lane);
        for shared in &mut self.readers {
            shared.lanes.retain(|id| *id != lane);
        }
        self.readers.retain(|shared| !shared.lanes.is_empty());
    }

    /// No path of the source names it any more: it is read to its end and then let go.
    pub fn leave(&mut self) {
        self.left = true;
    }

    /// A path names it.
    pub fn found_at(&mut self, path: &Path) {
        self.left = self.lost;
        if self.path != path {
            self.path = path.to_owned();
        }
    }

    /// Whether no path names it any more.
    pub fn has_left(&self) -> bool {
        self.left
    }

    /// Its first bytes, as far as they were there at the last look.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// By lane: what it would need to go on from where it is, with what it was handed already.
    pub fn hand_over(&self, now: u64) -> Vec<(u64, Digest, Checkpoint)> {
        let id = self.stream.id;
        self.places().map(|(lane, place)| (lane, id, self.checkpoint_at(place, now))).collect()
    }

    /// In bytes, at the last look.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where its last line that is not complete starts.
    pub fn last_line(&self) -> u64 {
        self.file.as_ref().map_or(self.size, |file| last_line(file, self.size, self.asked.record_bytes))
    }

    /// Another handle on the open file.
    pub fn reopen(&self) -> io::Result<Opened> {
        match &self.file {
            Some(file) => Opened::of(file.try_clone()?),
            None => Opened::open(&self.path),
        }
    }

    /// Its content is gone. What was read of open records is complete; the rest is lost.
    pub fn lose(&mut self, metrics: &SourceMetrics, reason: Drop) {
        let read = self.places().map(|(_, position)| position.done).min().unwrap_or(self.size);
        metrics.drop_bytes(reason, self.size.saturating_sub(read));
        self.size = 0;
        self.left = true;
        self.lost = true;
    }

    /// Its content was copied before it was truncated: the rest is read from the copy.
    pub fn go_on_in(&mut self, copy: Opened) {
        self.identity = Identity { epoch: self.identity.epoch, ..copy.identity };
        self.file = Some(copy.file);
        self.size = copy.size;
        self.left = true;
        self.lanes.values_mut().for_each(|lane| lane.moved = true);
    }

    /// Whether it has been read to its end by all and nothing more can come.
    pub fn is_finished(&self, now: Instant, finish_after: Duration) -> bool {
        let extent = self.extent(now, finish_after);
        // Without the file nothing of an open record can be read again.
        let is_gone = self.lost && self.file.is_none();
        let is_read = extent.last
            && !self.unseen
            && self.lanes.values().all(|lane| !lane.moved && lane.place.is_none())
            && self.readers.iter().all(|shared| !shared.reader.may_step(extent, now));
        is_gone || is_read
    }

    /// By lane: how far it is behind the end, and how much of that came since it began to read.
    pub fn lag(&self) -> impl Iterator<Item = (u64, &str, u64, u64)> {
        self.places().map(|(id, position)| {
            let lane = &self.lanes[&id];
            let since = lane.opened_at.max(position.done);
            let (behind, grown) = (self.size.saturating_sub(position.done), self.size.saturating_sub(since));
            (id, &*lane.plugin, behind, grown)
        })
    }

    /// Where each lane is.
    fn places(&self) -> impl Iterator<Item = (u64, &Position)> {
        let waiting = self.lanes.iter().filter_map(|(id, lane)| Some((*id, lane.place.as_ref()?)));
        let placed = self
            .readers
            .iter()
            .flat_map(|shared| shared.lanes.iter().map(|id| (*id, shared.reader.position())));
        waiting.chain(placed)
    }

    fn extent(&self, now: Instant, finish_after: Duration) -> Extent {
        let quiet = self.lost || now.saturating_duration_since(self.grown) >= finish_after;
        Extent { size: self.size, last: self.left && quiet }
    }

    /// Reads on for all plugins that have room.
    pub fn turn(&mut self, turn: &mut Turn<'_>) -> io::Result<Activity> {
        let extent = self.extent(turn.clock.instant, turn.finish_after);
        self.place_lanes(extent, turn.clock.instant);
        let mut activity = Activity::Idle;
        let mut index = 0;
        // Readers that split off in this turn stand at the end of the list and have their turn too.
        while index < self.readers.len() {
            activity = activity.max(self.read(index, extent, turn)?);
            index += 1;
        }
        self.join_readers();
        self.tell_positions(turn, false);
        self.blocked = activity == Activity::Blocked;
        Ok(activity)
    }

    /// Gives each lane without a reader the one at its place.
    fn place_lanes(&mut self, extent: Extent, now: Instant) {
        if self.format.is_none() {
            let framing = match self.asked.framing {
                Framing::Auto => framing::detect(&self.head, extent.last),
                known => Some(known),
            };
            let Some(framing) = framing else { return };
            self.format = Some(Arc::new(Format { framing, ..self.asked.clone() }));
        }
        let Some(format) = &self.format else { return };
        for (id, lane) in &mut self.lanes {
            let Some(place) = lane.place.take() else { continue };
            match self.readers.iter_mut().find(|shared| *shared.reader.position() == place) {
                Some(shared) => shared.lanes.push(*id),
                None => {
                    let reader = Reader::new(format.clone(), place, now);
                    self.readers.push(Shared { reader, lanes: vec![*id] });
                }
            }
        }
    }

    fn join_readers(&mut self) {
        let mut index = 1;
        while index < self.readers.len() {
            let position = self.readers[index].reader.position();
            let twin = self.readers[..index].iter().position(|other| other.reader.position() == position);
            match twin {
                Some(twin) => {
                    let shared = self.readers.remove(index);
                    self.readers[twin].lanes.extend(shared.lanes);
                }
                None => index += 1,
            }
        }
    }

    fn read(&mut self, index: usize, extent: Extent, turn: &mut Turn<'_>) -> io::Result<Activity> {
        for _ in 0..BLOCKS_PER_TURN {
            let shared = &mut self.readers[index];
            let Some(file) = &self.file else { return Ok(Activity::Idle) };
            if !shared.reader.may_step(extent, turn.clock.instant) {
                return Ok(Activity::Idle);
            }
            if !shared.lanes.iter().any(|lane| can_take(*lane, turn)) {
                return Ok(Activity::Blocked);
            }
            let before = shared.reader.position().clone();
            match shared.reader.step(file, extent, turn.clock, turn.buffers)? {
                Step::End => return Ok(Activity::Idle),
                Step::Advanced => {}
                Step::Records => {
                    self.count(index, turn);
                    if !self.deliver(index, before, turn) {
                        return Ok(Activity::Blocked);
                    }
                }
            }
        }
        Ok(Activity::Progress)
    }

    fn checkpoint(&self, position: &Position, now: u64) -> Vec<u8> {
        self.checkpoint_at(position, now).encode()
    }

    fn checkpoint_at(&self, position: &Position, now: u64) -> Checkpoint {
        Checkpoint {
            identity: self.identity.clone(),
            path: self.stream.name.clone(),
            first_seen: self.first_seen,
            made: now,
            position: position.clone(),
        }
    }
}

fn can_take(lane: u64, turn: &Turn<'_>) -> bool {
    let route = turn.routes.routes.iter().find(|route| route.lane.id() == lane);
    route.is_some_and(|route| route.lane.has_room()) || turn.excess.contains_key(&lane)
}
