//! Evaluations of an alert rule's groups, each at its own interval.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::call::Failure;
use super::{Place, Worker};
use crate::alerts::{Change, Evaluation, HeldAlert, RuleResult};
use crate::model::{Digest, Frame, Sample, now_nanos};
use crate::pipeline::live::Owner;
use crate::pipeline::results::{Results, labels, sample};
use picket_sandbox::{self as guest, Group, Output};

/// When which group is due.
#[derive(Debug, Default)]
pub(super) struct Schedule(Vec<Due>);

#[derive(Debug)]
struct Due {
    group: String,
    interval: Duration,
    at: Instant,
}

impl Schedule {
    /// All groups are due at once, then each at its interval.
    pub(super) fn new(groups: &[Group], now: Instant) -> Self {
        let due = |group: &Group| Due { group: group.name.clone(), interval: group.interval, at: now };
        Self(groups.iter().map(due).collect())
    }

    /// When the next group is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.0.iter().map(|due| due.at).min()
    }

    /// The group that is due longest. Evaluations that were missed are not made up for.
    fn take_due(&mut self, now: Instant) -> Option<String> {
        let due = self.0.iter_mut().filter(|due| due.at <= now).min_by_key(|due| due.at)?;
        due.at = (due.at + due.interval).max(now);
        Some(due.group.clone())
    }

    /// A group's interval in nanoseconds.
    fn interval(&self, group: &str) -> u64 {
        let due = self.0.iter().find(|due| due.group == group);
        due.map_or(0, |due| u64::try_from(due.interval.as_nanos()).unwrap_or(u64::MAX))
    }

    fn groups(&self) -> Vec<String> {
        self.0.iter().map(|due| due.group.clone()).collect()
    }
}

impl Worker {
    /// Evaluates one group if one is due. A group that fails twice counts as all its rules failing: their
    /// alerts keep their state.
    pub(super) fn evaluate_due(&mut self, now: Instant) {
        let Some(group) = self.schedule.take_due(now) else { return };
        self.evaluated = true;
        let time = now_nanos();
        let mut outcome = self.try_evaluate(&group, time);
        if let Err(error) = &outcome {
            if let Some(previous) = self.previous.take() {
                super::swap::put_back(self, previous, error);
                return;
            }
            outcome = self.try_evaluate(&group, time);
        }
        match outcome {
            Ok(output) => {
                self.proven();
                self.take_evaluation(group, time, output);
            }
            // It is due again after its interval.
            Err(Failure::Stalled(reason)) => self.stalled(&reason),
            Err(Failure::Call(error)) => {
                let digest = Digest::of(group.as_bytes());
                let place = Place { source: String::new(), stream: group, offset: 0, digest };
                self.blame(place, &error.to_string());
            }
        }
    }

    fn try_evaluate(&mut self, group: &str, time: u64) -> Result<Output<Vec<guest::RuleResult>>, Failure> {
        self.call(0, |instance| instance.evaluate(group, time))
    }

    fn take_evaluation(&mut self, group: String, time: u64, output: Output<Vec<guest::RuleResult>>) {
        let origin = self.generation.origin.clone();
        let mut results = Results::default();
        results.state_writes(&origin.plugin, &output.writes);
        let mut rules = Vec::with_capacity(output.value.len());
        let mut made = Vec::with_capacity(output.value.len());
        for result in output.value {
            let mut keys = HashSet::new();
            let outcome = result.outcome.map(|output| {
                for own in output.samples {
                    let sample = sample(own, time);
                    keys.insert(self.shared.live.key(&sample));
                    results.push(Frame::Sample(sample));
                }
                output.alerts.into_iter().map(held).collect()
            });
            // A rule that failed keeps its series as it keeps its alerts.
            made.push((result.rule.clone(), outcome.is_ok().then_some(keys)));
            rules.push(RuleResult { rule: result.rule, outcome });
        }
        let next = self.recorded.next(&group, made);
        for marker in self.markers(next.ended(), time) {
            results.push(Frame::Sample(marker));
        }
        let interval = self.schedule.interval(&group);
        let evaluation = Evaluation { group, time, instant: Instant::now(), interval, results: rules };
        let change = self.alerts.evaluate(&origin.generation, &evaluation);
        for error in &change.errors {
            let generation = origin.generation.short();
            tracing::warn!(plugin = origin.plugin, generation, %error, "A rule failed; its alerts keep their state.");
        }
        self.results.append(results);
        if self.commit_alerts(change) {
            self.recorded.accept(next);
        }
    }

    /// The ends of series of this plugin.
    fn markers(&self, ended: &[u64], time: u64) -> Vec<Sample> {
        let owner = Owner::Plugin(self.generation.origin.plugin.clone());
        self.shared.live.markers(&owner, ended, time)
    }

    /// Says whether it is committed.
    fn commit_alerts(&mut self, change: Change) -> bool {
        for frame in change.frames {
            self.results.push(frame);
        }
        for write in change.writes {
            self.results.write(write);
        }
        let committed = self.results.is_empty() || self.commit().is_ok();
        if committed {
            self.alerts.accept(change.accept);
        }
        committed
    }

    /// Alerts and recorded series of groups that the serving generation no longer has end. Says whether that is
    /// committed.
    pub(super) fn retire_groups(&mut self) -> bool {
        self.retain_groups(&self.schedule.groups())
    }

    /// All alerts end: the plugin was removed.
    pub(super) fn retire_all(&mut self) {
        self.retain_groups(&[]);
    }

    fn retain_groups(&mut self, groups: &[String]) -> bool {
        let now = now_nanos();
        let change = self.alerts.retain_groups(&self.generation.origin.generation, groups, now);
        for marker in self.markers(&self.recorded.beyond(groups), now) {
            self.results.push(Frame::Sample(marker));
        }
        let committed = self.commit_alerts(change);
        if committed {
            self.recorded.retain(groups);
        }
        committed
    }
}

/// A guest's alert in the host's terms.
fn held(alert: guest::ActiveAlert) -> HeldAlert {
    HeldAlert {
        labels: labels(alert.labels),
        annotations: labels(alert.annotations),
        value: alert.value,
        hold_for: alert.for_nanos,
        keep_firing_for: alert.keep_firing_for_nanos,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_come_due_by_their_intervals_and_missed_ones_are_left_out() {
        let start = Instant::now();
        let group = |name: &str, seconds| {
            let (name, interval) = (name.into(), Duration::from_secs(seconds));
            Group { name, file: String::new(), interval, limit: 0, rules: Vec::new() }
        };
        let mut schedule = Schedule::new(&[group("a", 10), group("b", 60)], start);
        assert_eq!(schedule.take_due(start), Some("a".into()));
        assert_eq!(schedule.take_due(start), Some("b".into()));
        assert_eq!(schedule.take_due(start), None);
        assert_eq!(schedule.next_due(), Some(start + Duration::from_secs(10)));
        let late = start + Duration::from_secs(45);
        assert_eq!(schedule.take_due(late), Some("a".into()));
        assert_eq!(schedule.next_due(), Some(late));
    }
}
