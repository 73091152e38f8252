//! What is remembered of an address or a user: counts over a sliding window, recent names, the
//! connections that were counted, and which rules have spoken. Every part is bounded.
//!
//! Does not decide anything and does not store itself: `detect` and `store` do.

use serde::{Deserialize, Serialize};

use crate::rule::Rule;

/// How many user names or addresses a track remembers; the least recent gives way. It bounds the state
/// of one attacker to a few KiB, and with it what the thresholds on names can be.
pub const MAX_NAMES: usize = 32;

/// How many connections of an address are told apart at the same time. Servers allow ten unauthenticated
/// connections by default; sshd drops more and more of them from there on.
const MAX_CONNECTIONS: usize = 32;

/// Names longer than this are cut: it is what most systems allow.
const MAX_NAME_BYTES: usize = 32;

/// Into how many slots a window is divided: it forgets a tenth of its length at a time.
const SLOTS: usize = 10;

/// A count over a sliding window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Window {
    /// The length of a slot in nanoseconds; another configuration begins anew.
    slot: u64,
    /// Number of the newest slot.
    newest: u64,
    /// Counts by slot number modulo [`SLOTS`].
    counts: [u32; SLOTS],
}

impl Window {
    /// Counts `n` at `time` (nanoseconds) and gives the sum of the window that ends with the newest time
    /// counted so far. What is older than the window is not counted.
    pub fn add(&mut self, time: u64, length: u64, n: u32) -> u32 {
        let slot = (length / SLOTS as u64).max(1);
        if self.slot != slot {
            *self = Self { slot, newest: time / slot, counts: [0; SLOTS] };
        }
        let number = time / slot;
        if number > self.newest {
            let passed = (number - self.newest).min(SLOTS as u64);
            for behind in 0..passed {
                self.counts[((number - behind) % SLOTS as u64) as usize] = 0;
            }
            self.newest = number;
        }
        if self.newest - number < SLOTS as u64 {
            let count = &mut self.counts[(number % SLOTS as u64) as usize];
            *count = count.saturating_add(n);
        }
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// A user name or an address, and what failed with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// The name, cut to 32 bytes.
    pub name: String,
    /// Failures without a pause longer than the window.
    pub failures: u32,
    /// The last of them, in nanoseconds.
    pub last: u64,
}

/// The names that failed most recently.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Names(Vec<Name>);

impl Names {
    /// Counts a failure and gives the failures of this name. `window` is the pause after which a name
    /// begins anew.
    pub fn add(&mut self, name: &str, time: u64, window: u64, n: u32) -> u32 {
        let name = cut(name);
        if let Some(known) = self.0.iter_mut().find(|known| known.name == name) {
            if known.last.saturating_add(window) < time {
                known.failures = 0;
            }
            known.failures = known.failures.saturating_add(n);
            known.last = known.last.max(time);
            return known.failures;
        }
        if self.0.len() >= MAX_NAMES
            && let Some(oldest) = (0..self.0.len()).min_by_key(|&index| self.0[index].last)
        {
            self.0.swap_remove(oldest);
        }
        self.0.push(Name { name: name.to_owned(), failures: n, last: time });
        n
    }

    /// The names that failed within `window` before `time`.
    pub fn within(&self, time: u64, window: u64) -> impl Iterator<Item = &Name> {
        let from = time.saturating_sub(window);
        self.0.iter().filter(move |name| name.last >= from)
    }

    /// The failures of one name within `window` before `time`.
    pub fn failures(&self, name: &str, time: u64, window: u64) -> u32 {
        self.within(time, window).find(|known| known.name == cut(name)).map_or(0, |known| known.failures)
    }

    /// Forgets a name.
    pub fn forget(&mut self, name: &str) {
        self.0.retain(|known| known.name != cut(name));
    }
}

/// The start of a name, at most 32 bytes of it.
pub fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(MAX_NAME_BYTES)]
}

/// What has been counted of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Mark {
    /// Lines that repeat another one.
    Echo,
    /// The connection as a whole.
    Connection,
    /// Attempts of their own.
    Attempt,
}

/// A connection by process number or port (0: the line tells neither) and user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Connection(u32, u32, Mark);

/// The latest connections of an address: so that an attempt told by several lines counts once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Connections(Vec<Connection>);

impl Connections {
    /// Notes a line that repeats another one.
    pub fn echo(&mut self, id: u32, user: &str) {
        if id != 0 && self.find(id, user).is_none() {
            self.push(id, user, Mark::Echo);
        }
    }

    /// Notes an attempt; says whether the connection as a whole has been counted already, which is
    /// then its first attempt.
    pub fn attempt(&mut self, id: u32, user: &str) -> bool {
        let Some(index) = self.find(id, user) else {
            self.push(id, user, Mark::Attempt);
            return false;
        };
        let counted = self.0[index].2 == Mark::Connection;
        self.0[index].2 = Mark::Attempt;
        counted
    }

    /// Notes a connection that failed; says whether it is to be counted, because no line told an
    /// attempt of it.
    pub fn failed(&mut self, id: u32, user: &str) -> bool {
        match self.find(id, user) {
            // An attempt without a connection's number stands for one connection only.
            Some(index) if self.0[index].0 == 0 => {
                self.0.remove(index);
                self.push(id, user, Mark::Attempt);
                false
            }
            Some(_) => false,
            None => {
                self.push(id, user, Mark::Connection);
                true
            }
        }
    }

    fn find(&self, id: u32, user: &str) -> Option<usize> {
        let user = hash(user);
        let same = |known: &Connection| {
            (known.0 == id && (id != 0 || known.1 == user)) || (known.0 == 0 || id == 0) && known.1 == user
        };
        self.0.iter().rposition(same)
    }

    fn push(&mut self, id: u32, user: &str, mark: Mark) {
        if self.0.len() >= MAX_CONNECTIONS {
            self.0.remove(0);
        }
        self.0.push(Connection(id, hash(user), mark));
    }
}

/// FNV-1a, for telling names apart within one address.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, b| (hash ^ u32::from(b)).wrapping_mul(0x0100_0193))
}

/// Which rules have spoken of an address or a user, and until when they are silent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Silence(Vec<(Rule, u64)>);

impl Silence {
    /// Says whether a rule may speak at `time`, and silences it for `quiet` nanoseconds if so.
    pub fn speak(&mut self, rule: Rule, time: u64, quiet: u64) -> bool {
        let until = time.saturating_add(quiet);
        match self.0.iter_mut().find(|(known, _)| *known == rule) {
            Some((_, silent)) if time < *silent => return false,
            Some((_, silent)) => *silent = until,
            None => self.0.push((rule, until)),
        }
        true
    }
}

/// What is remembered of an address.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    /// Its failures.
    pub failures: Window,
    /// The user names that it failed with.
    pub users: Names,
    /// Its connections.
    pub connections: Connections,
    /// The rules that have spoken of it.
    pub silence: Silence,
}

/// What is remembered of a user name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// Failures over the network.
    pub failures: Window,
    /// The addresses that they came from.
    pub addresses: Names,
    /// Failures of `sudo`.
    pub sudo: Window,
    /// Failures of `su`.
    pub su: Window,
    /// Failures on terminals.
    pub login: Window,
    /// The rules that have spoken of the user.
    pub silence: Silence,
}

/// When a user ran `sudo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SudoUse {
    /// The last time it was written down, in nanoseconds.
    pub noted: u64,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_window_forgets_what_lies_behind_it() {
        let mut window = Window::default();
        assert_eq!(window.add(1000, 100, 1), 1);
        assert_eq!(window.add(1050, 100, 2), 3);
        assert_eq!(window.add(1095, 100, 1), 4);
        assert_eq!(window.add(1100, 100, 1), 4, "the first one has left");
        assert_eq!(window.add(1010, 100, 1), 5, "late, but within the window");
        assert_eq!(window.add(900, 100, 7), 5, "too late");
        assert_eq!(window.add(9000, 100, 1), 1);
        assert_eq!(window.add(9000, 200, 1), 1, "another length begins anew");
    }

    #[test]
    fn an_attempt_told_by_several_lines_counts_once() {
        let mut lines = Connections::default();
        assert!(lines.failed(7, "admin"), "Invalid user");
        assert!(lines.attempt(7, "admin"), "Failed password: the attempt that was counted");
        assert!(!lines.attempt(7, "admin"), "a second attempt");
        assert!(!lines.failed(7, "admin"), "Connection closed");
        assert!(!lines.attempt(0, "root"), "PAM's line does not tell the port");
        assert!(!lines.failed(8, "root"), "the end of that connection");
        assert!(lines.failed(9, "root"), "another connection");
    }

    #[test]
    fn a_rule_speaks_again_after_the_quiet_time() {
        let mut silence = Silence::default();
        assert!(silence.speak(Rule::BruteForce, 0, 10));
        assert!(!silence.speak(Rule::BruteForce, 9, 10));
        assert!(silence.speak(Rule::RootLogin, 9, 10));
        assert!(silence.speak(Rule::BruteForce, 10, 10));
    }

    proptest! {
        #[test]
        fn a_window_never_counts_more_than_came_within_it(
            mut events in proptest::collection::vec((0_u64..3000, 1_u32..5), 1..60),
        ) {
            events.sort();
            let mut window = Window::default();
            for (index, (time, n)) in events.iter().enumerate() {
                let sum = window.add(*time, 1000, *n);
                let before = |from: u64| events[..=index].iter().filter(|(t, _)| *t >= from).map(|(_, n)| n).sum::<u32>();
                prop_assert!(sum <= before(time.saturating_sub(999)));
                prop_assert!(sum >= before((time + 1).saturating_sub(900)));
            }
        }

        #[test]
        fn names_are_bounded_and_the_latest_stay(names in proptest::collection::vec("[a-zé]{0,40}", 1..200)) {
            let mut track = Names::default();
            for (time, name) in names.iter().enumerate() {
                track.add(name, time as u64, 1000, 1);
                prop_assert!(track.0.len() <= MAX_NAMES);
                prop_assert!(track.failures(name, time as u64, 1000) >= 1);
            }
        }
    }
}
