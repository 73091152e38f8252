//! Which plugins a source feeds: where new ones begin, and what is kept of those that left.
//!
//! A plugin that leaves the routes keeps its lane for a while, and what the lane holds is still
//! processed. If it comes back it goes on behind that, not at its committed checkpoints.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::FileSource;
use crate::model::Digest;
use crate::pipeline::route::Deliver;
use crate::sources::file::book::Book;
use crate::sources::file::checkpoint::{Checkpoint, Position};
use crate::sources::file::config::Start;
use crate::sources::file::reader::Clock;

/// Lanes without a route whose places are kept; the oldest go first. A lane is closed soon after its
/// plugin was removed, so there are hardly ever more than a few.
const MAX_KEPT_LANES: usize = 1024;

/// Where a lane is in each stream, with what it was handed already.
#[derive(Clone)]
pub struct Place {
    lane: Arc<dyn Deliver>,
    streams: Vec<(Digest, Checkpoint)>,
}

/// By lane.
pub type Places = BTreeMap<u64, Place>;

impl FileSource {
    /// Goes on where a source that fed the same lanes was.
    pub fn inherit(&mut self, places: Places) {
        self.inherited = places;
    }

    /// Where all lanes are, for the source that replaces this one.
    pub fn hand_over(&self, clock: Clock) -> Places {
        let mut places = self.inherited.clone();
        let fed = self.routes.routes.iter().filter(|route| self.books.contains_key(&route.lane.id()));
        places.extend(fed.map(|route| (route.lane.id(), self.place(&route.lane, clock))));
        places
    }

    fn place(&self, lane: &Arc<dyn Deliver>, clock: Clock) -> Place {
        let id = lane.id();
        let let_go = self.books.get(&id).into_iter().flat_map(Book::places_let_go);
        let followed = self.tails.values().flat_map(|tail| tail.hand_over(clock.nanos));
        let followed = followed.filter(|(lane, ..)| *lane == id).map(|(_, stream, place)| (stream, place));
        Place { lane: lane.clone(), streams: let_go.chain(followed).collect() }
    }

    /// Takes over changed routes: new lanes begin at their plugin's checkpoints. Those whose
    /// checkpoints cannot be read now are tried again in the next turn.
    pub(super) fn follow_routes(&mut self, clock: Clock) {
        let routes = self.watch.routes();
        if Arc::ptr_eq(&routes, &self.routes) && self.unread.is_empty() {
            return;
        }
        let former = std::mem::replace(&mut self.routes, routes);
        let lanes: BTreeMap<u64, String> =
            self.routes.routes.iter().map(|route| (route.lane.id(), route.plugin.clone())).collect();
        for route in former.routes.iter().filter(|route| !lanes.contains_key(&route.lane.id())) {
            self.leave(&route.lane, clock);
        }
        self.forget_closed();
        self.unread.retain(|lane| lanes.contains_key(lane));
        let mut new = Vec::new();
        for (lane, plugin) in lanes {
            if !self.books.contains_key(&lane) && self.open_book(lane, &plugin) {
                new.push(lane);
            }
        }
        self.begin(&new, clock);
    }

    /// Keeps where a lane is that is fed no longer.
    fn leave(&mut self, lane: &Arc<dyn Deliver>, clock: Clock) {
        let id = lane.id();
        if self.books.contains_key(&id) {
            let place = self.place(lane, clock);
            self.inherited.insert(id, place);
        }
        if let Some(book) = self.books.remove(&id) {
            self.metrics.forget_plugin(&book.plugin);
        }
        self.tails.values_mut().for_each(|tail| tail.detach(id));
    }

    /// What was in a closed lane is done or will be read again.
    fn forget_closed(&mut self) {
        let now = Instant::now();
        self.inherited.retain(|_, place| place.lane.wait_for_room(now).is_ok());
        while self.inherited.len() > MAX_KEPT_LANES {
            self.inherited.pop_first();
        }
    }

    /// Loads a lane's checkpoints; says whether that was possible.
    fn open_book(&mut self, lane: u64, plugin: &str) -> bool {
        let loaded = match self.checkpoints.load(plugin, &self.name) {
            Ok(loaded) => loaded,
            Err(error) => {
                if self.unread.insert(lane) {
                    tracing::error!(
                        source = self.name,
                        plugin,
                        %error,
                        "A plugin gets nothing of a source until its checkpoints can be read."
                    );
                }
                return false;
            }
        };
        self.unread.remove(&lane);
        let (mut book, refused) = Book::new(plugin, loaded);
        for reason in refused {
            tracing::error!(source = self.name, plugin, reason, "A checkpoint was not used.");
        }
        let inherited = self.inherited.remove(&lane).map(|place| place.streams).unwrap_or_default();
        inherited.into_iter().for_each(|(stream, checkpoint)| book.inherit(stream, checkpoint));
        self.books.insert(lane, book);
        true
    }

    /// Gives new lanes the files.
    fn begin(&mut self, new: &[u64], clock: Clock) {
        if new.is_empty() {
            return;
        }
        if self.started {
            let tails: Vec<u64> = self.tails.keys().copied().collect();
            for lane in new {
                tails.iter().for_each(|tail| self.attach(*tail, *lane, true));
            }
        } else {
            self.find_files(clock);
            self.started = true;
        }
        new.iter().for_each(|lane| self.find_moved(*lane, clock));
    }

    /// Gives a file to a plugin where it has to begin, if at all. `there_before` says whether the file
    /// was there when the plugin came.
    pub(super) fn attach(&mut self, tail: u64, lane: u64, there_before: bool) {
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
}
