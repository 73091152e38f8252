//! Which plugins a source feeds, and the one native pass over a block for all of them.
//!
//! The lifecycle sets the routes of a source as a whole, sources read them without locking and wait
//! here for changes. What is delivered, and when, is the sources' business.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;

use super::interest::Interest;
use super::lane::{Closed, LaneSender};
use super::matcher::{MatchError, Matcher};
use super::work::Work;
use crate::model::{Block, Digest, Record, Selection, Stream};
use crate::tap::Taps;

/// The end of a lane that a source holds.
pub trait Deliver: Send + Sync {
    /// Unique in this process. A source that meets a new id starts from the committed checkpoint.
    fn id(&self) -> u64;
    /// The interest by which the plugin wants its records chosen. Where a route's is another, what serves has
    /// changed or may change back: the plugin gets the whole block and chooses itself.
    fn interest(&self) -> u64;
    /// Whether the plugin was removed, or its thread has panicked: then another lane takes its place.
    fn is_closed(&self) -> bool;
    /// Whether there is room for more work.
    fn has_room(&self) -> bool;
    /// Queues work; never blocks.
    fn send(&self, work: Work) -> Result<(), Closed>;
    /// Waits until there is room or the deadline has passed; says whether there is room.
    fn wait_for_room(&self, deadline: Instant) -> Result<bool, Closed>;
}

impl<C: Send + 'static> Deliver for LaneSender<Work, C> {
    fn id(&self) -> u64 {
        LaneSender::id(self)
    }

    fn interest(&self) -> u64 {
        LaneSender::interest(self)
    }

    fn is_closed(&self) -> bool {
        LaneSender::is_closed(self)
    }

    fn has_room(&self) -> bool {
        LaneSender::has_room(self)
    }

    fn send(&self, work: Work) -> Result<(), Closed> {
        let bytes = work.bytes();
        LaneSender::send(self, work, bytes)
    }

    fn wait_for_room(&self, deadline: Instant) -> Result<bool, Closed> {
        LaneSender::wait_for_room(self, deadline)
    }
}

/// The way from a source to one plugin.
#[derive(Clone)]
pub struct Route {
    /// The plugin's name in the configuration.
    pub plugin: String,
    /// The active generation; a scanner's verdicts hold for one generation.
    pub generation: Digest,
    /// Which records the plugin wants.
    pub interest: Arc<Interest>,
    /// Where they go.
    pub lane: Arc<dyn Deliver>,
    /// What it does with files.
    pub takes: Takes,
}

/// What a plugin does with files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Takes {
    /// It scans them.
    pub scan: bool,
    /// It opens containers.
    pub unpack: bool,
}

impl Takes {
    /// A scanner that opens nothing.
    pub const SCAN: Self = Self { scan: true, unpack: false };
}

/// All routes of one source at one time.
#[derive(Default)]
pub struct SourceRoutes {
    /// In the order in which they were set.
    pub routes: Vec<Route>,
    matcher: Matcher,
    taps: Taps,
}

impl SourceRoutes {
    /// Builds the searcher for all routes' literals.
    pub fn new(routes: Vec<Route>) -> Result<Self, MatchError> {
        let matcher = Matcher::new(routes.iter().map(|route| &*route.interest))?;
        Ok(Self { routes, matcher, taps: Taps::default() })
    }

    /// Shows people records that are about to be routed, which lie in `data`.
    pub fn show(&self, stream: &Stream, data: &[u8], records: &[Record]) {
        self.taps.records(stream, data, records);
    }

    /// What of a block goes to each of the `wanted` routes, by their index, in one pass for all.
    pub fn select(&self, block: &Block, wanted: &[usize]) -> Vec<(usize, Selection)> {
        self.matcher.select(block, wanted)
    }
}

/// The routes of all sources.
#[derive(Default)]
pub struct Router {
    sources: Mutex<HashMap<String, Arc<ArcSwap<SourceRoutes>>>>,
    // Beside the routes, so that a source can wait for a change without polling.
    version: Mutex<u64>,
    changed: Condvar,
    taps: Taps,
}

impl Router {
    /// Without any routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Without any routes; people see there what sources bring.
    pub fn tapped(taps: Taps) -> Self {
        Self { taps, ..Self::default() }
    }

    /// Replaces the routes of one source. On an error the former ones stay.
    pub fn set(&self, source: &str, routes: Vec<Route>) -> Result<(), MatchError> {
        self.set_all(vec![(source.to_owned(), routes)])
    }

    /// Replaces the routes of several sources. On an error all former ones stay.
    pub fn set_all(&self, sources: Vec<(String, Vec<Route>)>) -> Result<(), MatchError> {
        let built: Vec<(String, SourceRoutes)> = sources
            .into_iter()
            .map(|(source, routes)| Ok((source, SourceRoutes::new(routes)?)))
            .collect::<Result<_, MatchError>>()?;
        for (source, routes) in built {
            let taps = self.taps.clone();
            self.slot(&source).store(Arc::new(SourceRoutes { taps, ..routes }));
        }
        *lock(&self.version) += 1;
        self.changed.notify_all();
        Ok(())
    }

    /// The routes of a source now; none if it has never been set.
    pub fn routes(&self, source: &str) -> Arc<SourceRoutes> {
        self.slot(source).load_full()
    }

    /// A handle on one source's routes that is read without locking.
    pub fn watch(&self, source: &str) -> RouteWatch {
        RouteWatch { slot: self.slot(source) }
    }

    /// Rises with every change.
    pub fn version(&self) -> u64 {
        *lock(&self.version)
    }

    /// Waits until the version is another than `seen`, or the deadline has passed; the version then.
    pub fn wait_for_change(&self, seen: u64, deadline: Instant) -> u64 {
        let mut version = lock(&self.version);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if *version != seen || left.is_zero() {
                return *version;
            }
            version = self.changed.wait_timeout(version, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Wakes all that wait, without a change of routes: a source uses it to be stopped.
    pub fn wake(&self) {
        *lock(&self.version) += 1;
        self.changed.notify_all();
    }

    fn slot(&self, source: &str) -> Arc<ArcSwap<SourceRoutes>> {
        let mut sources = lock(&self.sources);
        if let Some(slot) = sources.get(source) {
            return slot.clone();
        }
        let slot = Arc::new(ArcSwap::from_pointee(SourceRoutes::default()));
        sources.insert(source.to_owned(), slot.clone());
        slot
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one store; a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A source's view of its routes.
#[derive(Clone)]
pub struct RouteWatch {
    slot: Arc<ArcSwap<SourceRoutes>>,
}

impl RouteWatch {
    /// The routes now.
    pub fn routes(&self) -> Arc<SourceRoutes> {
        self.slot.load_full()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::time::Duration;

    use super::*;
    use crate::pipeline::lane::lane;

    #[test]
    fn a_change_of_routes_is_seen_and_waited_for() {
        let router = Arc::new(Router::new());
        let watch = router.watch("s");
        assert!(watch.routes().routes.is_empty());
        let seen = router.version();
        let waiter = std::thread::spawn({
            let router = router.clone();
            move || router.wait_for_change(seen, Instant::now() + Duration::from_secs(60))
        });
        let (sender, _receiver) = lane::<Work, ()>("p", 1);
        let route = Route {
            plugin: "p".into(),
            generation: Digest::of(b"g"),
            interest: Interest::everything(),
            takes: Takes::SCAN,
            lane: Arc::new(sender),
        };
        router.set("s", vec![route]).unwrap();
        assert_ne!(waiter.join().unwrap(), seen);
        assert_eq!(watch.routes().routes[0].plugin, "p");
        assert_eq!(router.wait_for_change(router.version(), Instant::now()), router.version());
    }
}
