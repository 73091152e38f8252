//! The rules of all plugins, and how their last evaluation went, for who wants to look: the API.
//!
//! What a rule is comes from its plugin's setup, which bounds their number. Nothing of it is stored: after a start
//! the health of a rule is unknown until it is evaluated.

mod metrics;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use metrics::GroupMetrics;

use crate::model::Label;

/// Rules of a group whose plugin does not say which it has, as far as they are shown.
const MAX_UNTOLD: usize = 1000;

/// What a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleKind {
    /// It says which alerts hold.
    Alert,
    /// It makes samples.
    Recording,
}

/// How the last evaluation of a rule went, in Prometheus' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It has not been evaluated since the start.
    Unknown,
    /// It could be evaluated.
    Ok,
    /// It could not.
    Err,
}

/// A rule. Lengths of time are in nanoseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// The name by which its alerts call it ([`ActiveAlert::rule`](super::ActiveAlert::rule)); unique in its group.
    pub id: String,
    /// The alert's name, or that of the series it records.
    pub name: String,
    /// What it is for.
    pub kind: RuleKind,
    /// In the plugin's own language; may be empty.
    pub expression: String,
    /// How long its alerts have to hold before they fire.
    pub hold_for: u64,
    /// How long they go on firing.
    pub keep_firing_for: u64,
    /// Templates not expanded.
    pub labels: Vec<Label>,
    /// Templates not expanded.
    pub annotations: Vec<Label>,
    /// How its last evaluation went.
    pub health: Health,
    /// Why that failed.
    pub last_error: Option<String>,
    /// When it was; Unix time in nanoseconds.
    pub last_evaluation: Option<u64>,
}

/// Rules that are evaluated together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleGroup {
    /// The plugin.
    pub plugin: String,
    /// Unique within the plugin.
    pub name: String,
    /// The asset it stands in; empty when it stands in none.
    pub file: String,
    /// Between two evaluations, in nanoseconds.
    pub interval: u64,
    /// How many series or alerts one of its rules may make; 0 when there is no bound.
    pub limit: u32,
    /// When it was evaluated last; Unix time in nanoseconds.
    pub last_evaluation: Option<u64>,
    /// How long that took.
    pub evaluation_seconds: f64,
    /// In their order.
    pub rules: Vec<Rule>,
}

/// When an evaluation was and how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Took {
    /// The evaluation's time; Unix time in nanoseconds.
    pub time: u64,
    /// By the steady clock.
    pub length: Duration,
}

/// A view of all plugins' rules. Clones show the same.
#[derive(Clone)]
pub struct Rules {
    plugins: Arc<RwLock<BTreeMap<String, Groups>>>,
    metrics: GroupMetrics,
}

type Groups = Arc<RwLock<Vec<RuleGroup>>>;

/// The rules of one plugin, in the hands of who evaluates them. When it is dropped they leave the view.
pub struct PluginRules {
    plugin: String,
    groups: Groups,
    rules: Rules,
}

impl Rules {
    /// None yet; counts what their evaluations take.
    pub fn new(metrics: GroupMetrics) -> Self {
        Self { plugins: Arc::default(), metrics }
    }

    /// All groups with their rules, by plugin and in its order.
    pub fn list(&self) -> Vec<RuleGroup> {
        self.read().values().flat_map(|groups| read(groups).clone()).collect()
    }

    /// Takes in a plugin, without groups at first. It takes the place of one of the same name.
    pub fn plugin(&self, plugin: &str) -> PluginRules {
        let groups = Groups::default();
        self.write().insert(plugin.to_owned(), Arc::clone(&groups));
        PluginRules { plugin: plugin.to_owned(), groups, rules: self.clone() }
    }

    // What a panic under a lock leaves is shown until the next evaluation.
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Groups>> {
        self.plugins.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Groups>> {
        self.plugins.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(groups: &Groups) -> RwLockReadGuard<'_, Vec<RuleGroup>> {
    groups.read().unwrap_or_else(PoisonError::into_inner)
}

impl PluginRules {
    /// Another generation serves: these are its groups. What is known of rules that it has too stays.
    pub fn set_up(&self, mut groups: Vec<RuleGroup>) {
        let mut present = self.write();
        let mut former: HashMap<String, RuleGroup> =
            present.drain(..).map(|group| (group.name.clone(), group)).collect();
        for group in &mut groups {
            if let Some(former) = former.remove(&group.name) {
                carry_over(former, group);
            }
        }
        self.rules.metrics.forget(&self.plugin, former.keys().map(String::as_str));
        *present = groups;
    }

    /// A group was evaluated, its rules with or without an error.
    pub fn evaluated<'a>(
        &self,
        group: &str,
        took: Took,
        results: impl Iterator<Item = (&'a str, Option<String>)>,
    ) {
        self.change(group, took, |group| {
            let mut failures = 0;
            for (at, (id, error)) in results.enumerate() {
                failures += u64::from(error.is_some());
                if let Some(rule) = rule_of(group, at, id) {
                    rule.note(took.time, error);
                }
            }
            failures
        });
    }

    /// A group could not be evaluated at all.
    pub fn failed(&self, group: &str, took: Took, reason: &str) {
        self.change(group, took, |group| {
            group.rules.iter_mut().for_each(|rule| rule.note(took.time, Some(reason.to_owned())));
            group.rules.len().max(1) as u64
        });
    }

    /// What changes a group says how many of its rules failed.
    fn change(&self, name: &str, took: Took, change: impl FnOnce(&mut RuleGroup) -> u64) {
        let mut groups = self.write();
        let Some((place, group)) = groups.iter_mut().enumerate().find(|(_, group)| group.name == name) else {
            return;
        };
        group.last_evaluation = Some(took.time);
        group.evaluation_seconds = took.length.as_secs_f64();
        let failures = change(group);
        drop(groups);
        self.rules.metrics.evaluated(&self.plugin, place, name, took, failures);
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vec<RuleGroup>> {
        self.groups.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PluginRules {
    fn drop(&mut self) {
        let mut plugins = self.rules.write();
        // Another may have taken its place.
        if plugins.get(&self.plugin).is_some_and(|present| Arc::ptr_eq(present, &self.groups)) {
            plugins.remove(&self.plugin);
            self.rules
                .metrics
                .forget(&self.plugin, read(&self.groups).iter().map(|group| group.name.as_str()));
        }
    }
}

impl Rule {
    fn note(&mut self, time: u64, error: Option<String>) {
        self.health = if error.is_some() { Health::Err } else { Health::Ok };
        self.last_error = error;
        self.last_evaluation = Some(time);
    }
}

/// A rule by its id, most likely at the place of its result. One that the setup does not tell of is added.
fn rule_of<'a>(group: &'a mut RuleGroup, likely: usize, id: &str) -> Option<&'a mut Rule> {
    let rules = &mut group.rules;
    let at = match rules.get(likely) {
        Some(rule) if rule.id == id => likely,
        _ => match rules.iter().position(|rule| rule.id == id) {
            Some(at) => at,
            None if rules.len() < MAX_UNTOLD => {
                rules.push(untold(id));
                rules.len() - 1
            }
            None => return None,
        },
    };
    rules.get_mut(at)
}

fn untold(id: &str) -> Rule {
    Rule {
        id: id.to_owned(),
        name: id.to_owned(),
        kind: RuleKind::Alert,
        expression: String::new(),
        hold_for: 0,
        keep_firing_for: 0,
        labels: Vec::new(),
        annotations: Vec::new(),
        health: Health::Unknown,
        last_error: None,
        last_evaluation: None,
    }
}

/// What was known of a group that goes on, and of its rules by their ids.
fn carry_over(former: RuleGroup, now: &mut RuleGroup) {
    now.last_evaluation = former.last_evaluation;
    now.evaluation_seconds = former.evaluation_seconds;
    let mut known: HashMap<String, Rule> =
        former.rules.into_iter().map(|rule| (rule.id.clone(), rule)).collect();
    for rule in &mut now.rules {
        if let Some(former) = known.remove(&rule.id) {
            rule.health = former.health;
            rule.last_error = former.last_error;
            rule.last_evaluation = former.last_evaluation;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use prometheus::Registry;

    use super::*;

    fn rules() -> (Rules, Registry) {
        let registry = Registry::new();
        (Rules::new(GroupMetrics::new(&registry).unwrap()), registry)
    }

    fn group(name: &str, ids: &[&str]) -> RuleGroup {
        RuleGroup {
            plugin: "p".into(),
            name: name.into(),
            file: "f.yml".into(),
            interval: 15,
            limit: 0,
            last_evaluation: None,
            evaluation_seconds: 0.0,
            rules: ids.iter().map(|id| untold(id)).collect(),
        }
    }

    fn took(time: u64) -> Took {
        Took { time, length: Duration::from_millis(250) }
    }

    /// Ids with health and last evaluation.
    fn shown(rules: &Rules) -> Vec<(String, Health, Option<u64>)> {
        let rules = rules.list().into_iter().flat_map(|group| group.rules);
        rules.map(|rule| (rule.id, rule.health, rule.last_evaluation)).collect()
    }

    #[test]
    fn the_last_evaluation_of_each_rule_is_shown_and_stays_over_a_reload() {
        let (rules, registry) = rules();
        let plugin = rules.plugin("p");
        plugin.set_up(vec![group("g", &["a", "b"])]);
        let unknown = |id: &str| (id.to_owned(), Health::Unknown, None);
        assert_eq!(shown(&rules), [unknown("a"), unknown("b")]);
        let results = [("b", Some("no data".to_owned())), ("a", None), ("c", None)];
        plugin.evaluated("g", took(7), results.into_iter());
        plugin.evaluated("nowhere", took(8), std::iter::empty());
        let known = |id: &str, health| (id.to_owned(), health, Some(7));
        let expected = [known("a", Health::Ok), known("b", Health::Err), known("c", Health::Ok)];
        assert_eq!(shown(&rules), expected, "also one that the setup does not tell of");
        let list = rules.list();
        assert_eq!((list[0].last_evaluation, list[0].evaluation_seconds), (Some(7), 0.25));
        assert_eq!(list[0].rules[1].last_error.as_deref(), Some("no data"));
        assert_eq!(metric(&registry, "picket_rule_group_failures_total"), [("g".to_owned(), 1.0)]);

        plugin.set_up(vec![group("h", &["a"]), group("g", &["b", "d"])]);
        assert_eq!(shown(&rules), [unknown("a"), known("b", Health::Err), unknown("d")]);
        plugin.failed("g", took(9), "it trapped");
        assert_eq!(shown(&rules)[2], ("d".to_owned(), Health::Err, Some(9)));
    }

    fn metric(registry: &Registry, name: &str) -> Vec<(String, f64)> {
        let families = registry.gather();
        let Some(family) = families.iter().find(|family| family.name() == name) else { return Vec::new() };
        let group = |metric: &prometheus::proto::Metric| {
            let pair = metric.get_label().iter().find(|pair| pair.name() == "group").unwrap();
            pair.value().to_owned()
        };
        let value = |metric: &prometheus::proto::Metric| {
            metric.get_counter().get_value() + metric.get_gauge().get_value()
        };
        family.get_metric().iter().map(|metric| (group(metric), value(metric))).collect()
    }

    #[test]
    fn metrics_of_groups_go_with_them_and_are_bounded() {
        let (rules, registry) = rules();
        let plugin = rules.plugin("p");
        let many = metrics::MAX_METERED + 5;
        plugin.set_up((0..many).map(|number| group(&number.to_string(), &["a"])).collect());
        (0..many)
            .for_each(|number| plugin.evaluated(&number.to_string(), took(1), [("a", None)].into_iter()));
        let found = metric(&registry, "picket_rule_group_evaluations_total");
        assert_eq!(found.len(), metrics::MAX_METERED + 1);
        assert!(found.contains(&(String::new(), 5.0)), "those beyond the bound together");
        assert_eq!(metric(&registry, "picket_rule_group_last_duration_seconds").len(), metrics::MAX_METERED);
        plugin.set_up(vec![group("0", &["a"])]);
        let left: Vec<String> = metric(&registry, "picket_rule_group_evaluations_total")
            .into_iter()
            .map(|(group, _)| group)
            .collect();
        assert_eq!(left, ["", "0"]);
        drop(plugin);
        assert!(rules.list().is_empty());
        assert!(metric(&registry, "picket_rule_group_last_duration_seconds").is_empty());
    }

    #[test]
    fn a_plugin_that_has_taken_anothers_place_stays_when_that_goes() {
        let (rules, _) = rules();
        let former = rules.plugin("p");
        let now = rules.plugin("p");
        now.set_up(vec![group("g", &["a"])]);
        drop(former);
        assert_eq!(rules.list().len(), 1);
        let most: Vec<String> = (0..MAX_UNTOLD + 5).map(|number| number.to_string()).collect();
        now.evaluated("g", took(1), most.iter().map(|id| (id.as_str(), None)));
        assert_eq!(shown(&rules).len(), MAX_UNTOLD);
    }
}
