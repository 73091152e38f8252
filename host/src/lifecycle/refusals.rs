//! Changes that were rejected: who is to blame, and what is held back because of them.
//!
//! A change is all or nothing, also when it is looked at again: as long as the culprit is wanted as it
//! was refused, whatever changed with it stays held, and the reason stays the answer. Decides nothing about
//! candidates themselves.

use std::collections::{BTreeMap, BTreeSet};

use super::passing::Again;
use super::{Brings, Rejection};
use crate::model::Digest;

/// What a verdict about a plugin depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// The wanted generation; none when its files cannot be read.
    pub(super) generation: Option<Digest>,
    /// What its sources bring.
    pub(super) brings: Vec<(String, Brings)>,
}

/// A plugin that was refused by its own fault.
#[derive(Debug, Clone)]
pub(super) struct Culprit {
    pub(super) identity: Identity,
    pub(super) reason: String,
    pub(super) again: Again,
}

#[derive(Debug)]
struct Refusal {
    culprits: BTreeMap<String, Culprit>,
    /// Plugins that changed together with them.
    held: BTreeSet<String>,
    /// The configuration changed too, and is held with them.
    configuration: bool,
}

/// All refusals that stand.
#[derive(Debug, Default)]
pub(super) struct Refusals(Vec<Refusal>);

impl Refusals {
    /// Notes a rejected change.
    pub(super) fn note(
        &mut self,
        culprits: BTreeMap<String, Culprit>,
        held: BTreeSet<String>,
        configuration: bool,
    ) {
        if culprits.is_empty() {
            return;
        }
        for refusal in &mut self.0 {
            refusal.culprits.retain(|name, _| !culprits.contains_key(name));
        }
        self.0.push(Refusal { culprits, held, configuration });
        self.0.retain(|refusal| !refusal.culprits.is_empty());
    }

    /// Notes one plugin that was refused by itself: nothing is held with it. What passes by itself is not noted.
    pub(super) fn note_one(&mut self, plugin: &str, identity: Identity, rejection: &Rejection) {
        if rejection.is_transient() {
            return;
        }
        let culprit = Culprit { identity, reason: rejection.to_string(), again: rejection.again() };
        self.note([(plugin.to_owned(), culprit)].into(), BTreeSet::new(), false);
    }

    /// Forgets whom nobody wants any more as it was refused; with `asked` also who may pass at another
    /// time. What was held because of them alone is free. Without a changed configuration
    /// there is none to hold.
    pub(super) fn review(
        &mut self,
        wanted: &BTreeMap<String, Identity>,
        asked: bool,
        configuration_changed: bool,
    ) {
        for refusal in &mut self.0 {
            refusal.configuration &= configuration_changed;
            let stands = |name: &String, culprit: &Culprit| {
                wanted.get(name) == Some(&culprit.identity) && !(asked && culprit.again == Again::WhenAsked)
            };
            let freed: Vec<String> = refusal
                .culprits
                .iter()
                .filter(|(name, culprit)| !stands(name, culprit))
                .map(|(name, _)| name.clone())
                .collect();
            for name in freed {
                refusal.culprits.remove(&name);
                refusal.held.insert(name);
            }
        }
        self.0.retain(|refusal| !refusal.culprits.is_empty());
    }

    /// Whether a plugin stands refused as it is wanted; a fresh reason replaces the old one.
    pub(super) fn blames(&mut self, plugin: &str, fresh: Option<&str>) -> bool {
        let culprit = self.0.iter_mut().find_map(|refusal| refusal.culprits.get_mut(plugin));
        match (culprit, fresh) {
            (Some(culprit), Some(fresh)) => fresh.clone_into(&mut culprit.reason),
            (culprit, _) => return culprit.is_some(),
        }
        true
    }

    /// Because of whom a plugin is held back, if it is.
    pub(super) fn holds(&self, plugin: &str) -> Option<String> {
        self.first_culprit(|refusal| refusal.held.contains(plugin))
    }

    /// Because of whom the configuration is held back, if it is.
    pub(super) fn holds_configuration(&self) -> Option<String> {
        self.first_culprit(|refusal| refusal.configuration)
    }

    fn first_culprit(&self, of: impl Fn(&Refusal) -> bool) -> Option<String> {
        self.0.iter().find(|refusal| of(refusal))?.culprits.keys().next().cloned()
    }

    /// Everybody who is to blame, with the reason.
    pub(super) fn standing(&self) -> Vec<(String, String)> {
        let culprits = self.0.iter().flat_map(|refusal| &refusal.culprits);
        culprits.map(|(name, culprit)| (name.clone(), culprit.reason.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(of: &str) -> Identity {
        Identity { generation: Some(Digest::of(of.as_bytes())), brings: Vec::new() }
    }

    fn wanted(plugins: &[(&str, &str)]) -> BTreeMap<String, Identity> {
        plugins.iter().map(|(name, content)| ((*name).to_owned(), identity(content))).collect()
    }

    /// `a` was refused, `b` and the configuration changed with it.
    fn refusals(again: Again) -> Refusals {
        let culprit = Culprit { identity: identity("bad"), reason: "it is bad".into(), again };
        let mut refusals = Refusals::default();
        refusals.note([("a".to_owned(), culprit)].into(), ["b".to_owned()].into(), true);
        refusals
    }

    #[test]
    fn the_whole_change_stays_held_while_the_culprit_is_wanted_as_it_was() {
        let mut refusals = refusals(Again::WhenChanged);
        refusals.review(&wanted(&[("a", "bad"), ("b", "another"), ("c", "new")]), true, true);
        assert!(refusals.blames("a", None));
        assert_eq!(refusals.holds("b").as_deref(), Some("a"));
        assert_eq!(refusals.holds("c"), None);
        assert_eq!(refusals.holds_configuration().as_deref(), Some("a"));
        assert_eq!(refusals.standing(), [("a".to_owned(), "it is bad".to_owned())]);
    }

    #[test]
    fn a_culprit_that_changed_or_left_frees_everything() {
        for plugins in [&[("a", "mended"), ("b", "new")][..], &[("b", "new")]] {
            let mut refusals = refusals(Again::WhenChanged);
            refusals.review(&wanted(plugins), false, true);
            assert!(!refusals.blames("a", None));
            assert_eq!(refusals.holds("b"), None);
            assert_eq!(refusals.holds_configuration(), None);
        }
    }

    #[test]
    fn what_failed_for_want_of_time_is_tried_again_when_somebody_asks() {
        let mut refusals = refusals(Again::WhenAsked);
        refusals.review(&wanted(&[("a", "bad")]), false, true);
        assert!(refusals.blames("a", None));
        refusals.review(&wanted(&[("a", "bad")]), true, true);
        assert!(!refusals.blames("a", None));
    }

    #[test]
    fn the_configuration_is_free_again_once_it_is_the_active_one() {
        let mut refusals = refusals(Again::WhenChanged);
        refusals.review(&wanted(&[("a", "bad")]), false, false);
        assert_eq!(refusals.holds_configuration(), None);
        assert_eq!(refusals.holds("b").as_deref(), Some("a"));
    }

    #[test]
    fn other_sources_are_another_case() {
        let mut refusals = refusals(Again::WhenChanged);
        let other = Identity { brings: vec![("s".into(), Brings::Files)], ..identity("bad") };
        refusals.review(&[("a".to_owned(), other)].into(), false, true);
        assert!(!refusals.blames("a", None));
    }
}
