//! Gives files and members of containers to scanners and unpackers: to those that have not judged them yet
//! and have room. Which file comes when is decided above.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::super::aside::{LateMember, Put};
use super::super::under_way::Errand;
use super::DirectorySource;
use crate::model::Digest;
use crate::pipeline::container::Container;
use crate::pipeline::route::Route;
use crate::pipeline::work::{Opened, ScanJob, ScanTarget, ScanTicket, UnpackJob, Work};

/// Something to be done with a file.
pub(super) struct Task {
    pub(super) route: Route,
    /// Whether it is to be opened, and what is to be noted then.
    unpack: Option<Option<Opened>>,
    /// The content, and the generations it goes to.
    about: Digest,
}

impl Task {
    /// Whether the file is to be opened rather than scanned.
    pub(super) fn is_unpack(&self) -> bool {
        self.unpack.is_some()
    }

    fn errand(&self, path: &Path, member: Option<Digest>) -> Errand {
        let (plugin, path) = (self.route.plugin.clone(), path.to_owned());
        Errand { plugin, path, unpack: self.is_unpack(), member }
    }
}

/// The generations that files and members go to, as one digest.
fn judges(routes: &[Route]) -> Digest {
    let mut judges: Vec<_> = routes.iter().map(|route| (&route.plugin, route.generation)).collect();
    judges.sort();
    Digest::of_parts(judges.iter().flat_map(|(plugin, generation)| [plugin.as_bytes(), &generation.0[..]]))
}

impl DirectorySource {
    /// What is still to be done with a file or a member of a container, and by whom.
    pub(super) fn wanted(&mut self, path: &Path, key: &Digest, within: Option<&Arc<Container>>) -> Vec<Task> {
        let routes = self.parts.watch.routes();
        let by = judges(&routes.routes);
        let mut wanted = Vec::new();
        for route in &routes.routes {
            let (plugin, generation) = (route.plugin.clone(), route.generation);
            if route.takes.scan && !self.parts.log.known(&plugin, &generation, key) {
                let about = Digest::of_parts([&generation.0[..], &key.0]);
                wanted.push(Task { route: route.clone(), unpack: None, about });
            }
            let record = Opened { plugin, generation, key: *key, by };
            if route.takes.unpack && !self.parts.log.opened(&record) {
                let about = Digest::of_parts([&generation.0[..], &key.0, &by.0]);
                // Only a file on disk is noted as opened.
                let unpack = Some(within.is_none().then_some(record));
                wanted.push(Task { route: route.clone(), unpack, about });
            }
        }
        wanted.retain(|task| self.is_free(task, path, key, within));
        wanted
    }

    /// Whether a task is neither under way nor resting; one that is will be remembered.
    fn is_free(&mut self, task: &Task, path: &Path, key: &Digest, within: Option<&Arc<Container>>) -> bool {
        let errand = task.errand(path, within.map(|_| *key));
        if self.under_way.is_busy(&errand, &task.about, within) {
            return false;
        }
        if within.is_none()
            && let Some(left) = self.attempts.rests(&errand.plugin, path, &task.about, Instant::now())
        {
            self.retry(path, left);
            return false;
        }
        true
    }

    /// Gives a file to a plugin, or puts it aside.
    pub(super) fn give(&mut self, task: Task, target: &Arc<ScanTarget>) {
        if !task.route.lane.has_room() {
            return self.put_aside(&task, target);
        }
        let member = target.spooled.as_ref().map(|_| target.key);
        let errand = task.errand(&target.path, member);
        let Task { route, unpack, about } = task;
        let ticket = ScanTicket::new(route.plugin.clone(), target.path.clone(), self.done.0.clone());
        let ticket = ticket.within(target);
        self.under_way.begin(errand, about, target.stat);
        self.parts.metrics.scanned(&route.plugin);
        let target = target.clone();
        let work = match unpack {
            None => Work::Scan(ScanJob { target, ticket }),
            Some(record) => {
                let (ticket, members) = (ticket.unpacking(record), self.members.0.clone());
                Work::Unpack(UnpackJob { target, ticket, members })
            }
        };
        // If the plugin is gone, the dropped ticket says that there is no verdict.
        let _ = route.lane.send(work);
    }

    fn put_aside(&mut self, task: &Task, target: &Arc<ScanTarget>) {
        let plugin = &task.route.plugin;
        let put = match &target.spooled {
            None => self.aside.file(plugin, &target.path),
            Some(spooled) => {
                let (path, spooled) = (target.path.clone(), spooled.clone());
                let member = LateMember { path, spooled, sha256: Some(target.info.sha256) };
                self.aside.member(plugin, member, task.is_unpack())
            }
        };
        self.count_aside(plugin, put);
    }

    pub(super) fn count_aside(&self, plugin: &str, put: Put) {
        match put {
            Put::Aside => self.parts.metrics.put_aside(plugin),
            Put::Before => {}
            // A walk finds it again, or its container comes again.
            Put::NoRoom => self.parts.metrics.skipped("no-room"),
        }
    }
}
