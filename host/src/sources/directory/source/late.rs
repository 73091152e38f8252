//! Gives what was put aside, as soon as there is room for it, and waits for that.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::aside::Late;
use super::give::Task;
use super::walk::WaitsFor;
use super::{DirectorySource, LONGEST_TICK, TICK};
use crate::pipeline::route::Route;

/// What each plugin is given at most of what was put aside before anything else is looked at: about as much
/// as its queue holds.
const MAX_AT_ONCE: usize = 128;
/// How often several full lanes are looked at: often enough that a fast plugin's queue is not empty for
/// long. For one, the source is woken.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

impl DirectorySource {
    /// Puts a file aside that nobody who may want it has room for: it is not even read now.
    pub(super) fn put_off(&mut self, path: &Path, wanted: Option<&[Task]>) -> bool {
        let routes = match wanted {
            Some(tasks) => tasks.iter().map(|task| task.route.clone()).collect(),
            None => self.routes(&WaitsFor::Anybody),
        };
        let nobody = !routes.is_empty() && !routes.iter().any(|route| route.lane.has_room());
        if nobody {
            for route in &routes {
                let put = self.aside.file(&route.plugin, path);
                self.count_aside(&route.plugin, put);
            }
        }
        nobody
    }

    /// Gives each plugin in turn what was put aside for it, as far as there is room.
    pub(super) fn give_aside(&mut self) {
        if self.aside.is_empty() {
            return;
        }
        let routes = self.late();
        for _ in 0..MAX_AT_ONCE {
            let mut gave = false;
            for route in &routes {
                if !self.stopped()
                    && route.lane.has_room()
                    && let Some(late) = self.aside.next(&route.plugin)
                {
                    self.give_late(&route.plugin, late);
                    gave = true;
                }
            }
            if !gave {
                return;
            }
            self.take_notice();
        }
    }

    fn give_late(&mut self, plugin: &str, late: Late) {
        match late {
            Late::File(path) => {
                if let Ok(metadata) = fs::symlink_metadata(&path) {
                    self.scan(&path, &metadata);
                }
            }
            Late::Member(member, unpack) => self.give_member(member, Some((plugin, unpack))),
        }
    }

    /// Whether a walk has to wait: there is somebody it waits for, and no room at any of them.
    pub(super) fn has_no_room(&self, waits_for: &WaitsFor) -> bool {
        let routes = self.routes(waits_for);
        !routes.is_empty() && !routes.iter().any(|route| route.lane.has_room())
    }

    /// Waits for what may change, for a moment.
    pub(super) fn pause(&self, seen: u64) {
        self.wait_for_room(&self.late(), seen);
    }

    /// The same in a walk that waits for room.
    pub(super) fn pause_walk(&self, waits_for: &WaitsFor) {
        let mut routes = self.routes(waits_for);
        routes.extend(self.late());
        routes.sort_by(|a, b| a.plugin.cmp(&b.plugin));
        routes.dedup_by(|a, b| a.plugin == b.plugin);
        self.wait_for_room(&routes, self.parts.router.version());
    }

    fn wait_for_room(&self, routes: &[Route], seen: u64) {
        let now = Instant::now();
        match routes {
            [] => {
                self.parts.router.wait_for_change(seen, now + self.tick());
            }
            // Whatever it says, everything is looked at again.
            [route] => {
                let _ = route.lane.wait_for_room(now + TICK);
            }
            _ => {
                self.parts.router.wait_for_change(seen, now + LOOK_AGAIN);
            }
        }
    }

    /// Until the kernel is asked again. A file waits until it has settled anyway: when nothing is in hand, the half
    /// of that time is soon enough to see that it has come.
    fn tick(&self) -> Duration {
        let idle = self.waiting.len() == 0 && self.under_way.is_empty();
        if idle { (self.parts.config.settle / 2).clamp(TICK, LONGEST_TICK) } else { TICK }
    }

    /// The plugins that something was put aside for.
    fn late(&self) -> Vec<Route> {
        let mut routes = self.routes(&WaitsFor::Anybody);
        routes.retain(|route| self.aside.waits_for(&route.plugin));
        routes
    }

    /// The plugins that take files, of those a walk waits for.
    fn routes(&self, waits_for: &WaitsFor) -> Vec<Route> {
        let routes = self.parts.watch.routes();
        let takes = |route: &&Route| {
            let is_meant = match waits_for {
                WaitsFor::Anybody => true,
                WaitsFor::These(plugins) => plugins.contains(&route.plugin),
                WaitsFor::Nobody => false,
            };
            is_meant && takes_files(route)
        };
        routes.routes.iter().filter(takes).cloned().collect()
    }
}

/// Whether a plugin scans or opens files.
pub(super) fn takes_files(route: &Route) -> bool {
    route.takes.scan || route.takes.unpack
}
