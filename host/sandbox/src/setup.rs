//! What `configure` returns, once it was checked.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::bindings::{lifecycle, types};
use crate::error::MESSAGE_BYTES;
use crate::{CallError, Label, text};

/// Literals of an interest. More would make the automaton of all plugins large.
const LITERALS: usize = 4096;
/// Bytes of a literal.
const LITERAL_BYTES: RangeInclusive<usize> = 1..=256;
/// Groups of an alert rule.
const GROUPS: usize = 1000;
/// Bytes of a group's name: that of a rule file, and the group's in it.
const GROUP_BYTES: RangeInclusive<usize> = 1..=512;
/// Rules of all groups, as far as they are shown.
const RULES: usize = 20_000;
/// Bytes of a rule's id: its name and its labels.
pub(crate) const RULE_ID_BYTES: RangeInclusive<usize> = 1..=1024;
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
    /// 1 to 512 bytes, unique within the plugin.
    pub name: String,
    /// The asset it stands in; empty when it stands in none.
    pub file: String,
    /// One second to one day.
    pub interval: Duration,
    /// How many series or alerts one of its rules may make; 0 when the plugin sets no bound.
    pub limit: u32,
    /// What is to be shown of its rules; may be empty.
    pub rules: Vec<Rule>,
}

/// What a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleKind {
    /// It says which alerts hold.
    Alert,
    /// It makes samples.
    Recording,
}

/// What is shown of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The name by which results call it; unique within the group, 1 to 1024 bytes.
    pub id: String,
    /// The alert's name, or that of the series it records.
    pub name: String,
    /// What it is for.
    pub kind: RuleKind,
    /// In the plugin's own language; may be empty.
    pub expression: String,
    /// How long its alerts have to hold before they fire.
    pub hold_for: Duration,
    /// How long they go on firing.
    pub keep_firing_for: Duration,
    /// Templates not expanded.
    pub labels: Vec<Label>,
    /// Templates not expanded.
    pub annotations: Vec<Label>,
}

/// What the host should know of a configured plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setup {
    /// For analyzers.
    pub interest: Interest,
    /// For alert rules, at most 1000 with at most 20,000 rules.
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
        let (mut names, mut rules) = (HashSet::new(), 0);
        let mut groups = Vec::with_capacity(raw.groups.len());
        for group in raw.groups {
            let interval = Duration::from_nanos(group.interval);
            if !GROUP_BYTES.contains(&group.name.len()) || !names.insert(group.name.clone()) {
                return bad("a group's name has not 1 to 512 bytes, or stands twice".into());
            }
            if !INTERVAL.contains(&interval) {
                return bad(format!("a group's interval is {interval:?}, not one second to one day"));
            }
            rules += group.rules.len();
            if rules > RULES {
                return bad(format!("more than {RULES} rules"));
            }
            groups.push(checked_group(group, interval)?);
        }
        let interest = Interest { literals, ignore_ascii_case: raw.interest.ignore_ascii_case };
        Ok(Self { interest, groups })
    }
}

fn checked_group(raw: lifecycle::Group, interval: Duration) -> Result<Group, CallError> {
    let bad = |what: String| Err(CallError::Report { what });
    let mut ids = HashSet::new();
    for rule in &raw.rules {
        if !RULE_ID_BYTES.contains(&rule.id.len()) || !ids.insert(rule.id.as_str()) {
            let group = text::message(&raw.name, MESSAGE_BYTES);
            return bad(format!("a rule's id has not 1 to 1024 bytes, or stands twice in group `{group}`"));
        }
    }
    let rules = raw.rules.into_iter().map(shown_rule).collect();
    Ok(Group { name: raw.name, file: raw.file, interval, limit: raw.limit, rules })
}

fn shown_rule(raw: lifecycle::Rule) -> Rule {
    let labels = |labels: Vec<types::LabelResult>| {
        labels.into_iter().map(|label| Label { name: label.name, value: label.value }).collect()
    };
    Rule {
        id: raw.id,
        name: raw.name,
        kind: match raw.kind {
            lifecycle::RuleKind::Alert => RuleKind::Alert,
            lifecycle::RuleKind::Recording => RuleKind::Recording,
        },
        expression: raw.expression,
        hold_for: Duration::from_nanos(raw.for_),
        keep_firing_for: Duration::from_nanos(raw.keep_firing_for),
        labels: labels(raw.labels),
        annotations: labels(raw.annotations),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn setup(literals: Vec<Vec<u8>>, groups: &[(&str, u64)]) -> lifecycle::Setup {
        let group = |(name, seconds): &(&str, u64)| lifecycle::Group {
            name: (*name).to_owned(),
            file: String::new(),
            interval: seconds * 1_000_000_000,
            limit: 0,
            rules: Vec::new(),
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
