//! What waits for room in the lanes of plugins: files by their paths, members of containers by their
//! places in the spool folder.
//!
//! A plugin that is slow or rests must not hold its source up for the others. So what it has no room for
//! is put aside here, within bounds for each plugin, in the order in which it came. Nothing is open and
//! nothing is read here; who gets what is the source's business.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::Digest;
use crate::pipeline::container::{MAX_BYTES, MAX_MEMBERS, Spooled};

/// Paths of files that wait for one plugin: a few megabytes. Beyond it a walk finds them again.
const MAX_FILES: usize = 10_000;

/// A member of a container, without an open file.
#[derive(Debug, Clone)]
pub(super) struct LateMember {
    /// Never a path on disk.
    pub(super) path: PathBuf,
    /// Where it lies; others may wait for it too.
    pub(super) spooled: Arc<Spooled>,
    /// Of its content, if that was read already.
    pub(super) sha256: Option<Digest>,
}

/// Something that waits for one plugin.
#[derive(Debug)]
pub(super) enum Late {
    /// A file on disk, to be looked at anew.
    File(PathBuf),
    /// A member, and whether it is to be opened rather than scanned.
    Member(LateMember, bool),
}

/// What became of something that was to be put aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// It waits from now on.
    Aside,
    /// It waits already.
    Before,
    /// It does not fit.
    NoRoom,
}

/// All that waits, by plugin.
#[derive(Debug, Default)]
pub(super) struct Aside {
    lanes: BTreeMap<String, Lane>,
}

#[derive(Debug, Default)]
struct Lane {
    late: VecDeque<Late>,
    /// The files among it, so that each waits once.
    files: HashSet<PathBuf>,
    members: u64,
    bytes: u64,
    /// Whether files did not fit.
    missed: bool,
}

impl Aside {
    /// Puts a file aside. When there is no room for it, a walk has to find it again.
    pub(super) fn file(&mut self, plugin: &str, path: &Path) -> Put {
        let lane = self.lanes.entry(plugin.to_owned()).or_default();
        if lane.files.contains(path) {
            return Put::Before;
        }
        if lane.files.len() >= MAX_FILES {
            lane.missed = true;
            return Put::NoRoom;
        }
        lane.files.insert(path.to_owned());
        lane.late.push_back(Late::File(path.to_owned()));
        Put::Aside
    }

    /// Puts a member aside. When there is no room for it, its container counts as failed: it has to come
    /// again. The members of one container fit, and leave half of the spool folder to what others wait for.
    pub(super) fn member(&mut self, plugin: &str, member: LateMember, unpack: bool) -> Put {
        let lane = self.lanes.entry(plugin.to_owned()).or_default();
        let bytes = lane.bytes.saturating_add(member.spooled.file.bytes());
        if lane.members >= MAX_MEMBERS || bytes > MAX_BYTES {
            member.spooled.container.fail();
            return Put::NoRoom;
        }
        lane.members += 1;
        lane.bytes = bytes;
        lane.late.push_back(Late::Member(member, unpack));
        Put::Aside
    }

    /// Takes what has waited longest for a plugin.
    pub(super) fn next(&mut self, plugin: &str) -> Option<Late> {
        let lane = self.lanes.get_mut(plugin)?;
        let late = lane.late.pop_front()?;
        match &late {
            Late::File(path) => {
                lane.files.remove(path);
            }
            Late::Member(member, _) => {
                lane.members -= 1;
                lane.bytes -= member.spooled.file.bytes();
            }
        }
        Some(late)
    }

    /// Whether something waits for a plugin.
    pub(super) fn waits_for(&self, plugin: &str) -> bool {
        self.lanes.get(plugin).is_some_and(|lane| !lane.late.is_empty())
    }

    /// Whether nothing waits at all.
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.values().all(|lane| lane.late.is_empty())
    }

    /// Files did not fit for this plugin.
    pub(super) fn miss(&mut self, plugin: &str) {
        self.lanes.entry(plugin.to_owned()).or_default().missed = true;
    }

    /// Plugins that files did not fit for and that have got all the others by now; each is told once.
    pub(super) fn take_missed(&mut self) -> BTreeSet<String> {
        let caught_up = self.lanes.iter_mut().filter(|(_, lane)| lane.late.is_empty());
        caught_up
            .filter_map(|(plugin, lane)| std::mem::take(&mut lane.missed).then(|| plugin.clone()))
            .collect()
    }

    /// Everything is about to be looked at anyway.
    pub(super) fn forget_missed(&mut self) {
        self.lanes.values_mut().for_each(|lane| lane.missed = false);
    }

    /// Forgets what waits for other plugins than these: they were removed.
    pub(super) fn keep_only(&mut self, plugins: &BTreeSet<&str>) {
        self.lanes.retain(|plugin, lane| {
            let keeps = plugins.contains(plugin.as_str());
            if !keeps {
                lane.fail_members();
            }
            keeps
        });
    }
}

impl Lane {
    /// Without a verdict their containers have to come again.
    fn fail_members(&self) {
        for late in &self.late {
            if let Late::Member(member, _) = late {
                member.spooled.container.fail();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::pipeline::work::stand_in::Containers;

    fn late(member: crate::pipeline::work::Member) -> LateMember {
        LateMember { path: member.path, spooled: Arc::new(member.spooled), sha256: None }
    }

    #[test]
    fn files_wait_once_in_their_order_and_within_a_bound() {
        let mut aside = Aside::default();
        for (path, put) in [("b", Put::Aside), ("a", Put::Aside), ("b", Put::Before)] {
            assert_eq!(aside.file("p", Path::new(path)), put);
        }
        assert!(aside.waits_for("p") && !aside.waits_for("q"));
        let mut next = || match aside.next("p") {
            Some(Late::File(path)) => path.display().to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!([next(), next(), next()], ["b", "a", "None"]);
        for number in 0..MAX_FILES {
            assert_eq!(aside.file("p", Path::new(&number.to_string())), Put::Aside);
        }
        assert_eq!(aside.file("p", Path::new("one more")), Put::NoRoom);
        assert_eq!(aside.file("q", Path::new("one more")), Put::Aside, "each plugin has room of its own");
        assert!(aside.take_missed().is_empty(), "it has not got the others yet");
        while aside.next("p").is_some() {}
        assert_eq!(aside.take_missed(), BTreeSet::from(["p".to_owned()]));
        assert!(aside.take_missed().is_empty());
    }

    #[test]
    fn a_container_whose_members_do_not_fit_has_to_come_again() {
        let containers = Containers::new();
        let mut aside = Aside::default();
        let [first, second] = ["a.zip", "b.zip"].map(|path| containers.with(path, &[("x", b"1")]));
        let first_member = late(first.1.into_iter().next().unwrap());
        assert_eq!(aside.member("p", first_member, false), Put::Aside);
        aside.lanes.get_mut("p").unwrap().members = MAX_MEMBERS;
        let second_member = late(second.1.into_iter().next().unwrap());
        assert_eq!(aside.member("p", second_member, false), Put::NoRoom);
        assert!(!second.0.recv().unwrap().committed);
        // The other one's plugin is removed.
        assert!(first.0.is_empty());
        aside.keep_only(&BTreeSet::from(["q"]));
        assert!(!first.0.recv().unwrap().committed);
    }
}
