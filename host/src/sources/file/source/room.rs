//! Which files of a source are open, within its bound.
//!
//! A file that is closed is still followed: its size is asked for by its path, and it is opened when there
//! is something to read. What makes room is closed in this order: files that are read to their end, then
//! files that only plugins without room still read; among these the one that has not grown for the
//! longest.

use std::io;

use super::FileSource;
use crate::sources::file::reader::Clock;
use crate::sources::file::tail::{Look, Tail};
use crate::sources::metrics::Drop;

impl FileSource {
    /// Asks for the size of files that may have grown. Closed ones come first, so that they find room
    /// before open ones have more to read.
    pub(super) fn look_at_files(&mut self, clock: Clock) {
        let mut waiting = Vec::new();
        let closed: Vec<u64> =
            self.tails.iter().filter(|(_, tail)| !tail.is_open()).map(|(id, _)| *id).collect();
        for id in closed {
            let wants = self.look_at(id, clock) == Look::Grown
                || self.tails.get(&id).is_some_and(|tail| self.wants_open(tail, clock));
            waiting.extend(wants.then_some(id));
        }
        // Who was open last is closed again first, so all have their turn.
        waiting.sort_by_key(|id| self.tails.get(id).map(Tail::grown));
        for id in waiting {
            if !self.make_room() {
                break;
            }
            self.open_again(id, clock);
        }
        let open: Vec<u64> =
            self.tails.iter().filter(|(_, tail)| tail.is_open()).map(|(id, _)| *id).collect();
        for id in open {
            self.look_at(id, clock);
        }
    }

    fn look_at(&mut self, id: u64, clock: Clock) -> Look {
        let Some(tail) = self.tails.get_mut(&id) else { return Look::Same };
        let looked = tail.look(clock.instant);
        self.take(id, looked, clock)
    }

    /// Whether a closed file has something for a plugin that has room.
    fn wants_open(&self, tail: &Tail, clock: Clock) -> bool {
        let takes = |lane: u64| {
            let mut routes = self.routes.routes.iter();
            routes.any(|route| route.lane.id() == lane && route.lane.has_room())
        };
        tail.has_more(clock.instant, self.config.finish_after, &takes)
    }

    fn open_again(&mut self, id: u64, clock: Clock) {
        let Some(tail) = self.tails.get_mut(&id) else { return };
        let opened = tail.open_again(clock.instant);
        let is_gone = match &opened {
            Ok(look) => *look == Look::Elsewhere,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        // As long as a pattern may find it, it is found under its new name by looking for files.
        if is_gone && tail.has_left() {
            tail.lose(&self.metrics, Drop::Deleted);
        }
        self.take(id, opened, clock);
    }

    fn take(&mut self, id: u64, looked: io::Result<Look>, clock: Clock) -> Look {
        match looked {
            Ok(Look::Truncated) => {
                self.restart(id, clock);
                Look::Truncated
            }
            Ok(look) => look,
            // A closed file that is gone is found out by looking for files.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Look::Same,
            Err(error) => {
                if let Some(path) = self.tails.get(&id).map(|tail| tail.path.clone()) {
                    self.refuse("read", &path, &error);
                }
                Look::Same
            }
        }
    }

    /// Makes room for one more open file, if that is possible.
    pub(super) fn make_room(&mut self) -> bool {
        let open = self.tails.values().filter(|tail| tail.is_open()).count();
        if open < self.config.max_open_files {
            return true;
        }
        let mut open: Vec<&mut Tail> = self.tails.values_mut().filter(|tail| tail.is_open()).collect();
        open.sort_by_key(|tail| tail.grown());
        open.iter_mut().any(|tail| tail.close()) || open.iter_mut().any(|tail| tail.close_blocked())
    }
}
