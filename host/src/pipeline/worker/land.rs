//! The commit of what is in hand: results, state writes, checkpoints and, now and then, a snapshot.

use std::time::{Duration, Instant};

use super::{LONE_CHECKPOINT, Worker};
use crate::model::Block;
use crate::pipeline::batch::selected;
use crate::pipeline::commit::{Commit, CommitError};
use crate::state::Write;

/// After a failed commit: the first pause, doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

impl Worker {
    /// Commits the finished round. If that fails, the round starts over after a pause.
    pub(super) fn land(&mut self) {
        let Some(round) = self.round.take() else { return };
        let blocks: Vec<_> = round.deliveries().iter().map(|delivery| delivery.block.clone()).collect();
        for block in &blocks {
            self.lone_checkpoints.remove(&block.stream.id);
            let checkpoint = self.checkpoint(block);
            self.results.write(checkpoint);
        }
        if self.commit().is_err() {
            let mut round = round;
            round.restart(|work| selected(&work.block, &work.selection));
            self.round = Some(round);
        }
    }

    fn checkpoint(&self, block: &Block) -> Write {
        Write::Checkpoint {
            plugin: self.generation.origin.plugin.clone(),
            source: block.stream.source.clone(),
            stream: block.stream.id,
            value: block.checkpoint.clone(),
        }
    }

    /// Commits everything in `results`, with the checkpoints that waited for company. After a failure
    /// nothing of it has happened, and the instance that made it is gone.
    pub(super) fn commit(&mut self) -> Result<(), CommitError> {
        self.snapshot_if_due();
        self.count_used();
        let lone = std::mem::take(&mut self.lone_checkpoints);
        for block in lone.values() {
            let checkpoint = self.checkpoint(block);
            self.results.write(checkpoint);
        }
        let results = std::mem::take(&mut self.results);
        let commit = Commit { frames: results.frames.clone(), writes: results.writes.clone() };
        match self.shared.committer.commit(commit) {
            Ok(_) => {
                self.lone_since = None;
                self.commit_failures = 0;
                self.surroundings.state.forget_pending();
                self.meter.found(results.findings());
                let samples: Vec<_> = results.samples().collect();
                if !samples.is_empty() {
                    (self.shared.samples)(&samples);
                }
                self.shared.plugin_metrics.add(&self.generation.origin.plugin, results.deltas);
                Ok(())
            }
            Err(error) => {
                self.lone_checkpoints = lone;
                self.commit_failed(&error);
                Err(error)
            }
        }
    }

    fn commit_failed(&mut self, error: &CommitError) {
        self.instance = None;
        self.surroundings.state.forget_pending();
        let pause = FIRST_PAUSE.saturating_mul(1 << self.commit_failures.min(10)).min(LONGEST_PAUSE);
        self.commit_failures += 1;
        self.not_before = Some(Instant::now() + pause);
        tracing::error!(
            plugin = self.generation.origin.plugin, %error, pause_seconds = pause.as_secs_f64(),
            "Results cannot be committed; they are made again after a pause, and nothing is lost meanwhile."
        );
    }

    /// Commits checkpoints and notices that have waited long enough.
    pub(super) fn settle_lone_checkpoints(&mut self, now: Instant) {
        let waiting = !self.lone_checkpoints.is_empty() || !self.results.is_empty();
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
        if self.touched || !self.lone_checkpoints.is_empty() || !self.results.is_empty() {
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
