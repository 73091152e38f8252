//! Evaluations of an alert rule's groups, each at its own interval.

use std::collections::HashMap;
use std::time::Instant;

use super::call::Failure;
use super::{Place, Worker};
use crate::alerts::{Change, Evaluation, Took};
use crate::model::{Digest, Frame, Sample, now_nanos};
use crate::pipeline::evaluated::Evaluated;
use crate::pipeline::live::Owner;
use crate::pipeline::results::Results;
use picket_sandbox::{self as guest, Output};

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
            // What failed before says nothing of the new generation: whether it works is for its other groups to
            // show, or nothing could be changed any more as long as one group fails.
            let is_new = !self.schedule.fails(&group);
            if is_new && let Some(previous) = self.previous.take() {
                super::swap::put_back(self, previous, error);
                return;
            }
            outcome = self.try_evaluate(&group, time);
        }
        // What the agent could not serve says nothing of the group.
        if !matches!(outcome, Err(Failure::Stalled(_))) {
            self.schedule.note(&group, outcome.is_err());
        }
        // Nothing is left that could show whether the generation works: what it does not have ends all the same.
        self.retire_due |= self.previous.is_some() && self.schedule.all_fail();
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
        let next = self.recorded.next(&group, evaluated.made).behind(evaluated.lag);
        for marker in self.markers(next.ended(), next.ended_at(time)) {
            results.push(Frame::Sample(marker));
        }
        let interval = self.schedule.interval(&group);
        let evaluation = Evaluation { group, time, instant, interval, results: evaluated.rules };
        let change = self.alerts.evaluate(&origin.generation, &evaluation);
        self.rules.evaluated(&evaluation.group, took, said(&evaluation, &change));
        self.tell_of_rules(&change);
        self.results.append(results);
        if self.commit_alerts(change) {
            self.recorded.accept(next);
        }
    }

    /// Tells which rules failed, and which have alerts that are not followed, each once in a while.
    fn tell_of_rules(&mut self, change: &Change) {
        let (origin, now) = (&self.generation.origin, Instant::now());
        self.errors_told.forget_old(now);
        self.left_out_told.forget_old(now);
        for error in &change.errors {
            if self.errors_told.is_news(&error.group, &error.rule, &error.reason, now) {
                let generation = origin.generation.short();
                tracing::warn!(plugin = origin.plugin, generation, %error, "A rule failed; its alerts keep their state.");
            }
        }
        for left_out in &change.left_out {
            if self.left_out_told.is_news(&left_out.group, &left_out.rule, "", now) {
                tracing::warn!(
                    plugin = origin.plugin,
                    group = left_out.group,
                    rule = left_out.rule,
                    left_out = left_out.alerts,
                    most = self.alerts.most(),
                    "The plugin has as many alerts as it may: further ones of this rule hold and are not followed, and \
                     nobody is told of them. Let the rule aggregate, or give it a plugin of its own."
                );
            }
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
        for (key, lag) in self.recorded.beyond(groups) {
            for marker in self.markers(&[key], now.saturating_sub(lag)) {
                self.results.push(Frame::Sample(marker));
            }
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
