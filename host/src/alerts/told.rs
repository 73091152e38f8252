//! What the log has been told of rules, so that what goes on evaluation after evaluation is told once in a while.
//!
//! Logs nothing itself: failures are counted in `picket_alert_rule_errors_total`, alerts that are left out in
//! `picket_alerts_refused_total`, each time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What is told again and again without being new is told as often.
const AGAIN: Duration = Duration::from_secs(10 * 60);

/// What was told of a rule last, and when, by its group and its name.
#[derive(Debug, Default)]
pub struct Told(BTreeMap<(String, String), (String, Instant)>);

impl Told {
    /// Whether this is to be told of a rule now; it counts as told then. What differs in numbers alone is not new: how
    /// long something took, how many there were.
    pub fn is_news(&mut self, group: &str, rule: &str, what: &str, now: Instant) -> bool {
        let what: String = what.chars().filter(|sign| !sign.is_ascii_digit()).collect();
        let key = (group.to_owned(), rule.to_owned());
        let is_news = self.0.get(&key).is_none_or(|(told, at)| *told != what || is_old(*at, now));
        if is_news {
            self.0.insert(key, (what, now));
        }
        is_news
    }

    /// Forgets what would be told again anyway: rules that are gone, or well again.
    pub fn forget_old(&mut self, now: Instant) {
        self.0.retain(|_, (_, at)| !is_old(*at, now));
    }
}

fn is_old(told: Instant, now: Instant) -> bool {
    now.saturating_duration_since(told) >= AGAIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_is_told_of_each_rule_once_in_a_while() {
        let begin = Instant::now();
        let mut told = Told::default();
        let mut news = |rule: &str, what: &str, after: Duration| told.is_news("g", rule, what, begin + after);
        assert!(news("a", "slow", Duration::ZERO));
        assert!(!news("a", "slow", AGAIN / 2));
        assert!(news("b", "slow", AGAIN / 2), "another rule");
        assert!(news("a", "slow", AGAIN));
        assert!(!news("b", "slow", AGAIN));
        assert!(news("b", "wrong", AGAIN), "something else");
        assert!(news("c", "took 12 ms", AGAIN) && !news("c", "took 7 ms", AGAIN));
        told.forget_old(begin + AGAIN + AGAIN / 2);
        assert_eq!(told.0.len(), 3);
        told.forget_old(begin + 2 * AGAIN);
        assert!(told.0.is_empty());
    }
}
