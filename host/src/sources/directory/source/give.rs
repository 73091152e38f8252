//! Gives files and members of containers to scanners and unpackers: to those that have not judged them yet,
//! when their lanes have room. Which file comes when is decided above.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::super::examine;
use super::{DirectorySource, TICK};
use crate::model::Digest;
use crate::pipeline::route::Route;
use crate::pipeline::work::{Opened, ScanJob, ScanTarget, ScanTicket, UnpackJob, Work};

/// Something to be done with a file.
pub(super) struct Task {
    route: Route,
    /// Whether it is to be opened, and what is to be noted then.
    unpack: Option<Option<Opened>>,
}

/// The generations that files and members go to, as one digest.
fn judges(routes: &[Route]) -> Digest {
    let mut judges: Vec<_> = routes.iter().map(|route| (&route.plugin, route.generation)).collect();
    judges.sort();
    Digest::of_parts(judges.iter().flat_map(|(plugin, generation)| [plugin.as_bytes(), &generation.0[..]]))
}

impl DirectorySource {
    /// What is still to be done with a file, and by whom.
    pub(super) fn wanted(&self, path: &Path, key: &Digest) -> Vec<Task> {
        let routes = self.parts.watch.routes();
        let by = judges(&routes.routes);
        let mut wanted = Vec::new();
        for route in &routes.routes {
            let busy = |unpack| self.under_way.contains(&(route.plugin.clone(), path.to_owned(), unpack));
            let (plugin, generation) = (route.plugin.clone(), route.generation);
            if route.takes.scan && !busy(false) && !self.parts.log.known(&plugin, &generation, key) {
                wanted.push(Task { route: route.clone(), unpack: None });
            }
            let record = Opened { plugin, generation, key: *key, by };
            if route.takes.unpack && !busy(true) && !self.parts.log.opened(&record) {
                wanted.push(Task { route: route.clone(), unpack: Some(Some(record)) });
            }
        }
        wanted
    }

    /// Gives what came out of containers to the scanners, and to unpackers again.
    pub(super) fn scan_members(&mut self) {
        while let (false, Ok(member)) = (self.stopped(), self.members.1.try_recv()) {
            let container = member.spooled.container.clone();
            let stop = self.parts.stop.clone();
            let alive = &mut || !stop.load(Ordering::Relaxed);
            let target = match examine::member(member, &self.parts.name, alive) {
                Ok(target) => Arc::new(target),
                Err(error) => {
                    self.parts.metrics.error("read");
                    tracing::warn!(source = self.parts.name, %error, "A member of a container cannot be read.");
                    container.fail();
                    continue;
                }
            };
            for task in self.wanted(&target.path, &target.key) {
                // Only a file on disk is noted as opened.
                let unpack = task.unpack.map(|_| None);
                self.give(Task { unpack, ..task }, &target);
            }
        }
    }

    pub(super) fn give(&mut self, task: Task, target: &Arc<ScanTarget>) {
        let Task { route, unpack } = task;
        let (plugin, path) = (route.plugin.clone(), target.path.clone());
        let ticket = ScanTicket::new(plugin.clone(), path.clone(), self.done.0.clone()).within(target);
        if !self.wait_for_room(&route) {
            // The dropped ticket says that there is no verdict.
            return;
        }
        self.under_way.insert((plugin, path, unpack.is_some()));
        self.parts.metrics.scanned(&route.plugin);
        let target = target.clone();
        let work = match unpack {
            None => Work::Scan(ScanJob { target, ticket }),
            Some(record) => {
                let (ticket, members) = (ticket.unpacking(record), self.members.0.clone());
                Work::Unpack(UnpackJob { target, ticket, members })
            }
        };
        // As above, if the lane is closed.
        let _ = route.lane.send(work);
    }

    /// False if the plugin is gone or the source has to stop.
    fn wait_for_room(&mut self, route: &Route) -> bool {
        while !self.stopped() {
            match route.lane.wait_for_room(Instant::now() + TICK) {
                Ok(true) => return true,
                Ok(false) => self.take_notice(),
                Err(_) => return false,
            }
        }
        false
    }
}
