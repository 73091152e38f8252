//! The alerts of one plugin: which there are, and what an evaluation changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use super::active::{ActiveAlerts, Shared};
use super::draft::{Draft, of_group};
use super::evaluation::{Evaluation, checked};
use super::left_out::LeftOut;
use super::metrics::Metrics;
use super::record::{self, Alert, Identity, RestoreError};
use super::rules::{RuleGroup, RuleKind};
use super::silence::Silences;
use crate::model::{AlertState, Digest, Frame, Sample};
use crate::state::Write;

/// What bounds the alerts of one plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// How many may be pending or firing at once. More are refused and counted; those that there
    /// are go on.
    pub max_alerts: usize,
    /// How long after the first evaluation since a restart an alert that does not hold counts as not
    /// known, because the samples that would show it may not be in yet: pending ones too, and for two looks
    /// of its group at least. Once it holds, it is judged as always. Zero: never.
    pub grace: Duration,
}

impl Default for Config {
    /// Ten rules at their bound of 1000 alerts, with some 500 bytes each.
    fn default() -> Self {
        Self { max_alerts: 10_000, grace: Duration::ZERO }
    }
}

/// Keeps one plugin's alerts, over all its generations. Dropping it takes them out of the view and
/// ends none of them.
pub struct Alerts {
    plugin: String,
    config: Config,
    metrics: Metrics,
    view: ActiveAlerts,
    silences: Silences,
    alerts: Shared,
    /// Keys of stored alerts that could not be read, to be deleted with the next change.
    unreadable: Vec<Vec<u8>>,
    /// How long the alerts of each rule go on firing, as its setup tells.
    told: Told,
}

/// Nanoseconds by rule and group.
pub(super) type Told = BTreeMap<String, BTreeMap<String, u64>>;

/// What an evaluation makes of a plugin's alerts. Commit `frames`, `samples` and `writes` together, then give
/// `accept` back; without that it has not happened.
#[derive(Debug, Default)]
pub struct Change {
    /// The transitions, and alerts that are told again because their silence begins or ends.
    pub frames: Vec<Frame>,
    /// `ALERTS` and `ALERTS_FOR_STATE` of the alerts that are active, and the stale markers of those that are not
    /// any more.
    pub samples: Vec<Sample>,
    /// What is to be remembered.
    pub writes: Vec<Write>,
    /// Rules that could not be evaluated; their alerts keep their state.
    pub errors: Vec<RuleError>,
    /// Rules with alerts beyond [`Config::max_alerts`], which are not followed.
    pub left_out: Vec<LeftOut>,
    /// For [`Alerts::accept`].
    pub accept: Accept,
}

impl Change {
    /// Whether there is nothing to commit; it is accepted without, then.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.samples.is_empty() && self.writes.is_empty()
    }
}

/// The part of a [`Change`] that waits for the commit.
#[derive(Debug, Default)]
pub struct Accept {
    pub(super) updates: Vec<(Identity, Option<Alert>)>,
    pub(super) transitions: Vec<AlertState>,
    pub(super) refused: u64,
    pub(super) errors: u64,
    /// Alerts that found no room for samples.
    pub(super) without_series: u64,
}

/// A rule that could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule `{rule}` of group `{group}` could not be evaluated: {reason}")]
pub struct RuleError {
    /// The group.
    pub group: String,
    /// The rule.
    pub rule: String,
    /// In the plugin's words, or in ours about what it returned.
    pub reason: String,
}

impl Alerts {
    /// Takes up the alerts that are stored for a plugin, as `(key, value)`. What cannot be read is
    /// returned beside; it keeps nothing else from going on.
    pub fn restore(
        plugin: &str,
        stored: Vec<(Vec<u8>, Vec<u8>)>,
        config: Config,
        view: &ActiveAlerts,
        silences: &Silences,
        metrics: &Metrics,
    ) -> (Self, Vec<RestoreError>) {
        let (mut alerts, mut unreadable, mut errors) = (BTreeMap::new(), Vec::new(), Vec::new());
        for (key, value) in stored {
            match record::decode(plugin, &value) {
                Ok((identity, alert)) => {
                    alerts.insert(identity, alert);
                }
                Err(error) => {
                    if matches!(error, RestoreError::Damaged { .. }) {
                        unreadable.push(key);
                    }
                    errors.push(error);
                }
            }
        }
        let alerts = Arc::new(RwLock::new(alerts));
        view.attach(plugin, Arc::clone(&alerts));
        let restored = Self {
            plugin: plugin.to_owned(),
            config,
            metrics: metrics.clone(),
            view: view.clone(),
            silences: silences.clone(),
            alerts,
            unreadable,
            told: Told::default(),
        };
        restored.count_active();
        (restored, errors)
    }

    /// Another generation serves: these are its groups. An alert that it has not seen to hold itself goes on firing
    /// for as long as they say now; one of a rule that they do not tell of, for as long as was said when it held.
    pub fn set_up(&mut self, groups: &[RuleGroup]) {
        let of = |group: &RuleGroup| {
            let alerting = group.rules.iter().filter(|rule| rule.kind == RuleKind::Alert);
            let told = alerting.map(|rule| (rule.id.clone(), rule.keep_firing_for));
            (group.name.clone(), told.collect::<BTreeMap<_, _>>())
        };
        self.told = groups.iter().map(of).collect();
    }

    /// How many alerts may be pending or firing at once.
    pub fn most(&self) -> usize {
        self.config.max_alerts
    }

    /// What an evaluation by a generation changes.
    pub fn evaluate(&self, generation: &Digest, evaluation: &Evaluation) -> Change {
        let alerts = self.read();
        let mut draft = self.draft(generation, evaluation.time, alerts.len());
        let mut rules = BTreeSet::new();
        for result in &evaluation.results {
            if !rules.insert(result.rule.as_str()) {
                draft.error_in(&evaluation.group, &result.rule, "the group has two rules of this name");
                continue;
            }
            match result.outcome.as_ref().map_err(Clone::clone).and_then(|held| checked(held)) {
                Ok(held) => draft.rule(&alerts, evaluation, &result.rule, held),
                Err(reason) => draft.failed_rule(&alerts, evaluation, &result.rule, &reason),
            }
        }
        for (identity, alert) in of_group(&alerts, &evaluation.group) {
            if !rules.contains(identity.rule.as_str()) {
                draft.ends(identity, alert);
            }
        }
        draft.done()
    }

    /// Ends the alerts of groups that a generation does not name: all of them when it names none.
    /// `time` is Unix time in nanoseconds.
    pub fn retain_groups(&self, generation: &Digest, groups: &[String], time: u64) -> Change {
        let alerts = self.read();
        let mut draft = self.draft(generation, time, alerts.len());
        for (identity, alert) in alerts.iter().filter(|(identity, _)| !groups.contains(&identity.group)) {
            draft.ends(identity, alert);
        }
        draft.done()
    }

    /// Ends alerts of a plugin that nobody evaluates any more, each in the name of the generation that last
    /// found that it holds: those whose text makes `bytes` together, and one at least. Nothing to commit means
    /// that none is left.
    pub fn end_some(&self, time: u64, bytes: usize) -> Change {
        let alerts = self.read();
        let Some((_, first)) = alerts.first_key_value() else {
            // What cannot be read goes all the same.
            return self.draft(&Digest::of(b""), time, 0).done();
        };
        let mut draft = self.draft(&first.generation, time, alerts.len());
        let mut room = bytes;
        for (index, (identity, alert)) in alerts.iter().enumerate() {
            let text = identity.labels.iter().chain(&alert.annotations);
            let needs = text.map(|label| label.name.len() + label.value.len()).sum::<usize>();
            if needs > room && index > 0 {
                break;
            }
            room = room.saturating_sub(needs);
            draft.by(&alert.generation);
            draft.ends(identity, alert);
        }
        draft.done()
    }

    fn draft<'a>(&'a self, generation: &'a Digest, time: u64, count: usize) -> Draft<'a> {
        let room = self.config.max_alerts.saturating_sub(count);
        let silences = self.silences.active(time);
        let grace = self.config.grace;
        let mut draft = Draft::new(&self.plugin, generation, time, room, grace, silences, &self.told);
        draft.forget(&self.unreadable);
        draft
    }

    /// Takes the change that was committed.
    pub fn accept(&mut self, accept: Accept) {
        for state in &accept.transitions {
            self.metrics.transitions.with_label_values(&[&*self.plugin, state.word()]).inc();
        }
        self.metrics.refused.with_label_values(&[&*self.plugin]).inc_by(accept.refused);
        self.metrics.rule_errors.with_label_values(&[&*self.plugin]).inc_by(accept.errors);
        self.metrics.without_series.with_label_values(&[&*self.plugin]).inc_by(accept.without_series);
        let mut alerts = self.write();
        for (identity, alert) in accept.updates {
            match alert {
                Some(alert) => alerts.insert(identity, alert),
                None => alerts.remove(&identity),
            };
        }
        drop(alerts);
        self.unreadable.clear();
        self.count_active();
    }

    fn count_active(&self) {
        let alerts = self.read();
        for state in [AlertState::Pending, AlertState::Firing] {
            let count = alerts.values().filter(|alert| alert.life.state() == state).count();
            let gauge = self.metrics.active.with_label_values(&[&*self.plugin, state.word()]);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    // A panic under the lock leaves at worst some of a change's alerts behind the store's.
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Identity, Alert>> {
        self.alerts.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<Identity, Alert>> {
        self.alerts.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Alerts {
    fn drop(&mut self) {
        self.view.detach(&self.plugin, &self.alerts);
        for state in [AlertState::Pending, AlertState::Firing] {
            // It is missing only when a keeper of the same name was dropped before this one.
            let _ = self.metrics.active.remove_label_values(&[&*self.plugin, state.word()]);
        }
    }
}
