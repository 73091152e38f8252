//! One file as it is followed: what each plugin has been given of it, and what it gets next.
//!
//! Plugins that stand at the same place share a reader, and so one read and one search. A plugin whose
//! lane is full when there is something for it stays behind with a reader of its own; readers that
//! come to the same place are joined again, which happens at the end of the file at the latest.
//!
//! Does not look for files and does not decide where a plugin begins: that is in [`super::source`].

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::assemble::Format;
use super::buffers::Buffers;
use super::checkpoint::{Checkpoint, Position};
use super::framing::{self, Framing};
use super::identity::{FINGERPRINT_BYTES, Fingerprint, Identity, read_head};
use super::reader::{Clock, Extent, Reader, Step};
use crate::model::{Block, Digest, Selection, Stream};
use crate::pipeline::lane::Delivery;
use crate::pipeline::route::SourceRoutes;
use crate::pipeline::work::Work;
use crate::sources::metrics::{Drop, SourceMetrics};

/// Blocks that one reader takes before other files have their turn.
const BLOCKS_PER_TURN: usize = 16;
/// How often a plugin that finds nothing in a file is told how far the file has been read.
const POSITION_EVERY: Duration = Duration::from_secs(1);

/// How long a file is asked for its size at every turn after it grew.
pub const RECENT: Duration = Duration::from_secs(10);
/// How often it is asked later: a thousand quiet files then cost a thousandth of a processor.
const LOOK_EVERY: Duration = Duration::from_millis(250);

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

/// What a look at a file showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// As before.
    Same,
    /// It has more bytes.
    Grown,
    /// Its content is another: it was truncated, and perhaps has grown again.
    Truncated,
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
}

/// An open file of which a [`Tail`] can be made.
pub struct Opened {
    /// Open for reading.
    pub file: File,
    /// Its first bytes.
    pub head: Vec<u8>,
    /// What it is recognised by.
    pub identity: Identity,
    /// Its size.
    pub size: u64,
}

impl Opened {
    /// Opens a file and reads its first bytes.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::of(File::open(path)?)
    }

    /// Of a file that is open.
    pub fn of(file: File) -> io::Result<Self> {
        let head = read_head(&file)?;
        let metadata = file.metadata()?;
        Ok(Self { identity: Identity::new(&metadata, &head), size: metadata.len(), file, head })
    }

    /// Where the last line starts that is not complete, or the end: `bound` bytes back at most.
    pub fn last_line(&self, bound: usize) -> u64 {
        last_line(&self.file, self.size, bound)
    }
}

fn last_line(file: &File, size: u64, bound: usize) -> u64 {
    let from = size.saturating_sub(bound as u64);
    let mut bytes = vec![0; (size - from) as usize];
    match file.read_exact_at(&mut bytes, from) {
        Ok(()) => match memchr::memrchr(b'\n', &bytes) {
            Some(end) => from + end as u64 + 1,
            None if from == 0 => 0,
            None => size,
        },
        // It shrank meanwhile; the next look shows it.
        Err(_) => size,
    }
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
    pub fn lose(&mut self, metrics: &SourceMetrics) {
        let read = self.places().map(|(_, position)| position.done).min().unwrap_or(self.size);
        metrics.drop_bytes(Drop::Truncated, self.size.saturating_sub(read));
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
        extent.last
            && self.lanes.values().all(|lane| !lane.moved && lane.place.is_none())
            && self.readers.iter().all(|shared| !shared.reader.may_step(extent, now))
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// When it grew last.
    pub fn grown(&self) -> Instant {
        self.grown
    }

    /// Closes it until it grows, if it is read to its end and can be found again.
    pub fn close(&mut self) -> bool {
        let extent = Extent { size: self.size, last: false };
        let now = Instant::now();
        let read = self.readers.iter().all(|shared| !shared.reader.may_step(extent, now));
        if self.left || !read || self.lanes.values().any(|lane| lane.place.is_some()) {
            return false;
        }
        self.file = None;
        true
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

    /// Asks the file system what became of the file.
    pub fn look(&mut self, now: Instant) -> io::Result<Look> {
        let soon = self.looked.is_some_and(|looked| now.saturating_duration_since(looked) < LOOK_EVERY);
        if self.lost || (soon && now.saturating_duration_since(self.grown) >= RECENT) {
            return Ok(Look::Same);
        }
        self.looked = Some(now);
        let metadata = match &self.file {
            Some(file) => file.metadata()?,
            None => fs::metadata(&self.path)?,
        };
        if metadata.ino() != self.identity.inode || metadata.len() == self.size {
            // Another file of this name is found by looking for files.
            return Ok(Look::Same);
        }
        if metadata.len() < self.size {
            return Ok(Look::Truncated);
        }
        if self.file.is_none() {
            let opened = Opened::open(&self.path)?;
            if opened.identity.inode != self.identity.inode {
                return Ok(Look::Same);
            }
            self.file = Some(opened.file);
        }
        if !self.same_start()? {
            return Ok(Look::Truncated);
        }
        self.size = metadata.len();
        self.grown = now;
        Ok(Look::Grown)
    }

    /// Whether the file still starts as it did. Takes over a head that has grown.
    fn same_start(&mut self) -> io::Result<bool> {
        let Some(file) = &self.file else { return Ok(true) };
        let head = read_head(file)?;
        if !head.starts_with(&self.head) {
            return Ok(false);
        }
        if self.head.len() < FINGERPRINT_BYTES && head.len() > self.head.len() {
            self.identity.fingerprint = Fingerprint::of(&head);
            self.head = head;
        }
        Ok(true)
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

    /// Counts what was read for the first time by any reader.
    fn count(&mut self, index: usize, turn: &Turn<'_>) {
        let done = self.readers[index].reader.position().done;
        if done > self.counted {
            let chunk = &turn.buffers.chunk;
            turn.metrics.read(chunk.records.len(), chunk.data.len() as u64);
            turn.metrics.drop_bytes(Drop::Cut, chunk.cut_bytes);
            turn.metrics.malformed(chunk.malformed);
            self.counted = done;
        }
    }

    /// Hands the records of the last step on. False if the whole reader went back to `before`.
    fn deliver(&mut self, index: usize, before: Position, turn: &mut Turn<'_>) -> bool {
        let chunk = &mut turn.buffers.chunk;
        let mut block = Block {
            stream: self.stream.clone(),
            data: std::mem::take(&mut chunk.data),
            records: std::mem::take(&mut chunk.records),
            checkpoint: Vec::new(),
        };
        let position = self.readers[index].reader.position().clone();
        let sorted = self.sort(index, &block, position.done.saturating_sub(before.done), turn);
        let late = sorted.late;
        if !sorted.now.is_empty() {
            block.checkpoint = self.checkpoint(&position, turn.clock.nanos);
            keep_large_buffer(&mut block.data, &mut turn.buffers.chunk.data);
            let block = Arc::new(block);
            for (route, selection) in sorted.now {
                let route = &turn.routes.routes[route];
                let Some(lane) = self.lanes.get_mut(&route.lane.id()) else { continue };
                lane.moved = false;
                lane.told = Some(turn.clock.instant);
                let delivery = Delivery {
                    block: block.clone(),
                    selection,
                    interest: route.interest.id,
                    passed_over: std::mem::take(&mut lane.passed_over),
                };
                // A closed lane is about to vanish from the routes.
                let _ = route.lane.send(Work::Records(delivery));
            }
            turn.buffers.lend(block);
        } else {
            turn.buffers.chunk.data = block.data;
            turn.buffers.chunk.records = block.records;
        }
        self.leave_behind(index, before, late, turn.clock.instant)
    }

    /// Sorts a reader's lanes by whether they take the block now, need nothing of it, or are late.
    fn sort(&mut self, index: usize, block: &Block, bytes: u64, turn: &mut Turn<'_>) -> Sorted {
        let lanes = &self.readers[index].lanes;
        let routes = &turn.routes.routes;
        let wanted: Vec<usize> =
            (0..routes.len()).filter(|route| lanes.contains(&routes[*route].lane.id())).collect();
        let mut sorted = Sorted::default();
        for (route, selection) in turn.routes.select(block, &wanted) {
            let id = routes[route].lane.id();
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            let selected = selection.len(block);
            if selected == 0 {
                lane.passed_over += block.records.len() as u64;
                lane.moved = true;
            } else if routes[route].lane.has_room() {
                sorted.now.push((route, selection));
            } else if drop_excess(turn.excess, id, bytes) {
                turn.metrics.drop_records(&lane.plugin, Drop::Lag, selected);
                lane.moved = true;
            } else {
                sorted.late.push(id);
            }
        }
        sorted
    }

    /// Lanes without room stay where they were. False if those are all of the reader's.
    fn leave_behind(&mut self, index: usize, before: Position, late: Vec<u64>, now: Instant) -> bool {
        let Some(format) = self.format.clone().filter(|_| !late.is_empty()) else { return true };
        let shared = &mut self.readers[index];
        shared.lanes.retain(|lane| !late.contains(lane));
        let reader = Reader::new(format, before, now);
        if shared.lanes.is_empty() {
            *shared = Shared { reader, lanes: late };
            return false;
        }
        self.readers.push(Shared { reader, lanes: late });
        true
    }

    /// Tells plugins that got nothing for a while where they are, so that their checkpoints move.
    /// With `all`, those too that were told a moment ago.
    pub fn tell_positions(&mut self, turn: &mut Turn<'_>, all: bool) {
        let now = turn.clock.instant;
        let is_due = |lane: &Lane| {
            let long_ago = |told| now.saturating_duration_since(told) >= POSITION_EVERY;
            lane.moved && (all || lane.told.is_none_or(long_ago))
        };
        let due: Vec<u64> = self.lanes.iter().filter(|(_, lane)| is_due(lane)).map(|(id, _)| *id).collect();
        for id in due {
            let place = self.places().find(|place| place.0 == id).map(|place| place.1.clone());
            let route = turn.routes.routes.iter().find(|route| route.lane.id() == id);
            let (Some(position), Some(route)) = (place, route) else { continue };
            if !route.lane.has_room() {
                continue;
            }
            let checkpoint = self.checkpoint(&position, turn.clock.nanos);
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            let stream = self.stream.clone();
            let block = Block { stream, data: Vec::new(), records: Vec::new(), checkpoint };
            let delivery = Delivery {
                block: Arc::new(block),
                selection: Selection::Some { records: Vec::new(), hits: Vec::new() },
                interest: route.interest.id,
                passed_over: std::mem::take(&mut lane.passed_over),
            };
            // As in `deliver`.
            let _ = route.lane.send(Work::Records(delivery));
            lane.moved = false;
            lane.told = Some(now);
        }
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

/// A reader's lanes by what becomes of a block.
#[derive(Default)]
struct Sorted {
    /// Routes that take it, and what of it.
    now: Vec<(usize, Selection)>,
    /// Lanes that want some of it and have no room.
    late: Vec<u64>,
}

fn can_take(lane: u64, turn: &Turn<'_>) -> bool {
    let route = turn.routes.routes.iter().find(|route| route.lane.id() == lane);
    route.is_some_and(|route| route.lane.has_room()) || turn.excess.contains_key(&lane)
}

/// Whether a block may be dropped for a lane; takes its bytes off the excess.
fn drop_excess(excess: &mut BTreeMap<u64, u64>, lane: u64, bytes: u64) -> bool {
    let Some(left) = excess.get_mut(&lane) else { return false };
    *left = left.saturating_sub(bytes);
    if *left == 0 {
        excess.remove(&lane);
    }
    true
}

/// A lane counts a block's bytes, not what its buffer could hold: a small block gets a small buffer
/// and the large one is used again.
fn keep_large_buffer(data: &mut Vec<u8>, spare: &mut Vec<u8>) {
    if data.len() < data.capacity() / 2 {
        let small = data.as_slice().to_vec();
        *spare = std::mem::replace(data, small);
    }
}
