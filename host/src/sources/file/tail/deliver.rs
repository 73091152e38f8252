//! Handing on what was read: who takes a block now, who stays behind, who only learns how far it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Lane, Shared, Tail, Turn};
use crate::model::{Block, Selection};
use crate::pipeline::lane::{Delivery, UNSETTLED};
use crate::pipeline::work::Work;
use crate::sources::file::checkpoint::Position;
use crate::sources::file::reader::Reader;
use crate::sources::metrics::Drop;

/// How often a plugin that finds nothing in a file is told how far the file has been read.
const POSITION_EVERY: Duration = Duration::from_secs(1);

impl Tail {
    /// Counts and shows what was read for the first time by any reader.
    pub(super) fn count(&mut self, index: usize, turn: &Turn<'_>) {
        let done = self.readers[index].reader.position().done;
        if done > self.counted {
            let chunk = &turn.buffers.chunk;
            turn.routes.show(&self.stream, &chunk.data, &chunk.records);
            turn.metrics.read(chunk.records.len(), chunk.data.len() as u64);
            turn.metrics.drop_bytes(Drop::Cut, chunk.cut_bytes);
            turn.metrics.malformed(chunk.malformed);
            self.counted = done;
        }
    }

    /// Hands the records of the last step on. False if the whole reader went back to `before`.
    pub(super) fn deliver(&mut self, index: usize, before: Position, turn: &mut Turn<'_>) -> bool {
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
            for (route, interest, selection) in sorted.now {
                let route = &turn.routes.routes[route];
                let Some(lane) = self.lanes.get_mut(&route.lane.id()) else { continue };
                lane.moved = false;
                lane.told = Some(turn.clock.instant);
                let delivery = Delivery {
                    block: block.clone(),
                    selection,
                    interest,
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
            let route_now = &routes[route];
            let settled = route_now.lane.interest() == route_now.interest.id;
            let (interest, selection) = match settled {
                true => (route_now.interest.id, selection),
                // Another generation serves, or this one may give way: the plugin chooses by itself.
                false => (UNSETTLED, Selection::All),
            };
            let selected = selection.len(block);
            if selected == 0 {
                lane.passed_over += block.records.len() as u64;
                lane.moved = true;
            } else if routes[route].lane.has_room() {
                sorted.now.push((route, interest, selection));
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
}

/// A reader's lanes by what becomes of a block.
#[derive(Default)]
struct Sorted {
    /// Routes that take it, by which interest, and what of it.
    now: Vec<(usize, u64, Selection)>,
    /// Lanes that want some of it and have no room.
    late: Vec<u64>,
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
