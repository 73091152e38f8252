//! The commit of what is in hand: results, state writes, checkpoints and, now and then, a snapshot.

use std::collections::BTreeMap;
use std::time::Instant;

use super::call::pause_after;
use super::{LONE_CHECKPOINT, Worker};
use crate::model::{Block, Digest, Frame, FrameKind, now_nanos};
use crate::pipeline::batch::selected;
use crate::pipeline::commit::{Commit, CommitError};
use crate::pipeline::live::Owner;
use crate::pipeline::results::Results;
use crate::pipeline::round::Round;
use crate::state::Write;

impl Worker {
    /// Commits the deliveries of a round that are finished. If that fails, all of the round starts over after
    /// a pause.
    pub(super) fn land(&mut self, mut round: Round) {
        let finished = round.take_finished();
        for block in finished.iter().map(|delivery| delivery.block.clone()) {
            self.lone_checkpoints.remove(&block.stream.id);
            let checkpoint = self.checkpoint(&block);
            self.results.write(checkpoint);
        }
        // In hand while it commits: checkpoints that lie behind what is left of it have to wait.
        self.round = Some(round);
        let committed = self.commit().is_ok();
        let Some(mut round) = self.round.take() else { return };
        if !committed {
            round.put_back(finished);
            round.restart(|work| selected(&work.block, &work.selection));
        }
        self.round = Some(round).filter(|round| !round.deliveries().is_empty());
    }

    fn checkpoint(&self, block: &Block) -> Write {
        Write::Checkpoint {
            plugin: self.generation.origin.plugin.clone(),
            source: block.stream.source.clone(),
            stream: block.stream.id,
            value: block.checkpoint.clone(),
        }
    }

    /// Commits everything in `results`, with the checkpoints that waited for company; samples only while a forwarder
    /// takes them, for the series store and the tap get them from here. After a failure nothing of it has happened,
    /// and the instance that made it is gone. What of a round is not done yet has to be in `round`: a checkpoint must
    /// not pass it over.
    pub(super) fn commit(&mut self) -> Result<(), CommitError> {
        self.snapshot_if_due();
        self.count_used();
        let in_hand = |stream: &Digest| {
            let mut deliveries = self.round.iter().flat_map(|round| round.deliveries());
            deliveries.any(|delivery| delivery.block.stream.id == *stream)
        };
        let (held, lone): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.lone_checkpoints).into_iter().partition(|(stream, _)| in_hand(stream));
        self.lone_checkpoints = held;
        for block in lone.values() {
            let checkpoint = self.checkpoint(block);
            self.results.write(checkpoint);
        }
        let results = std::mem::take(&mut self.results);
        let commit = self.to_be_committed(&results);
        // What is left may be nothing, when a rule has recorded samples that nobody takes: that costs no sync.
        let is_empty = commit.frames.is_empty() && commit.writes.is_empty();
        let committed = match is_empty {
            true => Ok(()),
            false => self.shared.committer.commit(commit).map(|_| ()),
        };
        match committed {
            Ok(()) => {
                self.lone_since = (!self.lone_checkpoints.is_empty()).then(Instant::now);
                if !is_empty {
                    self.commit_failures = 0;
                }
                self.notices.clear();
                self.surroundings.state.forget_pending();
                self.meter.found(results.findings());
                let samples: Vec<_> = results.samples().collect();
                if !samples.is_empty() {
                    (self.shared.samples)(&samples);
                    let owner = Owner::Plugin(self.generation.origin.plugin.clone());
                    self.shared.live.made(&owner, samples, now_nanos());
                }
                self.shared.taps.committed(&self.generation.origin.plugin, &results.frames);
                self.shared.plugin_metrics.add(&self.generation.origin.plugin, results.deltas);
                Ok(())
            }
            Err(error) => {
                self.lone_checkpoints.extend(lone);
                self.commit_failed(&error);
                Err(error)
            }
        }
    }

    /// What of the results, and of the notices that wait, has to be durable.
    fn to_be_committed(&self, results: &Results) -> Commit {
        let samples_wanted = self.shared.committer.samples_wanted().get();
        let is_wanted = |frame: &&Frame| samples_wanted || frame.kind() != FrameKind::Sample;
        let notices = self.notices.iter().cloned().map(Frame::Notice);
        let frames = results.frames.iter().filter(is_wanted).cloned().chain(notices).collect();
        Commit { frames, writes: results.writes.clone() }
    }

    fn commit_failed(&mut self, error: &CommitError) {
        self.instance = None;
        self.surroundings.state.forget_pending();
        let pause = pause_after(self.commit_failures);
        self.commit_failures += 1;
        self.not_before = Some(Instant::now() + pause);
        tracing::error!(
            plugin = self.generation.origin.plugin, %error, pause_seconds = pause.as_secs_f64(),
            "Results cannot be committed; they are made again after a pause, and nothing is lost meanwhile."
        );
    }

    /// Commits notices and nothing else. What fails is tried again with the next commit.
    pub(super) fn commit_notices(&mut self) {
        let frames = self.notices.iter().cloned().map(Frame::Notice).collect();
        if self.shared.committer.commit(Commit { frames, writes: Vec::new() }).is_ok() {
            self.notices.clear();
        }
    }

    /// Whether there is something to commit that no call has made.
    fn waits(&self) -> bool {
        !self.lone_checkpoints.is_empty() || !self.results.is_empty() || !self.notices.is_empty()
    }

    /// Commits checkpoints and notices that have waited long enough.
    pub(super) fn settle_lone_checkpoints(&mut self, now: Instant) {
        let waiting = self.waits();
        if waiting && self.lone_since.is_none() {
            self.lone_since = Some(now);
        }
        let due = self.lone_since.is_some_and(|since| now >= since + LONE_CHECKPOINT);
        if (waiting && due) || self.snapshot_due() {
            // A failure is logged there; what waited is tried again after the pause.
            let _ = self.commit();
        }
    }

    /// Commits what is left, with a last snapshot.
    pub(super) fn flush(&mut self) {
        self.last_snapshot -= self.generation.snapshot_interval.min(self.last_snapshot.elapsed());
        if self.touched || self.waits() {
            self.take_snapshot();
            let _ = self.commit();
        }
    }

    /// When the next snapshot is to be taken, if the plugin has worked since the last one.
    pub(super) fn snapshot_at(&self) -> Option<Instant> {
        (self.touched && self.instance.is_some())
            .then(|| self.last_snapshot + self.generation.snapshot_interval)
    }

    fn snapshot_due(&self) -> bool {
        self.snapshot_at().is_some_and(|at| Instant::now() >= at)
    }

    fn snapshot_if_due(&mut self) {
        if self.snapshot_due() {
            self.take_snapshot();
        }
    }

    fn take_snapshot(&mut self) {
        let Some(instance) = &mut self.instance else { return };
        self.last_snapshot = Instant::now();
        self.touched = false;
        match instance.snapshot() {
            Ok(bytes) => self.results.write(Write::Snapshot {
                plugin: self.generation.origin.plugin.clone(),
                version: self.generation.version.clone(),
                generation: self.generation.origin.generation,
                bytes,
            }),
            Err(error) => {
                tracing::warn!(
                    plugin = self.generation.origin.plugin, %error,
                    "The plugin cannot give a snapshot; the last one is kept."
                );
                self.discard(&error);
            }
        }
    }
}
