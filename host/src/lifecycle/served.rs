//! Which generation of a plugin serves, and which ones may come back.
//!
//! The worker decides: it keeps the last generation whose calls worked until its successor's first call
//! has worked, and goes back to it otherwise. What it tells arrives later than the lifecycle's own
//! changes, so both generations that the worker may go back to are kept here. Knows nothing of
//! what a generation is.

use crate::model::Digest;

/// The generation that serves with what is known of it, and those that it may give way to.
#[derive(Debug)]
pub(super) struct Served<T> {
    current: (Digest, T),
    /// The last one that is known to have worked; behind it the last one that gave way, of which the
    /// worker may have told already that it worked. None when the current one has worked.
    former: Vec<(Digest, T)>,
}

impl<T> Served<T> {
    pub(super) fn new(digest: Digest, first: T) -> Self {
        Self { current: (digest, first), former: Vec::new() }
    }

    pub(super) fn current(&self) -> &T {
        &self.current.1
    }

    pub(super) fn is_current(&self, digest: &Digest) -> bool {
        self.current.0 == *digest
    }

    /// What the worker goes back to if the current one's first call fails, as far as it has told.
    pub(super) fn comes_back(&self) -> Option<&T> {
        self.former.first().map(|(_, made)| made)
    }

    /// What serves and what may come back.
    pub(super) fn digests(&self) -> Vec<Digest> {
        std::iter::once(&self.current).chain(&self.former).map(|(digest, _)| *digest).collect()
    }

    /// Another generation was given to the worker.
    pub(super) fn serves(&mut self, digest: Digest, next: T) {
        let gives_way = std::mem::replace(&mut self.current, (digest, next));
        self.former.truncate(1);
        self.former.push(gives_way);
    }

    /// A generation's first call worked: nothing older comes back.
    pub(super) fn proven(&mut self, digest: &Digest) {
        if self.is_current(digest) {
            self.former.clear();
        } else if let Some(at) = self.former.iter().position(|(former, _)| former == digest) {
            self.former.drain(..at);
        }
    }

    /// The worker refused a generation and serves another one again. Says whether that changed what
    /// serves: not when yet another generation was given to the worker in the meantime.
    pub(super) fn reverted(&mut self, refused: &Digest, serves: &Digest) -> bool {
        let was_current = self.is_current(refused);
        self.former.retain(|(former, _)| former != refused);
        let Some(at) = self.former.iter().position(|(former, _)| former == serves) else { return false };
        if was_current {
            self.current = self.former.remove(at);
            self.former.clear();
        }
        was_current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(of: &str) -> Digest {
        Digest::of(of.as_bytes())
    }

    /// A history of generations that were given to a worker one after the other.
    fn served(names: &[&'static str]) -> Served<&'static str> {
        let mut served = Served::new(digest(names[0]), names[0]);
        for name in &names[1..] {
            served.serves(digest(name), name);
        }
        served
    }

    #[test]
    fn the_last_one_that_worked_comes_back_over_all_that_were_never_called() {
        let mut served = served(&["one", "two", "three"]);
        assert_eq!(served.comes_back(), Some(&"one"));
        assert!(served.reverted(&digest("three"), &digest("one")));
        assert_eq!(served.current(), &"one");
        assert_eq!(served.comes_back(), None);
        assert_eq!(served.digests(), [digest("one")]);
    }

    #[test]
    fn one_that_worked_is_what_comes_back_later() {
        let mut served = served(&["one", "two"]);
        served.proven(&digest("two"));
        served.serves(digest("three"), "three");
        assert!(served.reverted(&digest("three"), &digest("two")));
        assert_eq!(served.current(), &"two");
    }

    #[test]
    fn what_a_worker_told_before_another_activation_counts_after_it() {
        // It worked, and another one was given to the worker before that was heard.
        let mut proven = served(&["one", "two", "three"]);
        proven.proven(&digest("two"));
        assert!(proven.reverted(&digest("three"), &digest("two")));
        assert_eq!(proven.current(), &"two");
        // It was refused, and another one was given to the worker before that was heard.
        let mut refused = served(&["one", "two", "three"]);
        assert!(!refused.reverted(&digest("two"), &digest("one")));
        assert_eq!(refused.current(), &"three");
        assert!(refused.reverted(&digest("three"), &digest("one")));
        assert_eq!(refused.current(), &"one");
    }

    #[test]
    fn few_are_kept_however_many_come() {
        assert_eq!(served(&["one", "two", "three", "four", "five"]).digests().len(), 3);
    }
}
