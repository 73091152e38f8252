//! The commit thread's work without the thread, so that a test can drive it step by step.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use picket_journal::{Journal, JournalError, Position};

use super::floors::{END, Floors};
use super::{CommitError, Config, DecodeError, Health, Metrics, STATE_SYNC_BYTES, payload};
use crate::state::{Backup, State, StateError, Write};

/// A replay applies this many bytes of commits in one batch: each batch costs sled a write.
const REPLAY_BYTES: usize = 1 << 20;

/// How long to wait before the state is tried again after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// The state is backed up after so many bytes of commits, or twice the size of the last backup if that is more, so that
/// backups are small beside commits; but before what is kept of the journal for it is exceeded.
const BACKUP_BYTES: u64 = 8 << 20;

/// And after this time, when there were commits.
const BACKUP_EVERY: Duration = Duration::from_secs(600);

/// The pause after a backup that failed.
const BACKUP_RETRY: Duration = Duration::from_secs(60);

/// So much of the journal is kept for the backup at most; a state whose backup is larger than a part of it
/// loses what lies between when it is damaged.
const BACKUP_KEEPS: u64 = 128 << 20;

/// A commit on its way.
pub(super) struct Request {
    pub(super) payload: Vec<u8>,
    pub(super) writes: Vec<Write>,
    /// Holds one answer without blocking. The caller may be gone.
    pub(super) reply: Sender<Result<Position, CommitError>>,
}

impl Request {
    fn answer(self, result: Result<Position, CommitError>) {
        let _ = self.reply.send(result);
    }
}

/// Journal and state, and what is between them.
pub(super) struct Core {
    journal: Journal,
    state: State,
    floors: Floors,
    metrics: Metrics,
    config: Config,
    health: Health,
    /// Commits that are durable, and that the state has not taken yet because it has failed.
    waiting: Vec<(Position, Request)>,
    /// Why the state is not up to date.
    failed: Option<Arc<StateError>>,
    /// When it was last tried to be opened again.
    tried_at: Instant,
    unsynced_bytes: u64,
    synced_at: Instant,
    /// What a damaged state would be filled from, if it keeps any.
    backup: Option<Backup>,
    /// When it was last tried to be backed up; none before the first time.
    backed_up_at: Option<Instant>,
    backup_failed: bool,
}

impl Core {
    /// Brings the state up to the journal's end.
    pub(super) fn open(
        journal: Journal,
        state: State,
        config: Config,
        metrics: Metrics,
    ) -> Result<Self, CommitError> {
        let floors = Floors::load(&state)?;
        let backup = state.backed_up();
        let mut core = Self {
            journal,
            state,
            floors,
            metrics,
            config,
            health: Health::default(),
            waiting: Vec::new(),
            failed: None,
            tried_at: Instant::now(),
            unsynced_bytes: 0,
            synced_at: Instant::now(),
            backup,
            backed_up_at: None,
            backup_failed: false,
        };
        core.metrics.repaired(core.state.repairs());
        core.replay()?;
        // After `kill -9` what the state shows may be in the system's cache only; readers are about to
        // act on it.
        core.sync_state()?;
        Ok(core)
    }

    pub(super) fn journal(&self) -> &Journal {
        &self.journal
    }

    pub(super) fn health(&self) -> Health {
        self.health.clone()
    }

    pub(super) fn floors(&self) -> Floors {
        self.floors.clone()
    }

    /// Commits requests together and answers each.
    pub(super) fn group(&mut self, requests: Vec<Request>) {
        if let Err(error) = self.ready() {
            requests.into_iter().for_each(|request| request.answer(Err(error.clone())));
            return;
        }
        let mut appended = Vec::with_capacity(requests.len());
        for request in requests {
            match self.journal.append(&request.payload) {
                Ok(end) => appended.push((end, request)),
                Err(error) => request.answer(Err(self.refused(error))),
            }
        }
        // Also when nothing was appended: after a loss this is what makes the journal usable again.
        match self.sync_journal() {
            Ok(_) => self.apply(appended),
            Err(error) => {
                let error = CommitError::from(error);
                self.health.fails(&error, error.is_full());
                appended.into_iter().for_each(|(_, request)| request.answer(Err(error.clone())));
            }
        }
    }

    /// How long the thread may sleep before [`maintain`](Self::maintain) has something to do.
    pub(super) fn next_maintenance(&self) -> Duration {
        match self.failed {
            Some(_) => RETRY.saturating_sub(self.tried_at.elapsed()),
            None => self.config.state_sync_interval.0.saturating_sub(self.synced_at.elapsed()),
        }
    }

    /// What has to be done from time to time: repairing and syncing the state, deleting segments.
    pub(super) fn maintain(&mut self) {
        if self.failed.is_some() && self.tried_at.elapsed() >= RETRY {
            // A failure is kept in `failed`, and logged.
            let _ = self.recover();
        }
        let due = self.synced_at.elapsed() >= self.config.state_sync_interval.0;
        if due || self.unsynced_bytes >= STATE_SYNC_BYTES {
            let _ = self.sync_state();
        }
        self.metrics.disk_full.set(self.is_full().into());
    }

    /// Syncs the state, and deletes the segments that nobody needs.
    pub(super) fn sync_state(&mut self) -> Result<(), CommitError> {
        self.synced_at = Instant::now();
        self.unsynced_bytes = 0;
        if let Some(error) = &self.failed {
            return Err(CommitError::State(error.clone()));
        }
        // The floors must be read before the sync: each stands for a cursor that is in the state by now,
        // and that the sync makes durable.
        let timer = self.metrics.state_sync_seconds.start_timer();
        let synced = self.floors.save(&self.state).and_then(|floor| Ok((floor, self.state.sync()?)));
        timer.observe_duration();
        match synced {
            Ok((floor, synced)) => {
                self.back_up_if_due(synced);
                if let Err(error) = self.delete(synced, floor) {
                    tracing::warn!(%error, "Old segments of the journal cannot be deleted.");
                }
                self.measure();
                Ok(())
            }
            Err(error) => Err(CommitError::State(self.fail(error))),
        }
    }

    /// Syncs what there is and answers who still waits.
    pub(super) fn close(mut self) -> Result<(), CommitError> {
        if self.failed.is_some() {
            let _ = self.recover();
        }
        let synced = self.sync_state();
        for (_, request) in self.waiting.drain(..) {
            request.answer(Err(CommitError::NotApplied));
        }
        synced
    }

    fn ready(&mut self) -> Result<(), CommitError> {
        if let Some(error) = &self.failed {
            return Err(CommitError::State(error.clone()));
        }
        Ok(self.state.check_room()?)
    }

    /// Whether a full disk keeps commits from working.
    fn is_full(&self) -> bool {
        self.health.is_full() || self.state.check_room().is_err_and(|error| error.is_full())
    }

    /// The journal did not take a commit.
    fn refused(&self, error: JournalError) -> CommitError {
        let of_the_commit = matches!(error, JournalError::TooLarge { .. } | JournalError::Empty);
        let error = CommitError::from(error);
        if !of_the_commit {
            self.health.fails(&error, error.is_full());
        }
        error
    }

    fn sync_journal(&mut self) -> Result<Position, JournalError> {
        let timer = self.metrics.sync_seconds.start_timer();
        let synced = self.journal.sync();
        timer.observe_duration();
        synced
    }

    fn apply(&mut self, appended: Vec<(Position, Request)>) {
        let Some((end, _)) = appended.last() else {
            return;
        };
        let writes = appended.iter().flat_map(|(_, request)| &request.writes);
        match self.state.apply(writes, *end) {
            Ok(()) => self.acknowledge(appended),
            Err(error) => {
                self.fail(error);
                self.waiting.extend(appended);
                // Often it can be opened again at once.
                let _ = self.recover();
            }
        }
    }

    fn acknowledge(&mut self, applied: Vec<(Position, Request)>) {
        self.health.works();
        for (end, request) in applied {
            let bytes = request.payload.len() as u64;
            self.unsynced_bytes += bytes;
            self.metrics.commits.inc();
            self.metrics.commit_bytes.inc_by(bytes);
            request.answer(Ok(end));
        }
    }

    fn fail(&mut self, error: StateError) -> Arc<StateError> {
        tracing::error!(%error, "The state has failed; it will be opened again and brought up to date.");
        self.state.set_behind(true);
        self.health.fails(&error, error.is_full());
        let error = Arc::new(error);
        self.failed = Some(error.clone());
        error
    }

    /// Opens a failed state again and applies what it has lost.
    pub(super) fn recover(&mut self) -> Result<(), CommitError> {
        self.tried_at = Instant::now();
        let recovered = self.state.reopen().map_err(CommitError::from).and_then(|()| self.replay());
        match recovered {
            Ok(()) => {
                self.metrics.repaired(self.state.repairs());
                self.state.set_behind(false);
                self.failed = None;
                self.metrics.state_reopened.inc();
                tracing::info!("The state is up to date again.");
                let waiting = std::mem::take(&mut self.waiting);
                self.acknowledge(waiting);
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "The state cannot be brought up to date yet.");
                self.health.fails(&error, error.is_full());
                if let CommitError::State(cause) = &error {
                    self.failed = Some(cause.clone());
                }
                Err(error)
            }
        }
    }

    /// Applies the commits that the journal has and the state does not.
    fn replay(&mut self) -> Result<(), CommitError> {
        let from = self.state.applied()?;
        let (first, end) = (self.journal.first(), self.journal.durable_end());
        if from > end {
            tracing::error!(
                state = %from, journal = %end,
                "The journal ends before the state does: its end was damaged or its folder replaced."
            );
            self.metrics.lost("journal-end");
            return Ok(self.journal.advance_past(from)?);
        }
        if from.segment + 1 < first.segment && from != end {
            tracing::error!(
                state = %from, journal = %first,
                "The journal begins behind the state: the state was replaced or has lost what was synced. \
                 Commits between the two are missing from it."
            );
            self.metrics.lost("journal-start");
        }
        let damaged = self.journal.tail().damage();
        let mut reader = self.journal.tail().reader(from);
        let mut writes = Vec::new();
        let mut bytes = 0;
        while let Some(entry) = reader.next()? {
            match payload::writes(&entry.payload) {
                Ok(found) => writes.extend(found),
                Err(error @ DecodeError::Malformed { .. }) => {
                    self.metrics.malformed.inc();
                    tracing::error!(position = %entry.position, %error, "A commit is lost to the state.");
                }
                Err(source) => return Err(CommitError::Replay { position: entry.position, source }),
            }
            self.metrics.replayed.inc();
            bytes += entry.payload.len();
            if bytes >= REPLAY_BYTES || entry.next == end {
                self.state.apply(&writes, entry.next)?;
                writes.clear();
                bytes = 0;
            }
        }
        let skipped = self.journal.tail().damage().bytes - damaged.bytes;
        if skipped > 0 {
            tracing::error!(bytes = skipped, "Commits are lost to the state: the journal is damaged.");
            self.metrics.lost("journal-damage");
        }
        // The last commits may be among the damaged ones.
        if self.state.applied()? < end {
            self.state.apply(&writes, end)?;
        }
        Ok(())
    }

    /// Copies the state beside it now and then, for the case that it is damaged.
    fn back_up_if_due(&mut self, synced: Position) {
        if !self.is_backup_due(synced) {
            return;
        }
        self.backed_up_at = Some(Instant::now());
        match self.state.back_up() {
            Ok(Some(backup)) => {
                (self.backup, self.backup_failed) = (Some(backup), false);
                self.metrics.backups.inc();
            }
            Ok(None) => {}
            Err(error) => {
                self.backup_failed = true;
                self.metrics.backup_failures.inc();
                tracing::warn!(%error, "The state cannot be backed up now; the last backup is kept.");
            }
        }
    }

    fn is_backup_due(&self, synced: Position) -> bool {
        let has_passed = |time: Duration| self.backed_up_at.is_none_or(|at| at.elapsed() >= time);
        match self.backup {
            _ if self.backup_failed => has_passed(BACKUP_RETRY),
            None => true,
            Some(backup) if synced <= backup.at => false,
            Some(backup) => {
                let since = self.journal.tail().bytes_after(backup.at);
                let often = BACKUP_BYTES.max(2 * backup.bytes).min(BACKUP_KEEPS / 2);
                since >= often || has_passed(BACKUP_EVERY) && since >= backup.bytes / 8
            }
        }
    }

    /// What a state that is filled from its backup would need.
    fn backup_floor(&self) -> Position {
        let keeps = BACKUP_KEEPS.min(self.config.max_bytes.0 / 2);
        self.backup.map_or(END, |backup| backup.at.max(self.journal.tail().keeping(keeps)))
    }

    fn delete(&mut self, synced: Position, floor: Position) -> Result<(), JournalError> {
        self.journal.delete_before(synced.min(floor).min(self.backup_floor()))?;
        // Beyond the bound readers lose; the state never does.
        let bound = self.journal.tail().keeping(self.config.max_bytes.0).min(synced);
        let expelled = self.journal.delete_before(bound)?;
        if expelled > 0 {
            self.metrics.expelled_bytes.inc_by(expelled);
            tracing::error!(
                bytes = expelled, bound = %self.config.max_bytes,
                "The journal has reached its bound; a forwarder that lags has lost results."
            );
        }
        Ok(())
    }

    fn measure(&self) {
        let gauge = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.metrics.journal_bytes.set(gauge(self.journal.bytes()));
        self.metrics.damaged_bytes.set(gauge(self.journal.tail().damage().bytes));
        self.metrics.state_bytes.set(gauge(self.state.bytes()));
    }
}
