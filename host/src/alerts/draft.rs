//! A change in the making: gathers what each alert's step means for frames, series, state and memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use super::evaluation::{Evaluation, HeldAlert};
use super::keeper::{Change, RuleError, Told};
use super::left_out::LeftOut;
use super::life::{Life, Next};
use super::record::{self, Alert, Identity, Moment};
use super::series;
use super::silence::Active;
use crate::model::{AlertEvent, AlertState, Digest, Frame, Label, Origin, Sample};
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
    /// The silences that count at that time.
    silences: Active,
    /// How long alerts go on firing now.
    told: &'a Told,
    /// Text of the samples so far.
    sample_bytes: usize,
    /// Ends of series, as far as no other alert goes on with them.
    ended: Vec<Sample>,
    change: Change,
}

/// Text of the samples of one change: with the results of the largest call far below the journal's largest
/// record. Alerts beyond it have no series; their life does not depend on them.
pub(super) const MAX_SAMPLE_BYTES: usize = 4 << 20;

impl<'a> Draft<'a> {
    pub(super) fn new(
        plugin: &'a str,
        generation: &'a Digest,
        time: u64,
        room: usize,
        grace: Duration,
        silences: Active,
        told: &'a Told,
    ) -> Self {
        let (sample_bytes, ended, change) = (0, Vec::new(), Change::default());
        Self { plugin, generation, time, room, grace, silences, told, sample_bytes, ended, change }
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
            self.leaves_out(identity);
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
            silenced_by: None,
            anchor: Some(Moment::of(evaluation)),
            sampled: None,
            counted_instant: Some(evaluation.instant),
            missed_since: None,
        };
        self.step(identity, None, alert, next);
    }

    fn leaves_out(&mut self, identity: &Identity) {
        self.change.accept.refused += 1;
        match self.change.left_out.last_mut() {
            Some(last) if last.group == identity.group && last.rule == identity.rule => last.alerts += 1,
            _ => self.change.left_out.push(LeftOut {
                group: identity.group.clone(),
                rule: identity.rule.clone(),
                alerts: 1,
            }),
        }
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
        let keep_firing_for = self.keep_firing_for(identity, old);
        let next = match old.missed(evaluation) {
            // Samples may not be in yet.
            Some(long) if long < self.grace => old.life.unknown(elapsed),
            // They are, and what rules record at such intervals may not be. A pending alert does not ripen by that.
            Some(long) if long < self.grace(evaluation) => match old.life {
                Life::Pending { .. } => old.life.unknown(0),
                _ => old.life.unknown(elapsed),
            },
            _ => old.life.holds_not(elapsed, keep_firing_for),
        };
        self.step(identity, Some(old), counted(old, evaluation, next), next);
    }

    /// What its rule says now, also when that has changed since the alert held.
    fn keep_firing_for(&self, identity: &Identity, old: &Alert) -> u64 {
        let told = || self.told.get(&identity.group)?.get(&identity.rule).copied();
        match old.generation == *self.generation {
            true => old.keep_firing_for,
            false => told().unwrap_or(old.keep_firing_for),
        }
    }

    /// A slow group looks twice at least: until then there is again what rules record at such intervals. After a start
    /// its second look is less than an interval behind the first.
    fn grace(&self, evaluation: &Evaluation) -> Duration {
        match self.grace.is_zero() {
            true => Duration::ZERO,
            false => self.grace.max(Duration::from_nanos(evaluation.interval.saturating_add(1))),
        }
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
        alert.silenced_by = self.silences.first_of(&identity.labels).map(str::to_owned);
        if let Some(state) = next.event {
            self.change.accept.transitions.push(state);
        }
        if let Some(state) = next.event.or_else(|| told_again(old, &alert, next)) {
            self.tell(identity, &digest, old, &alert, state);
        }
        let mut alert = next.life.map(|life| {
            alert.life = life;
            alert
        });
        self.series(identity, old, alert.as_mut());
        let same = matches!((old, &alert), (Some(old), Some(alert)) if old.is_stored_like(alert));
        if !same {
            let value = alert.as_ref().map(|alert| record::encode(identity, alert));
            self.write(digest.0.to_vec(), value);
        }
        self.change.accept.updates.push((identity.clone(), alert));
    }

    fn tell(
        &mut self,
        identity: &Identity,
        digest: &Digest,
        old: Option<&Alert>,
        alert: &Alert,
        state: AlertState,
    ) {
        let mut silenced_by = alert.silenced_by.clone();
        if state == AlertState::Resolved && silenced_by.is_none() {
            // Who was not told that it fires is not told that it ended.
            silenced_by = old.and_then(|old| old.silenced_by.clone());
        }
        self.change.frames.push(Frame::Alert(AlertEvent {
            id: record::event_id(digest, self.time, self.generation, state),
            time: self.time,
            origin: Origin { plugin: self.plugin.to_owned(), generation: *self.generation },
            group: identity.group.clone(),
            rule: identity.rule.clone(),
            state,
            labels: identity.labels.clone(),
            annotations: alert.annotations.clone(),
            value: alert.value,
            active_since: alert.active_since,
            silenced_by,
        }));
    }

    /// Its series, as long as it is active, and the ends of those that it has no more.
    fn series(&mut self, identity: &Identity, old: Option<&Alert>, now: Option<&mut Alert>) {
        let (labels, state) = (&identity.labels, now.as_ref().map(|alert| alert.life.state()));
        if let Some(old) = old {
            let time =
                old.sampled.map_or(self.time, |last| self.time.max(last.saturating_add(series::LATER)));
            self.ended.extend(series::ends(labels, old.life.state(), state, time));
        }
        let Some(alert) = now else { return };
        let samples = series::of(labels, alert.life.state(), alert.active_since, self.time);
        let bytes: usize = samples.iter().map(series::bytes).sum();
        if self.sample_bytes + bytes > MAX_SAMPLE_BYTES {
            self.change.accept.without_series += 1;
            return;
        }
        self.sample_bytes += bytes;
        alert.sampled = Some(self.time);
        self.change.samples.extend(samples);
    }

    fn write(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.change.writes.push(Write::Alert { plugin: self.plugin.to_owned(), key, value });
    }

    /// Forgets stored alerts that cannot be read. Before everything else, because an alert that
    /// begins anew may have the same key.
    pub(super) fn forget(&mut self, unreadable: &[Vec<u8>]) {
        unreadable.iter().for_each(|key| self.write(key.clone(), None));
    }

    pub(super) fn done(mut self) -> Change {
        let ends = series::only_ended(self.ended, &self.change.samples);
        self.change.samples.extend(ends);
        self.change
    }
}

/// Who does not carry silenced alerts hears of one that fires when its silence ends, and of its silence when that
/// begins.
fn told_again(old: Option<&Alert>, now: &Alert, next: Next) -> Option<AlertState> {
    let changed = old?.silenced_by.is_some() != now.silenced_by.is_some();
    (changed && next.life?.state() == AlertState::Firing).then_some(AlertState::Firing)
}

/// The alert with the time up to the evaluation counted. While it is simply firing nothing is
/// counted, and nothing need be stored.
fn counted(old: &Alert, evaluation: &Evaluation, next: Next) -> Alert {
    let mut alert = old.clone();
    if old.counted_instant.is_none() {
        alert.missed_since = Some(evaluation.instant);
    }
    let (active_since, anchor) = old.since(evaluation);
    alert.active_since = active_since;
    alert.anchor = Some(anchor);
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
