//! When to load again what failed for a reason that passes by itself.
//!
//! The pause doubles, so that an agent that is short of something for long does not spend its time on
//! trying: also when loading works and what was loaded fails soon after. Knows no clock and nothing of what is
//! loaded.

use std::time::{Duration, Instant};

/// The first pause: a plugin that is busy or a full table of files is better by then as a rule.
const FIRST: Duration = Duration::from_secs(5);
/// The longest: an operator who has made room does not wait longer for the plugin.
const LONGEST: Duration = Duration::from_secs(300);

/// Nothing is due unless a load was worth a retry.
#[derive(Debug, Default)]
pub(super) struct Retry {
    next: Option<Instant>,
    /// The last pause, and until when it counts.
    former: Option<(Duration, Instant)>,
}

impl Retry {
    /// A load ended: is it worth another one?
    pub(super) fn loaded(&mut self, worth_it: bool, now: Instant) {
        if !worth_it {
            self.next = None;
            return;
        }
        let former = self.former.filter(|(_, until)| now < *until);
        let pause = former.map_or(FIRST, |(pause, _)| (pause * 2).min(LONGEST));
        self.next = Some(now + pause);
        self.former = Some((pause, now + pause + LONGEST));
    }

    /// Whether there will be another load.
    pub(super) fn is_planned(&self) -> bool {
        self.next.is_some()
    }

    /// Whether it is time.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    /// The time until then, at most `poll`.
    pub(super) fn wait(&self, poll: Duration, now: Instant) -> Duration {
        self.next.map_or(poll, |next| next.saturating_duration_since(now).min(poll))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_end_when_it_has_worked_for_long() {
        let now = Instant::now();
        let mut retry = Retry::default();
        assert!(!retry.is_due(now) && !retry.is_planned());
        retry.loaded(true, now);
        assert!(retry.is_planned());
        assert!(!retry.is_due(now) && retry.is_due(now + FIRST));
        assert_eq!(retry.wait(Duration::from_secs(3600), now), FIRST);
        assert_eq!(retry.wait(Duration::from_secs(1), now), Duration::from_secs(1));
        retry.loaded(true, now);
        assert!(!retry.is_due(now + FIRST) && retry.is_due(now + FIRST * 2));
        (0..100).for_each(|_| retry.loaded(true, now));
        assert!(retry.is_due(now + LONGEST));
        retry.loaded(false, now);
        assert!(!retry.is_due(now + LONGEST * 10));
        retry.loaded(true, now);
        assert!(!retry.is_due(now + FIRST), "what was loaded has failed at once");
        retry.loaded(false, now);
        let later = now + LONGEST * 3;
        retry.loaded(true, later);
        assert!(retry.is_due(later + FIRST));
    }
}
