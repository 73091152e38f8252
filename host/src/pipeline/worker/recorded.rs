//! Which series each rule recorded at its group's last evaluation, so that those that it records no more end.
//!
//! Lives as long as the plugin's thread: what was recorded before is not known to the next one.

use std::collections::{BTreeMap, HashSet};

/// Keys of series, by rule. A call returns a bounded number of them.
type Rules = BTreeMap<String, HashSet<u64>>;

/// The last evaluations that were committed, by group.
#[derive(Debug, Default)]
pub(crate) struct Recorded(BTreeMap<String, Rules>);

/// An evaluation that is not committed yet.
#[derive(Debug)]
pub(crate) struct Next {
    group: String,
    rules: Rules,
    ended: Vec<u64>,
}

impl Next {
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
            let kept = || before.and_then(|before| before.get(&rule)).cloned().unwrap_or_default();
            let keys = keys.unwrap_or_else(kept);
            rules.entry(rule).or_default().extend(keys);
        }
        rules.retain(|_, keys| !keys.is_empty());
        let is_gone = |key: &u64| !rules.values().any(|keys| keys.contains(key));
        let ended = before.into_iter().flat_map(|before| before.values().flatten().copied());
        let mut ended: Vec<u64> = ended.filter(is_gone).collect();
        if !ended.is_empty() {
            // A rule that moved to another group goes on there.
            let others = self.0.iter().filter(|(other, _)| *other != group);
            let elsewhere: HashSet<u64> =
                others.flat_map(|(_, rules)| rules.values().flatten().copied()).collect();
            ended.retain(|key| !elsewhere.contains(key));
        }
        Next { group: group.to_owned(), rules, ended }
    }

    /// That evaluation is committed.
    pub(crate) fn accept(&mut self, next: Next) {
        match next.rules.is_empty() {
            true => drop(self.0.remove(&next.group)),
            false => drop(self.0.insert(next.group, next.rules)),
        }
    }

    /// The series of all other groups, without those that these record now.
    pub(crate) fn beyond(&self, groups: &[String]) -> Vec<u64> {
        let (kept, others): (Vec<_>, Vec<_>) = self.0.iter().partition(|(group, _)| groups.contains(group));
        let kept: HashSet<u64> =
            kept.into_iter().flat_map(|(_, rules)| rules.values().flatten().copied()).collect();
        let others = others.into_iter().flat_map(|(_, rules)| rules.values().flatten().copied());
        others.filter(|key| !kept.contains(key)).collect()
    }

    /// Forgets all other groups.
    pub(crate) fn retain(&mut self, groups: &[String]) {
        self.0.retain(|group, _| groups.contains(group));
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
        assert_eq!(recorded.beyond(&["h".to_owned()]), [1], "the whole group has moved or is gone");
    }

    #[test]
    fn series_of_groups_that_are_gone_end() {
        let mut recorded = Recorded::default();
        for (group, key) in [("g", 1), ("h", 2)] {
            let next = recorded.next(group, made(&[("a", Some(&[key]))]));
            recorded.accept(next);
        }
        assert_eq!(recorded.beyond(&["g".to_owned()]), [2]);
        recorded.retain(&["g".to_owned()]);
        assert_eq!(recorded.beyond(&[]), [1]);
    }
}
