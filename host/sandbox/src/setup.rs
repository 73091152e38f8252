//! What `configure` returns, once it was checked.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::CallError;
use crate::bindings::lifecycle;

/// Literals of an interest. More would make the automaton of all plugins large.
const LITERALS: usize = 4096;
/// Bytes of a literal.
const LITERAL_BYTES: RangeInclusive<usize> = 1..=256;
/// Groups of an alert rule.
const GROUPS: usize = 1000;
/// Bytes of a group's name.
const GROUP_BYTES: RangeInclusive<usize> = 1..=128;
/// The time between two evaluations.
const INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

/// Which records an analyzer wants to see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interest {
    /// Byte strings of 1 to 256 bytes, at most 4096. Empty: every record is wanted.
    pub literals: Vec<Vec<u8>>,
    /// Whether `A` to `Z` match `a` to `z`.
    pub ignore_ascii_case: bool,
}

/// Alert rules that are evaluated together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// 1 to 128 bytes, unique within the plugin.
    pub name: String,
    /// One second to one day.
    pub interval: Duration,
}

/// What the host should know of a configured plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setup {
    /// For analyzers.
    pub interest: Interest,
    /// For alert rules, at most 1000.
    pub groups: Vec<Group>,
}

impl Setup {
    pub(crate) fn check(raw: lifecycle::Setup) -> Result<Self, CallError> {
        let bad = |what: String| Err(CallError::Report { what });
        let literals = raw.interest.literals;
        if literals.len() > LITERALS {
            return bad(format!("{} literals, at most {LITERALS}", literals.len()));
        }
        if let Some(literal) = literals.iter().find(|literal| !LITERAL_BYTES.contains(&literal.len())) {
            return bad(format!("a literal of {} bytes, not 1 to 256", literal.len()));
        }
        if raw.groups.len() > GROUPS {
            return bad(format!("{} groups, at most {GROUPS}", raw.groups.len()));
        }
        let mut names = HashSet::new();
        let mut groups = Vec::with_capacity(raw.groups.len());
        for group in raw.groups {
            let interval = Duration::from_nanos(group.interval);
            if !GROUP_BYTES.contains(&group.name.len()) || !names.insert(group.name.clone()) {
                return bad("a group's name has not 1 to 128 bytes, or stands twice".into());
            }
            if !INTERVAL.contains(&interval) {
                return bad(format!("a group's interval is {interval:?}, not one second to one day"));
            }
            groups.push(Group { name: group.name, interval });
        }
        let interest = Interest { literals, ignore_ascii_case: raw.interest.ignore_ascii_case };
        Ok(Self { interest, groups })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn setup(literals: Vec<Vec<u8>>, groups: &[(&str, u64)]) -> lifecycle::Setup {
        let group = |(name, seconds): &(&str, u64)| lifecycle::Group {
            name: (*name).to_owned(),
            interval: seconds * 1_000_000_000,
        };
        let interest = lifecycle::Interest { literals, ignore_ascii_case: true };
        lifecycle::Setup { interest, groups: groups.iter().map(group).collect() }
    }

    #[test]
    fn a_good_setup_is_taken() {
        let checked = Setup::check(setup(vec![b"error".to_vec()], &[("cpu", 15), ("disk", 86_400)])).unwrap();
        assert_eq!(checked.interest.literals, [b"error"]);
        assert_eq!(checked.groups[1].interval, Duration::from_secs(86_400));
    }

    #[test]
    fn a_setup_beyond_the_bounds_is_refused() {
        for (literals, groups) in [
            (vec![vec![]], vec![]),
            (vec![vec![b'x'; 257]], vec![]),
            (vec![b"x".to_vec(); 4097], vec![]),
            (vec![], vec![("", 15)]),
            (vec![], vec![("a", 15), ("a", 20)]),
            (vec![], vec![("a", 0)]),
            (vec![], vec![("a", 86_401)]),
            (vec![], vec![("a", 15); 1001]),
        ] {
            assert!(Setup::check(setup(literals, &groups)).is_err(), "{groups:?}");
        }
    }
}
