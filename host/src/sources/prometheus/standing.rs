//! How the targets of a source stand: when each is due, whether it is being scraped, and why its last scrape failed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use picket_scrape::{ScrapeError, Target, until_first};

use crate::sources::Problem;

/// See the module's description.
#[derive(Default)]
pub(super) struct Standing {
    targets: BTreeMap<String, Entry>,
}

struct Entry {
    target: Arc<Target>,
    due: Instant,
    is_running: bool,
    /// None until the first scrape is over.
    outcome: Option<Result<(), Problem>>,
}

/// What is new about a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Fails,
    Recovers,
}

impl Standing {
    /// Scrapes these targets from now on. Those that were there before keep their places. `now` is Unix time in
    /// nanoseconds.
    pub(super) fn set(&mut self, targets: Vec<Target>, interval: Duration, now: u64) {
        let mut former = std::mem::take(&mut self.targets);
        for target in targets {
            let key = target.key();
            let entry = former.remove(&key).unwrap_or_else(|| Entry {
                due: Instant::now() + until_first(&key, interval, now),
                target: Arc::new(target),
                is_running: false,
                outcome: None,
            });
            self.targets.insert(key, entry);
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.targets.contains_key(key)
    }

    /// When the next target is due that is not being scraped.
    pub(super) fn next(&self) -> Option<Instant> {
        self.targets.values().filter(|entry| !entry.is_running).map(|entry| entry.due).min()
    }

    /// Takes the target that has been due for longest. It is due again after the interval; what was missed meanwhile
    /// is not made up for.
    pub(super) fn start(&mut self, interval: Duration, now: Instant) -> Option<Arc<Target>> {
        let waiting = self.targets.values_mut().filter(|entry| !entry.is_running && entry.due <= now);
        let entry = waiting.min_by_key(|entry| entry.due)?;
        entry.is_running = true;
        while entry.due <= now {
            entry.due += interval;
        }
        Some(entry.target.clone())
    }

    /// The scrape of a target is over.
    pub(super) fn end(&mut self, target: &Target, outcome: &Result<(), ScrapeError>) -> Change {
        let Some(entry) = self.targets.get_mut(&target.key()) else { return Change::None };
        entry.is_running = false;
        let failed = |error: &ScrapeError| Problem {
            path: target.url.shown().into(),
            error: error.to_string(),
            remedy: error.remedy().to_owned(),
        };
        let was_failing =
            entry.outcome.replace(outcome.as_ref().copied().map_err(failed)).is_some_and(|it| it.is_err());
        match (was_failing, outcome.is_ok()) {
            (false, false) => Change::Fails,
            (true, true) => Change::Recovers,
            _ => Change::None,
        }
    }

    /// How many targets there are.
    pub(super) fn len(&self) -> usize {
        self.targets.len()
    }

    /// How many of them are up.
    pub(super) fn up(&self) -> usize {
        self.targets.values().filter(|entry| matches!(entry.outcome, Some(Ok(())))).count()
    }

    /// Why targets are not up.
    pub(super) fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.targets.values().filter_map(|entry| entry.outcome.as_ref()?.as_ref().err())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::sources::prometheus::Config;

    const INTERVAL: Duration = Duration::from_secs(15);

    fn targets(addresses: &[&str]) -> Vec<Target> {
        let targets = addresses.iter().map(|address| (*address).to_owned()).collect();
        let checked = Config { targets, ..Config::default() }.check().unwrap();
        picket_scrape::targets::resolve(&checked.defaults, &[checked.fixed]).unwrap()
    }

    #[test]
    fn each_target_is_scraped_once_an_interval_and_never_twice_at_once() {
        let mut standing = Standing::default();
        standing.set(targets(&["a:1", "b:1"]), INTERVAL, 0);
        let late = Instant::now() + 10 * INTERVAL;
        let first = standing.start(INTERVAL, late).unwrap();
        let second = standing.start(INTERVAL, late).unwrap();
        assert_ne!(first, second);
        assert!(standing.start(INTERVAL, late).is_none() && standing.next().is_none());
        assert_eq!(standing.end(&first, &Ok(())), Change::None);
        assert!(standing.start(INTERVAL, late).is_none(), "what was missed is not made up for");
        let next = standing.next().unwrap();
        assert!(next > late && next <= late + INTERVAL);
    }

    #[test]
    fn a_target_that_stays_keeps_its_place_and_one_that_goes_is_forgotten() {
        let mut standing = Standing::default();
        standing.set(targets(&["a:1", "b:1"]), INTERVAL, 0);
        let late = Instant::now() + INTERVAL;
        let first = standing.start(INTERVAL, late).unwrap();
        let failed = Err(ScrapeError::Body { limit: 1 });
        assert_eq!(standing.end(&first, &failed), Change::Fails);
        assert_eq!(standing.end(&first, &failed), Change::None);
        standing.set(targets(&[first.url.uri().authority().unwrap().as_str()]), INTERVAL, 0);
        assert_eq!((standing.len(), standing.up(), standing.problems().count()), (1, 0, 1));
        assert_eq!(standing.end(&first, &Ok(())), Change::Recovers);
        standing.set(targets(&["c:1"]), INTERVAL, 0);
        assert_eq!(standing.end(&first, &Ok(())), Change::None);
        assert_eq!((standing.len(), standing.up()), (1, 0));
    }
}
