//! Which series each rule recorded at its group's last evaluation, so that those that it records no more end.
//!
//! Lives as long as the plugin's thread: what was recorded before is not known to the next one.

use std::collections::{BTreeMap, HashSet};

/// Keys of series, by rule. A call returns a bounded number of them.
type Rules = BTreeMap<String, HashSet<u64>>;

/// What a group recorded.
#[derive(Debug)]
struct Group {
    rules: Rules,
    /// See [`Next::behind`].
    lag: u64,
}

/// The last evaluations that were committed, by group.
#[derive(Debug, Default)]
pub(crate) struct Recorded(BTreeMap<String, Group>);

/// An evaluation that is not committed yet.
#[derive(Debug)]
pub(crate) struct Next {
    group: String,
    rules: Rules,
    ended: Vec<u64>,
    lag: u64,
}

impl Next {
    /// The samples are of so many nanoseconds before the evaluation. When there are none, those of before decide.
    pub(crate) fn behind(self, lag: Option<u64>) -> Self {
        Self { lag: lag.unwrap_or(self.lag), ..self }
    }

    /// The time of the markers of what has ended, at the time of the evaluation: that of the samples.
    pub(crate) fn ended_at(&self, time: u64) -> u64 {
        time.saturating_sub(self.lag)
    }

    /// The series that the group records no more.
    pub(crate) fn ended(&self) -> &[u64] {
        &self.ended
    }
}

impl Recorded {
    /// Compares an evaluation of a group with the last one. A rule that made no set has failed and keeps its series.
    pub(crate) fn next(&self, group: &str, made: Vec<(String, Option<HashSet<u64>>)>) -> Next {
        let before = self.0.get(group);
        let mut rules = Rules::new();
        for (rule, keys) in made {
            let kept = || before.and_then(|before| before.rules.get(&rule)).cloned().unwrap_or_default();
            let keys = keys.unwrap_or_else(kept);
            rules.entry(rule).or_default().extend(keys);
        }
        rules.retain(|_, keys| !keys.is_empty());
        let is_gone = |key: &u64| !rules.values().any(|keys| keys.contains(key));
        let ended = before.into_iter().flat_map(Group::keys);
        let mut ended: Vec<u64> = ended.filter(is_gone).collect();
        if !ended.is_empty() {
            // A rule that moved to another group goes on there.
            let others = self.0.iter().filter(|(other, _)| *other != group);
            let elsewhere: HashSet<u64> = others.flat_map(|(_, other)| other.keys()).collect();
            ended.retain(|key| !elsewhere.contains(key));
        }
        let lag = before.map_or(0, |before| before.lag);
        Next { group: group.to_owned(), rules, ended, lag }
    }

    /// That evaluation is committed.
    pub(crate) fn accept(&mut self, next: Next) {
        match next.rules.is_empty() {
            true => drop(self.0.remove(&next.group)),
            false => drop(self.0.insert(next.group, Group { rules: next.rules, lag: next.lag })),
        }
    }

    /// The series of all other groups, without those that these record now, and how long before an evaluation their
    /// samples were.
    pub(crate) fn beyond(&self, groups: &[String]) -> Vec<(u64, u64)> {
        let (kept, others): (Vec<_>, Vec<_>) = self.0.iter().partition(|(group, _)| groups.contains(group));
        let kept: HashSet<u64> = kept.into_iter().flat_map(|(_, group)| group.keys()).collect();
        let others = others.into_iter().flat_map(|(_, group)| group.keys().map(|key| (key, group.lag)));
        others.filter(|(key, _)| !kept.contains(key)).collect()
    }

    /// Forgets all other groups.
    pub(crate) fn retain(&mut self, groups: &[String]) {
        self.0.retain(|group, _| groups.contains(group));
    }
}

impl Group {
    fn keys(&self) -> impl Iterator<Item = u64> {
        self.rules.values().flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(rules: &[(&str, Option<&[u64]>)]) -> Vec<(String, Option<HashSet<u64>>)> {
        let keys = |keys: &&[u64]| keys.iter().copied().collect();
        rules.iter().map(|(rule, made)| ((*rule).to_owned(), made.as_ref().map(keys))).collect()
    }

    #[test]
    fn a_series_ends_that_is_recorded_no_more_unless_its_rule_failed() {
        let mut recorded = Recorded::default();
        let first = recorded.next("g", made(&[("a", Some(&[1, 2])), ("b", Some(&[3])), ("c", Some(&[4]))]));
        assert!(first.ended().is_empty());
        recorded.accept(first);
        // 2 has changed its rule; `c` is gone.
        let second = made(&[("a", Some(&[1])), ("b", None), ("d", Some(&[2]))]);
        let next = recorded.next("g", second.clone());
        assert_eq!(next.ended(), [4]);
        // What was not committed is found again.
        let next = recorded.next("g", second);
        assert_eq!(next.ended(), [4]);
        recorded.accept(next);
        assert_eq!(recorded.next("g", made(&[("a", Some(&[1])), ("d", Some(&[2]))])).ended(), [3]);
        assert!(recorded.next("other", made(&[("a", Some(&[]))])).ended().is_empty());
    }

    #[test]
    fn a_rule_that_moves_to_another_group_ends_nothing() {
        let mut recorded = Recorded::default();
        for (group, keys) in [("g", &[1, 2][..]), ("h", &[3])] {
            let next = recorded.next(group, made(&[("a", Some(keys))]));
            recorded.accept(next);
        }
        let moved = recorded.next("h", made(&[("a", Some(&[3, 2]))]));
        recorded.accept(moved);
        assert!(recorded.next("g", made(&[("a", Some(&[1]))])).ended().is_empty());
        assert_eq!(recorded.beyond(&["h".to_owned()]), [(1, 0)], "the whole group has moved or is gone");
    }

    #[test]
    fn series_of_groups_that_are_gone_end() {
        let mut recorded = Recorded::default();
        for (group, key) in [("g", 1), ("h", 2)] {
            let next = recorded.next(group, made(&[("a", Some(&[key]))]));
            recorded.accept(next);
        }
        assert_eq!(recorded.beyond(&["g".to_owned()]), [(2, 0)]);
        recorded.retain(&["g".to_owned()]);
        assert_eq!(recorded.beyond(&[]), [(1, 0)]);
    }

    #[test]
    fn series_of_a_group_that_looks_back_end_where_its_samples_are() {
        let mut recorded = Recorded::default();
        let first = recorded.next("g", made(&[("a", Some(&[1, 2]))])).behind(Some(60));
        assert_eq!(first.ended_at(100), 40);
        recorded.accept(first);
        let mut all = recorded.beyond(&[]);
        all.sort();
        assert_eq!(all, [(1, 60), (2, 60)]);
        let none = recorded.next("g", made(&[("a", Some(&[]))])).behind(None);
        assert_eq!(
            (none.ended().len(), none.ended_at(100)),
            (2, 40),
            "also when it records nothing any more"
        );
        let changed = recorded.next("g", made(&[("a", Some(&[1]))])).behind(Some(0));
        assert_eq!((changed.ended(), changed.ended_at(100)), (&[2][..], 100));
    }
}
