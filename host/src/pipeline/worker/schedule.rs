//! When each of a plugin's rule groups is due, and whether it could be evaluated the last time.
//!
//! Groups are spread over their intervals by a hash of their names, as Prometheus does it, so that they are not all
//! evaluated at the same moments. Unlike there, places in the interval go by the start and not by the wall clock: the
//! nodes of a fleet have the same groups and would send what comes of them all at once.
//!
//! Reads no clock and evaluates nothing.

use std::time::{Duration, Instant};

use crate::model::Digest;
use picket_sandbox::Group;

/// After a start no group waits longer than this for its first evaluation: one that is evaluated once a day would
/// never be on a node that is started every morning, and what is left of groups that are gone ends only once all
/// others were evaluated.
pub(super) const AFTER_START: Duration = Duration::from_secs(60);
/// When another generation comes to serve, its groups are due at once: a bad one is to be found out soon, and so is
/// what holds by its rules.
pub(super) const AFTER_EXCHANGE: Duration = Duration::ZERO;

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Schedule(Vec<Due>);

#[derive(Debug)]
struct Due {
    group: String,
    interval: Duration,
    at: Instant,
    /// One of its places in the interval: the others are whole intervals away.
    place: Instant,
    /// Whether it was evaluated once.
    began: bool,
    /// Whether the call of its last evaluation failed, also that of a generation before.
    fails: bool,
}

impl Schedule {
    /// The first evaluation of each group is within its interval and within `first`; then each is due at its places.
    pub(super) fn new(groups: &[Group], now: Instant, first: Duration) -> Self {
        let due = |group: &Group| {
            let hash = hash(&group.name);
            Due {
                group: group.name.clone(),
                interval: group.interval,
                at: now + part(hash, group.interval.min(first)),
                place: now + part(hash, group.interval),
                began: false,
                fails: false,
            }
        };
        Self(groups.iter().map(due).collect())
    }

    /// The same, with what is known of groups that were there before.
    pub(super) fn after(self, former: &Self) -> Self {
        let mut schedule = self;
        for due in &mut schedule.0 {
            due.fails = former.fails(&due.group);
        }
        schedule
    }

    /// When the next group is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.0.iter().map(|due| due.at).min()
    }

    /// The group that is due longest, and when it was: evaluations are an interval apart however late they come.
    /// Those that were missed are not made up for.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(String, Instant)> {
        let due = self.0.iter_mut().filter(|due| due.at <= now).min_by_key(|due| due.at)?;
        let at = if now - due.at < due.interval { due.at } else { now - due.past(now) };
        due.at = match at.checked_duration_since(due.place) {
            Some(_) => at + (due.interval - due.past(at)),
            None => due.place,
        };
        due.began = true;
        Some((due.group.clone(), at))
    }

    /// Whether each group was evaluated once, so that it is known what they record.
    pub(super) fn all_began(&self) -> bool {
        self.0.iter().all(|due| due.began)
    }

    /// Notes whether the call of a group's evaluation failed.
    pub(super) fn note(&mut self, group: &str, fails: bool) {
        if let Some(due) = self.0.iter_mut().find(|due| due.group == group) {
            due.fails = fails;
        }
    }

    /// Whether there is no group whose last evaluation did not fail; also when there is none at all.
    pub(super) fn all_fail(&self) -> bool {
        self.0.iter().all(|due| due.fails)
    }

    /// Whether the call of a group's last evaluation failed.
    pub(super) fn fails(&self, group: &str) -> bool {
        self.0.iter().any(|due| due.group == group && due.fails)
    }

    /// A group's interval in nanoseconds.
    pub(super) fn interval(&self, group: &str) -> u64 {
        let due = self.0.iter().find(|due| due.group == group);
        due.map_or(0, |due| u64::try_from(due.interval.as_nanos()).unwrap_or(u64::MAX))
    }

    /// The names of all groups.
    pub(super) fn groups(&self) -> Vec<String> {
        self.0.iter().map(|due| due.group.clone()).collect()
    }
}

impl Due {
    /// How long before a moment its last place was; nothing before the first one.
    fn past(&self, moment: Instant) -> Duration {
        let since = moment.saturating_duration_since(self.place).as_nanos();
        // Less than an interval, which is a day at most.
        Duration::from_nanos(u64::try_from(since % self.interval.as_nanos().max(1)).unwrap_or_default())
    }
}

/// The same number for a name at every start.
fn hash(group: &str) -> u64 {
    let Digest(bytes) = Digest::of(group.as_bytes());
    bytes.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// The part of a length that a hash stands for.
fn part(hash: u64, length: Duration) -> Duration {
    let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(hash.checked_rem(nanos).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str, seconds: u64) -> Group {
        Group {
            name: name.to_owned(),
            file: String::new(),
            interval: Duration::from_secs(seconds),
            limit: 0,
            rules: Vec::new(),
        }
    }

    /// Due at once, and then at whole intervals since the start.
    fn at_once(groups: &[(&str, u64)], start: Instant) -> Schedule {
        let groups: Vec<Group> = groups.iter().map(|(name, seconds)| group(name, *seconds)).collect();
        let mut schedule = Schedule::new(&groups, start, AFTER_EXCHANGE);
        schedule.0.iter_mut().for_each(|due| due.place = start);
        schedule
    }

    #[test]
    fn groups_come_due_by_their_intervals_and_missed_ones_are_left_out() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut schedule = at_once(&[("a", 10), ("b", 60)], start);
        assert_eq!(schedule.take_due(start), Some(("a".into(), start)));
        assert_eq!(schedule.take_due(start), Some(("b".into(), start)));
        assert_eq!(schedule.take_due(start), None);
        assert_eq!(schedule.next_due(), Some(after(10)));
        assert_eq!(schedule.take_due(after(45)), Some(("a".into(), after(40))), "it keeps its places");
        assert_eq!(schedule.take_due(after(45)), None);
        assert_eq!(schedule.next_due(), Some(after(50)));
    }

    #[test]
    fn an_evaluation_that_comes_late_is_of_when_it_was_due() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut schedule = at_once(&[("a", 10)], after(0));
        assert_eq!(schedule.take_due(after(3)), Some(("a".into(), start)));
        assert_eq!(schedule.take_due(after(10)), Some(("a".into(), after(10))));
    }

    #[test]
    fn after_a_start_groups_are_spread_over_their_interval_and_stay_so() {
        let start = Instant::now();
        let groups: Vec<Group> = (0..100).map(|number| group(&format!("g{number}"), 30)).collect();
        let mut schedule = Schedule::new(&groups, start, AFTER_START);
        let mut tenths = [0; 10];
        for due in &schedule.0 {
            let tenth = (due.at - start).as_millis() / 3000;
            tenths[usize::try_from(tenth).expect("less than an interval")] += 1;
        }
        assert!(tenths.iter().all(|count| *count < 30), "{tenths:?}");
        let first: Vec<Instant> = schedule.0.iter().map(|due| due.at).collect();
        let end = start + Duration::from_secs(30);
        while schedule.take_due(end).is_some() {}
        assert!(schedule.all_began(), "each was due within its interval");
        for (due, first) in schedule.0.iter().zip(first) {
            assert_eq!(due.at - first, Duration::from_secs(30));
        }
        let again = Schedule::new(&groups, end, AFTER_START);
        let places = |schedule: &Schedule, start| -> Vec<Duration> {
            schedule.0.iter().map(|due| due.place - start).collect()
        };
        assert_eq!(places(&schedule, start), places(&again, end), "a name has its place at every start");
    }

    #[test]
    fn a_slow_group_is_evaluated_soon_and_then_at_its_places() {
        let start = Instant::now();
        for first in [AFTER_START, AFTER_EXCHANGE] {
            for number in 0..50 {
                let mut schedule = Schedule::new(&[group(&number.to_string(), 3600)], start, first);
                let due = schedule.next_due().unwrap_or(start);
                assert!(due - start <= first);
                assert_eq!(schedule.take_due(due).map(|(_, at)| at), Some(due));
                let next = schedule.next_due().unwrap_or(start);
                assert!(next > due && next - due <= Duration::from_secs(3600));
                assert_eq!(schedule.0[0].past(next), Duration::ZERO, "at one of its places");
            }
        }
    }

    #[test]
    fn a_group_that_failed_is_known_to_the_next_generation() {
        let start = Instant::now();
        let mut former = at_once(&[("a", 10), ("b", 10), ("gone", 10)], start);
        ["a", "b", "gone"].iter().for_each(|group| former.note(group, true));
        former.note("b", false);
        let schedule = at_once(&[("b", 10), ("a", 10), ("new", 10)], start).after(&former);
        assert_eq!(["a", "b", "new", "gone"].map(|group| schedule.fails(group)), [true, false, false, false]);
    }
}
