//! Gives what came out of containers to the scanners, and to unpackers again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::aside::LateMember;
use super::super::examine;
use super::DirectorySource;
use crate::pipeline::work::Member;

impl DirectorySource {
    /// Takes all members that came out since the last time.
    pub(super) fn scan_members(&mut self) {
        while let (false, Ok(member)) = (self.stopped(), self.members.1.try_recv()) {
            let Member { path, spooled } = member;
            self.give_member(LateMember { path, spooled: Arc::new(spooled), sha256: None }, None);
        }
    }

    /// Gives a member to everybody who wants it, or `only` to one plugin, to be scanned or opened.
    pub(super) fn give_member(&mut self, member: LateMember, only: Option<(&str, bool)>) {
        let container = member.spooled.container.clone();
        let LateMember { path, spooled, sha256 } = member;
        let alive = &mut || !self.parts.stop.load(Ordering::Relaxed);
        let target = match examine::member(path, spooled, sha256, &self.parts.name, alive) {
            Ok(target) => Arc::new(target),
            Err(error) => {
                self.parts.metrics.error("read");
                tracing::warn!(source = self.parts.name, %error, "A member of a container cannot be read.");
                return container.fail();
            }
        };
        for task in self.wanted(&target.path, &target.key, Some(&container)) {
            if only.is_none_or(|only| only == (task.route.plugin.as_str(), task.is_unpack())) {
                self.give(task, &target);
            }
        }
    }
}
