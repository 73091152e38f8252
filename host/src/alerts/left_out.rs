//! Alerts that hold and are not followed, because their plugin has as many as it may: which rule they are of, and when
//! that is worth a line in the log.
//!
//! Logs nothing itself. Each one is counted in `picket_alerts_refused_total`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A rule is told of as often: it goes on at each of its evaluations, as a rule.
const AGAIN: Duration = Duration::from_secs(10 * 60);

/// The alerts of one rule that an evaluation left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The group.
    pub group: String,
    /// The rule.
    pub rule: String,
    /// How many of its alerts held and were not followed.
    pub alerts: u64,
}

/// When which rule was told of.
#[derive(Debug, Default)]
pub struct LeftOutTold(BTreeMap<(String, String), Instant>);

impl LeftOutTold {
    /// Whether this is to be told now; it counts as told then.
    pub fn is_news(&mut self, left_out: &LeftOut, now: Instant) -> bool {
        self.0.retain(|_, told| now.saturating_duration_since(*told) < AGAIN);
        let rule = (left_out.group.clone(), left_out.rule.clone());
        let is_news = !self.0.contains_key(&rule);
        if is_news {
            self.0.insert(rule, now);
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_told_of_once_in_a_while() {
        let left_out = |rule: &str| LeftOut { group: "g".into(), rule: rule.into(), alerts: 1 };
        let begin = Instant::now();
        let mut told = LeftOutTold::default();
        let mut news = |rule: &str, after: Duration| told.is_news(&left_out(rule), begin + after);
        assert!(news("a", Duration::ZERO));
        assert!(!news("a", AGAIN / 2));
        assert!(news("b", AGAIN / 2), "another rule");
        assert!(news("a", AGAIN));
        assert!(!news("b", AGAIN));
    }
}
