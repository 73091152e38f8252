//! Attempts that came to nothing: how long to wait for the next one, and when a file that changes all the
//! time has to be told of.
//!
//! Knows no clock of its own and tries nothing.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::model::Digest;

/// When a scan came to nothing (the plugin was replaced or its circuit opened, or a container found no room
/// in the spool folder), the file is tried again after this long.
const FIRST_RETRY: Duration = Duration::from_secs(60);
/// Each further time it waits twice as long, up to this: what does not fit may cost a node a lot each time,
/// and what was mended is not left alone for a day.
const LONGEST_RETRY: Duration = Duration::from_secs(3600);
/// Attempts during which a file changed before it is told of. There is a pause for settling in between, so
/// a file has changed for many minutes by then.
pub(super) const MAX_CHANGED: u32 = 10;
/// Files that attempts are remembered of. Beyond it all begin anew: waits are short again, and nothing worse.
const MAX_FILES: usize = 10_000;

/// Attempts for files, by plugin; the one without a name reads the file for its digest.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    files: HashMap<PathBuf, Attempted>,
}

#[derive(Debug, Default)]
struct Attempted {
    /// Whether it was told that the file changes all the time.
    told: bool,
    by: BTreeMap<String, Attempt>,
}

#[derive(Debug, Default)]
struct Attempt {
    /// How often the file changed meanwhile.
    changed: u32,
    failed: Option<Failed>,
}

#[derive(Debug)]
struct Failed {
    /// What was tried: the content, and the generations it went to.
    about: Digest,
    times: u32,
    until: Instant,
}

impl Attempts {
    fn of(&mut self, plugin: &str, path: &Path) -> &mut Attempt {
        if self.files.len() >= MAX_FILES && !self.files.contains_key(path) {
            self.files.clear();
        }
        self.files.entry(path.to_owned()).or_default().by.entry(plugin.to_owned()).or_default()
    }

    /// An attempt came to nothing, though the file is as it was; says how long to wait.
    pub(super) fn failed(&mut self, plugin: &str, path: &Path, about: Digest, now: Instant) -> Duration {
        let attempt = self.of(plugin, path);
        let times = attempt.failed.as_ref().filter(|failed| failed.about == about).map_or(0, |f| f.times);
        let wait = FIRST_RETRY.saturating_mul(1 << times.min(16)).min(LONGEST_RETRY);
        attempt.failed = Some(Failed { about, times: times.saturating_add(1), until: now + wait });
        wait
    }

    /// How long the same attempt still has to wait.
    pub(super) fn rests(&self, plugin: &str, path: &Path, about: &Digest, now: Instant) -> Option<Duration> {
        let failed = self.files.get(path)?.by.get(plugin)?.failed.as_ref()?;
        let left = failed.until.saturating_duration_since(now);
        (failed.about == *about && !left.is_zero()).then_some(left)
    }

    /// The file changed during an attempt. Says whether that has to be told now.
    pub(super) fn changed(&mut self, plugin: &str, path: &Path) -> bool {
        let attempt = self.of(plugin, path);
        attempt.changed = attempt.changed.saturating_add(1);
        attempt.changed >= MAX_CHANGED && self.files.get(path).is_some_and(|file| !file.told)
    }

    /// It was told; not again before an attempt succeeds.
    pub(super) fn told(&mut self, path: &Path) {
        if let Some(file) = self.files.get_mut(path) {
            file.told = true;
        }
    }

    /// An attempt succeeded, or the file is gone.
    pub(super) fn forget(&mut self, plugin: &str, path: &Path) {
        if let Some(file) = self.files.get_mut(path) {
            file.by.remove(plugin);
            if file.by.is_empty() {
                self.files.remove(path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_the_wait_is_longer_up_to_a_bound() {
        let (path, about, now) = (Path::new("a"), Digest::of(b"1"), Instant::now());
        let mut attempts = Attempts::default();
        let mut minutes = || attempts.failed("p", path, about, now).as_secs() / 60;
        let waits: Vec<u64> = (0..9).map(|_| minutes()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(attempts.rests("p", path, &about, now), Some(LONGEST_RETRY));
        assert_eq!(attempts.rests("p", path, &about, now + LONGEST_RETRY), None);
        // Another content, another generation, another plugin: nothing is known against it.
        assert_eq!(attempts.rests("p", path, &Digest::of(b"2"), now), None);
        assert_eq!(attempts.rests("q", path, &about, now), None);
        assert_eq!(attempts.failed("p", path, Digest::of(b"2"), now), FIRST_RETRY);
        attempts.forget("p", path);
        assert!(attempts.files.is_empty());
    }

    #[test]
    fn a_file_that_changes_all_the_time_is_told_of_once() {
        let path = Path::new("a");
        let mut attempts = Attempts::default();
        for _ in 1..MAX_CHANGED {
            assert!(!attempts.changed("p", path));
        }
        assert!(attempts.changed("p", path));
        assert!(attempts.changed("p", path), "it could not be told");
        attempts.told(path);
        assert!(!attempts.changed("p", path));
        attempts.forget("p", path);
        assert!(!attempts.changed("p", path));
    }

    #[test]
    fn files_that_are_remembered_are_bounded() {
        let mut attempts = Attempts::default();
        for number in 0..=MAX_FILES {
            attempts.changed("p", Path::new(&number.to_string()));
        }
        assert_eq!(attempts.files.len(), 1);
    }
}
