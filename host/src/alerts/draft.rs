//! A change in the making: gathers what each alert's step means for frames, state and memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use super::evaluation::{Evaluation, HeldAlert};
use super::keeper::{Change, RuleError};
use super::life::{Life, Next};
use super::record::{self, Alert, Identity};
use crate::model::{AlertEvent, Digest, Frame, Label, Origin};
use crate::state::Write;

pub(super) struct Draft<'a> {
    plugin: &'a str,
    generation: &'a Digest,
    /// Wall-clock time of the transitions.
    time: u64,
    /// How many more alerts may begin.
    room: usize,
    /// See [`Config::grace`](super::Config::grace).
    grace: Duration,
    change: Change,
}

impl<'a> Draft<'a> {
    pub(super) fn new(
        plugin: &'a str,
        generation: &'a Digest,
        time: u64,
        room: usize,
        grace: Duration,
    ) -> Self {
        Self { plugin, generation, time, room, grace, change: Change::default() }
    }

    /// A rule that was evaluated: steps every alert that it had or has.
    pub(super) fn rule(
        &mut self,
        alerts: &BTreeMap<Identity, Alert>,
        evaluation: &Evaluation,
        rule: &str,
        mut held: BTreeMap<Vec<Label>, HeldAlert>,
    ) {
        for (identity, alert) in of_rule(alerts, &evaluation.group, rule) {
            match held.remove(&identity.labels) {
                Some(held) => self.holds(evaluation, identity, alert, held),
                None => self.holds_not(evaluation, identity, alert),
            }
        }
        for (labels, held) in held {
            let identity = Identity { group: evaluation.group.clone(), rule: rule.to_owned(), labels };
            self.begins(evaluation, &identity, held);
        }
    }

    fn begins(&mut self, evaluation: &Evaluation, identity: &Identity, held: HeldAlert) {
        if self.room == 0 {
            self.change.accept.refused += 1;
            return;
        }
        self.room -= 1;
        let next = Life::begin(held.hold_for);
        let alert = Alert {
            life: Life::Firing,
            active_since: evaluation.time,
            generation: *self.generation,
            annotations: held.annotations,
            value: held.value,
            keep_firing_for: held.keep_firing_for,
            counted_until: evaluation.time,
            counted_instant: Some(evaluation.instant),
            missed_since: None,
        };
        self.step(identity, None, alert, next);
    }

    fn holds(&mut self, evaluation: &Evaluation, identity: &Identity, old: &Alert, held: HeldAlert) {
        let next = old.life.holds(old.elapsed(evaluation), held.hold_for);
        let alert = Alert {
            generation: *self.generation,
            annotations: held.annotations,
            value: held.value,
            keep_firing_for: held.keep_firing_for,
            missed_since: None,
            ..counted(old, evaluation, next)
        };
        self.step(identity, Some(old), alert, next);
    }

    fn holds_not(&mut self, evaluation: &Evaluation, identity: &Identity, old: &Alert) {
        let elapsed = old.elapsed(evaluation);
        let next = match old.missed(evaluation).is_some_and(|long| long < self.grace) {
            true => old.life.unknown(elapsed),
            false => old.life.holds_not(elapsed, old.keep_firing_for),
        };
        self.step(identity, Some(old), counted(old, evaluation, next), next);
    }

    /// From now on in the name of another generation.
    pub(super) fn by(&mut self, generation: &'a Digest) {
        self.generation = generation;
    }

    /// An alert whose rule or group is gone.
    pub(super) fn ends(&mut self, identity: &Identity, old: &Alert) {
        self.step(identity, Some(old), old.clone(), old.life.end());
    }

    /// A rule that could not be evaluated: its alerts keep their state.
    pub(super) fn failed_rule(
        &mut self,
        alerts: &BTreeMap<Identity, Alert>,
        evaluation: &Evaluation,
        rule: &str,
        reason: &str,
    ) {
        self.error_in(&evaluation.group, rule, reason);
        for (identity, old) in of_rule(alerts, &evaluation.group, rule) {
            let next = old.life.unknown(old.elapsed(evaluation));
            self.step(identity, Some(old), counted(old, evaluation, next), next);
        }
    }

    /// An error that touches no alert.
    pub(super) fn error_in(&mut self, group: &str, rule: &str, reason: &str) {
        let [group, rule, reason] = [group, rule, reason].map(str::to_owned);
        self.change.accept.errors += 1;
        self.change.errors.push(RuleError { group, rule, reason });
    }

    fn step(&mut self, identity: &Identity, old: Option<&Alert>, mut alert: Alert, next: Next) {
        let digest = identity.digest(self.plugin);
        if let Some(state) = next.event {
            self.change.accept.transitions.push(state);
            self.change.frames.push(Frame::Alert(AlertEvent {
                id: record::event_id(&digest, self.time, self.generation, state),
                time: self.time,
                origin: Origin { plugin: self.plugin.to_owned(), generation: *self.generation },
                group: identity.group.clone(),
                rule: identity.rule.clone(),
                state,
                labels: identity.labels.clone(),
                annotations: alert.annotations.clone(),
                value: alert.value,
                active_since: alert.active_since,
            }));
        }
        let alert = next.life.map(|life| {
            alert.life = life;
            alert
        });
        let same = matches!((old, &alert), (Some(old), Some(alert)) if old.is_stored_like(alert));
        if !same {
            let value = alert.as_ref().map(|alert| record::encode(identity, alert));
            self.write(digest.0.to_vec(), value);
        }
        self.change.accept.updates.push((identity.clone(), alert));
    }

    fn write(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.change.writes.push(Write::Alert { plugin: self.plugin.to_owned(), key, value });
    }

    /// Forgets stored alerts that cannot be read. Before everything else, because an alert that
    /// begins anew may have the same key.
    pub(super) fn forget(&mut self, unreadable: &[Vec<u8>]) {
        unreadable.iter().for_each(|key| self.write(key.clone(), None));
    }

    pub(super) fn done(self) -> Change {
        self.change
    }
}

/// The alert with the time up to the evaluation counted. While it is simply firing nothing is
/// counted, and nothing need be stored.
fn counted(old: &Alert, evaluation: &Evaluation, next: Next) -> Alert {
    let mut alert = old.clone();
    if old.counted_instant.is_none() {
        alert.missed_since = Some(evaluation.instant);
    }
    alert.counted_instant = Some(evaluation.instant);
    if next.life != Some(Life::Firing) {
        alert.counted_until = evaluation.time;
    }
    alert
}

pub(super) fn of_group<'a>(
    alerts: &'a BTreeMap<Identity, Alert>,
    group: &'a str,
) -> impl Iterator<Item = (&'a Identity, &'a Alert)> {
    from(alerts, group, "").take_while(move |(identity, _)| identity.group == group)
}

fn of_rule<'a>(
    alerts: &'a BTreeMap<Identity, Alert>,
    group: &'a str,
    rule: &'a str,
) -> impl Iterator<Item = (&'a Identity, &'a Alert)> {
    from(alerts, group, rule)
        .take_while(move |(identity, _)| identity.group == group && identity.rule == rule)
}

/// Identities are in the order of group, rule and labels.
fn from<'a>(
    alerts: &'a BTreeMap<Identity, Alert>,
    group: &str,
    rule: &str,
) -> impl Iterator<Item = (&'a Identity, &'a Alert)> {
    let first = Identity { group: group.to_owned(), rule: rule.to_owned(), labels: Vec::new() };
    alerts.range((Bound::Included(first), Bound::Unbounded))
}
