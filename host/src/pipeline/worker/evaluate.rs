//! Evaluations of an alert rule's groups, each at its own interval.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::call::Failure;
use super::{Place, Worker};
use crate::alerts::{Change, Evaluation, Took};
use crate::model::{Digest, Frame, Sample, now_nanos};
use crate::pipeline::evaluated::Evaluated;
use crate::pipeline::live::Owner;
use crate::pipeline::results::Results;
use picket_sandbox::{self as guest, Group, Output};

/// When which group is due.
#[derive(Debug, Default)]
pub(super) struct Schedule(Vec<Due>);

#[derive(Debug)]
struct Due {
    group: String,
    interval: Duration,
    at: Instant,
    /// Whether it was evaluated once.
    began: bool,
}

impl Schedule {
    /// All groups are due at once, then each at its interval.
    pub(super) fn new(groups: &[Group], now: Instant) -> Self {
        let due = |group: &Group| Due {
            group: group.name.clone(),
            interval: group.interval,
            at: now,
            began: false,
        };
        Self(groups.iter().map(due).collect())
    }

    /// When the next group is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.0.iter().map(|due| due.at).min()
    }

    /// The group that is due longest, and when it was: evaluations are an interval apart however late they come.
    /// Those that were missed are not made up for.
    fn take_due(&mut self, now: Instant) -> Option<(String, Instant)> {
        let due = self.0.iter_mut().filter(|due| due.at <= now).min_by_key(|due| due.at)?;
        let at = if now - due.at < due.interval { due.at } else { now };
        due.at = at + due.interval;
        due.began = true;
        Some((due.group.clone(), at))
    }

    /// Whether each group was evaluated once, so that it is known what they record.
    pub(super) fn all_began(&self) -> bool {
        self.0.iter().all(|due| due.began)
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
        let Some((group, at)) = self.schedule.take_due(now) else { return };
        self.evaluated = true;
        let time = self.wall.at(at, (now_nanos(), Instant::now()));
        let begun = Instant::now();
        let mut outcome = self.try_evaluate(&group, time);
        if let Err(error) = &outcome {
            if let Some(previous) = self.previous.take() {
                super::swap::put_back(self, previous, error);
                return;
            }
            outcome = self.try_evaluate(&group, time);
        }
        let took = Took { time, length: begun.elapsed() };
        match outcome {
            Ok(output) => {
                self.proven();
                self.take_evaluation(group, at, took, output);
            }
            // It is due again after its interval.
            Err(Failure::Stalled(reason)) => {
                self.rules.failed(&group, took, &reason);
                self.stalled(&reason);
            }
            Err(Failure::Call(error)) => {
                self.rules.failed(&group, took, &error.to_string());
                let digest = Digest::of(group.as_bytes());
                let place = Place { source: String::new(), stream: group, offset: 0, digest };
                self.blame(place, &error.to_string());
            }
        }
    }

    fn try_evaluate(&mut self, group: &str, time: u64) -> Result<Output<Vec<guest::RuleResult>>, Failure> {
        self.call(0, |instance| instance.evaluate(group, time))
    }

    fn take_evaluation(
        &mut self,
        group: String,
        instant: Instant,
        took: Took,
        output: Output<Vec<guest::RuleResult>>,
    ) {
        let time = took.time;
        let origin = self.generation.origin.clone();
        let mut results = Results::default();
        results.state_writes(&origin.plugin, &output.writes);
        let evaluated = Evaluated::of(output.value, time, &self.shared.live);
        for sample in evaluated.samples {
            results.push(Frame::Sample(sample));
        }
        let next = self.recorded.next(&group, evaluated.made);
        for marker in self.markers(next.ended(), time) {
            results.push(Frame::Sample(marker));
        }
        let interval = self.schedule.interval(&group);
        let evaluation = Evaluation { group, time, instant, interval, results: evaluated.rules };
        let change = self.alerts.evaluate(&origin.generation, &evaluation);
        self.rules.evaluated(&evaluation.group, took, said(&evaluation, &change));
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
        for frame in change.frames.into_iter().chain(change.samples.into_iter().map(Frame::Sample)) {
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
        self.rules.set_up(Vec::new());
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

/// Each rule with what is wrong with it: in the plugin's words, or in the host's about what it returned.
fn said<'a>(
    evaluation: &'a Evaluation,
    change: &Change,
) -> impl Iterator<Item = (&'a str, Option<String>)> + use<'a> {
    let mut errors: HashMap<String, String> =
        change.errors.iter().map(|error| (error.rule.clone(), error.reason.clone())).collect();
    evaluation.results.iter().map(move |result| (result.rule.as_str(), errors.remove(&result.rule)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(groups: &[(&str, u64)], start: Instant) -> Schedule {
        let group = |(name, seconds): &(&str, u64)| Group {
            name: (*name).to_owned(),
            file: String::new(),
            interval: Duration::from_secs(*seconds),
            limit: 0,
            rules: Vec::new(),
        };
        Schedule::new(&groups.iter().map(group).collect::<Vec<_>>(), start)
    }

    #[test]
    fn groups_come_due_by_their_intervals_and_missed_ones_are_left_out() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut schedule = schedule(&[("a", 10), ("b", 60)], start);
        assert_eq!(schedule.take_due(start), Some(("a".into(), start)));
        assert_eq!(schedule.take_due(start), Some(("b".into(), start)));
        assert_eq!(schedule.take_due(start), None);
        assert_eq!(schedule.next_due(), Some(after(10)));
        assert_eq!(schedule.take_due(after(45)), Some(("a".into(), after(45))));
        assert_eq!(schedule.next_due(), Some(after(55)));
    }

    #[test]
    fn an_evaluation_that_comes_late_is_of_when_it_was_due() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut schedule = schedule(&[("a", 10)], after(0));
        assert_eq!(schedule.take_due(after(3)), Some(("a".into(), start)));
        assert_eq!(schedule.take_due(after(10)), Some(("a".into(), after(10))));
    }
}
