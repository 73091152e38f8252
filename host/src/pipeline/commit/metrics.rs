//! What the commit thread counts.

use picket_journal::Repair;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, exponential_buckets,
};

use crate::state::Repairs;
use crate::telemetry::registered;

/// Metrics of commits, journal and state. Clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Commits that are durable and applied.
    pub(super) commits: IntCounter,
    /// Their bytes.
    pub(super) commit_bytes: IntCounter,
    /// Failed commits by [`CommitError::reason`](super::CommitError::reason).
    pub(super) failures: IntCounterVec,
    /// Time of one sync of the journal.
    pub(super) sync_seconds: Histogram,
    /// Time of one sync of the state.
    pub(super) state_sync_seconds: Histogram,
    /// Commits that were applied again.
    pub(super) replayed: IntCounter,
    /// How often the state was opened again after a failure.
    pub(super) state_reopened: IntCounter,
    /// Commits in the journal that could not be unpacked.
    pub(super) malformed: IntCounter,
    /// Size of the journal.
    pub(super) journal_bytes: IntGauge,
    /// Journal data that was deleted although a reader had not passed it.
    pub(super) expelled_bytes: IntCounter,
    /// Journal data that readers skipped as damaged.
    pub(super) damaged_bytes: IntGauge,
    /// Size of the state.
    pub(super) state_bytes: IntGauge,
    /// Whether the data folder's disk is full.
    pub(super) disk_full: IntGauge,
    /// How often the state was backed up.
    pub(super) backups: IntCounter,
    /// How often that failed.
    pub(super) backup_failures: IntCounter,
    /// How often a damaged state was replaced.
    repairs: IntCounter,
    /// What a repair could not save.
    lost: IntCounterVec,
    /// What the opening of the journal cut off.
    cut_bytes: IntCounter,
    /// Segments of it with a damaged header.
    damaged_segments: IntCounter,
}

/// What can be lost to the state, for the label `what`.
const LOST: [&str; 5] = ["backup", "facts", "journal-start", "journal-damage", "journal-end"];

/// Makes the metric of a full disk and registers it. An agent that waits for room before it can start has
/// it too, without the others.
pub fn disk_full(registry: &Registry) -> Result<IntGauge, prometheus::Error> {
    let help = "1 while the data folder's disk is too full for anything to be committed, else 0.";
    registered(registry, IntGauge::new("picket_data_disk_full", help)?)
}

impl Metrics {
    /// Makes the metrics and registers them; fails when a registry has them already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| registered(registry, IntCounter::new(name, help)?);
        let gauge = |name: &str, help: &str| registered(registry, IntGauge::new(name, help)?);
        // From 50 microseconds (a disk with a battery) to 13 seconds (one that is about to fail).
        let buckets = exponential_buckets(0.000_05, 2.0, 19)?;
        let seconds = |name: &str, help: &str| {
            let options = HistogramOpts::new(name, help).buckets(buckets.clone());
            registered(registry, Histogram::with_opts(options)?)
        };
        let failures = Opts::new("picket_commit_failures_total", "Commits that failed, by reason.");
        let help =
            "Stretches of what the state holds that a repair could not save, by what was missing for it.";
        let lost = IntCounterVec::new(Opts::new("picket_state_lost_total", help), &["what"])?;
        for what in LOST {
            lost.with_label_values(&[what]);
        }
        Ok(Self {
            commits: counter("picket_commits_total", "Commits that are durable and applied.")?,
            commit_bytes: counter("picket_commit_bytes_total", "Bytes of those commits in the journal.")?,
            failures: registered(registry, IntCounterVec::new(failures, &["reason"])?)?,
            sync_seconds: seconds("picket_commit_sync_seconds", "Time of one sync of the journal.")?,
            state_sync_seconds: seconds("picket_state_sync_seconds", "Time of one sync of the state.")?,
            replayed: counter(
                "picket_commit_replayed_total",
                "Commits that were applied from the journal at the start or after a failure of the state.",
            )?,
            state_reopened: counter(
                "picket_state_reopened_total",
                "How often the state was opened again after a failure.",
            )?,
            malformed: counter(
                "picket_commit_malformed_total",
                "Commits in the journal that could not be unpacked and were passed over.",
            )?,
            journal_bytes: gauge("picket_journal_bytes", "Size of the journal.")?,
            expelled_bytes: counter(
                "picket_journal_expelled_bytes_total",
                "Journal data deleted at the journal's bound before every forwarder had passed it.",
            )?,
            damaged_bytes: gauge(
                "picket_journal_damaged_bytes",
                "Journal data that readers have skipped as damaged since the start.",
            )?,
            state_bytes: gauge("picket_state_bytes", "Size of the state on disk.")?,
            disk_full: disk_full(registry)?,
            backups: counter(
                "picket_state_backups_total",
                "How often the state was copied for the case that it is damaged.",
            )?,
            backup_failures: counter(
                "picket_state_backup_failures_total",
                "How often the state could not be copied.",
            )?,
            repairs: counter(
                "picket_state_repairs_total",
                "How often a damaged state was set aside and filled again from its backup and the journal.",
            )?,
            lost: registered(registry, lost)?,
            cut_bytes: counter(
                "picket_journal_cut_bytes_total",
                "Bytes cut off the journal's end at the start; after a crash they were never acknowledged.",
            )?,
            damaged_segments: counter(
                "picket_journal_damaged_segments_total",
                "Segments of the journal with a damaged header; a last one is set aside, others are read.",
            )?,
        })
    }

    /// Counts what the opening of the journal has repaired.
    pub fn journal_repaired(&self, repair: &Repair) {
        self.cut_bytes.inc_by(repair.cut_bytes);
        self.damaged_segments.inc_by(repair.damaged_headers + repair.set_aside.len() as u64);
    }

    /// Counts what the state has repaired; given are the sums since it was opened.
    pub(super) fn repaired(&self, sums: Repairs) {
        let Repairs { repairs, without_backup, without_facts } = sums;
        let [backup, facts] = ["backup", "facts"].map(|what| self.lost.with_label_values(&[what]));
        for (counter, sum) in [(&self.repairs, repairs), (&backup, without_backup), (&facts, without_facts)] {
            counter.inc_by(sum.saturating_sub(counter.get()));
        }
    }

    /// Something cannot be brought into the state.
    pub(super) fn lost(&self, what: &str) {
        self.lost.with_label_values(&[what]).inc();
    }
}
