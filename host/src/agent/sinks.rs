//! What sources, forwarders and the archive need of state and journal, in their own terms.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use picket_scrape::Described;
use picket_scrape::exposition::Kind;
use picket_series::{Clock, Metadata, Store as SeriesStore};

use super::renewals::Renewals;
use crate::model::{Day, Digest, EventId, Frame, Origin, Sample, Verdict, VerdictKind, now_nanos};
use crate::pipeline::carrier::Carrier;
use crate::pipeline::commit::{Commit, Committer};
use crate::pipeline::live::{LiveSeries, Owner};
use crate::pipeline::work::Opened;
use crate::sources::directory::examine::StatKey;
use crate::sources::{Checkpoints, CheckpointsUnreadable, NotCommitted, SampleSink, ScanLog};
use crate::state::{Remembered, State, StateError, Write};

/// The checkpoints that are committed.
pub(super) struct CommittedCheckpoints {
    state: State,
    committer: Committer,
}

impl CommittedCheckpoints {
    pub(super) fn new(state: State, committer: Committer) -> Self {
        Self { state, committer }
    }
}

impl Checkpoints for CommittedCheckpoints {
    fn load(&self, plugin: &str, source: &str) -> Result<Vec<(Digest, Vec<u8>)>, CheckpointsUnreadable> {
        let unreadable = |error: StateError| CheckpointsUnreadable { reason: error.to_string() };
        let (whole, damaged) = self.state.checkpoints(plugin, source).map_err(unreadable)?;
        for error in damaged {
            tracing::error!(plugin, source, %error, "A checkpoint was not used; its file counts as one never read.");
        }
        Ok(whole)
    }

    fn forget(&self, plugin: &str, source: &str, stream: &Digest) {
        let (plugin, source, stream) = (plugin.to_owned(), source.to_owned(), *stream);
        let writes = vec![Write::CheckpointDelete { plugin, source, stream }];
        // Kept by a failure, it does no harm: the stream never comes back.
        let _ = self.committer.commit(Commit { frames: Vec::new(), writes });
    }
}

/// Samples of `host` and `prometheus` sources: put into the series store, and committed while a forwarder takes samples.
/// In this order, so that rules hold over the host also while nothing can be committed, which is when they are needed.
/// What is not among the samples of a time, and was the time before, has ended.
pub(super) struct CommittedSamples {
    committer: Committer,
    series: Arc<SeriesStore>,
    live: LiveSeries,
    /// By source. A source that waited for commits that do not work could not be stopped.
    carriers: Mutex<HashMap<String, Arc<Mutex<Carrier>>>>,
}

impl CommittedSamples {
    pub(super) fn new(committer: Committer, series: Arc<SeriesStore>, live: LiveSeries) -> Self {
        Self { committer, series, live, carriers: Mutex::default() }
    }

    fn carrier(&self, source: &str) -> Arc<Mutex<Carrier>> {
        let new = || Arc::new(Mutex::new(Carrier::new(self.committer.clone())));
        lock(&self.carriers).entry(source.to_owned()).or_insert_with(new).clone()
    }

    fn show(&self, samples: &[Sample]) {
        for sample in samples {
            let labels = sample.labels.iter().map(|label| (label.name.as_str(), label.value.as_str()));
            // What the store refuses is counted there.
            let _ = self.series.append(&sample.name, labels, sample.time, sample.value);
        }
    }
}

impl SampleSink for CommittedSamples {
    fn samples(&self, source: &str, mut samples: Vec<Sample>) -> Result<(), NotCommitted> {
        let now = samples.first().map_or_else(now_nanos, |sample| sample.time);
        let ended = self.live.round(&Owner::Source(source.to_owned()), &samples, now);
        samples.extend(ended);
        self.show(&samples);
        let lost = lock(&self.carrier(source)).carry(source, samples);
        if lost == 0 { Ok(()) } else { Err(NotCommitted) }
    }

    fn scraped(&self, source: &str, samples: Vec<Sample>) -> Result<(), NotCommitted> {
        self.show(&samples);
        let lost = lock(&self.carrier(source)).carry(source, samples);
        if lost == 0 { Ok(()) } else { Err(NotCommitted) }
    }

    fn described(&self, described: &[Described]) {
        described.iter().for_each(|described| describe(&self.series, described));
    }

    fn ended(&self, source: &str) {
        // As early as it can be: a source that follows may have samples of the same series in this moment.
        let ended = self.live.ended(&Owner::Source(source.to_owned()), 0);
        self.show(&ended);
        // What is lost is in the log; receivers take these series for ended after some minutes.
        let _ = lock(&self.carrier(source)).carry(source, ended);
        lock(&self.carriers).remove(source);
    }
}

fn metadata_kind(kind: Kind) -> picket_series::Kind {
    match kind {
        Kind::Counter => picket_series::Kind::Counter,
        Kind::Gauge => picket_series::Kind::Gauge,
        Kind::Histogram => picket_series::Kind::Histogram,
        Kind::GaugeHistogram => picket_series::Kind::GaugeHistogram,
        Kind::Summary => picket_series::Kind::Summary,
        Kind::Info => picket_series::Kind::Info,
        Kind::StateSet => picket_series::Kind::StateSet,
        Kind::Unknown => picket_series::Kind::Unknown,
    }
}

/// Notes what a metric is, for those who query. Beyond the store's bound it is left out.
fn describe(series: &SeriesStore, described: &Described) {
    let Described { name, kind, help, unit } = described;
    let metadata = Metadata { kind: metadata_kind(*kind), help: help.clone(), unit: unit.clone() };
    series.describe(name, metadata);
}

// A panic under the lock leaves at worst a batch of samples uncounted.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Scans that are committed, and digests of files' contents. What is used a week after its last use is
/// committed again with the new day, so that maintenance keeps it.
pub(super) struct CommittedScans {
    state: State,
    committer: Committer,
    renewals: Renewals,
    now: Clock,
}

impl CommittedScans {
    /// `now` is the wall clock: Unix time in nanoseconds.
    pub(super) fn new(state: State, committer: Committer, now: Clock) -> Self {
        Self { state, committer, renewals: Renewals::default(), now }
    }

    fn today(&self) -> Day {
        Day::of((self.now)())
    }

    /// An entry is used: if it is due, it is to be committed as `renewed` says.
    fn used(&self, entry: &Remembered, renewed: impl FnOnce(Day) -> Write) {
        let now = (self.now)();
        let today = Day::of(now);
        if !entry.is_due(today) {
            return;
        }
        let due = self.renewals.add(renewed(today), now);
        if !due.is_empty() {
            self.commit(Vec::new(), due);
        }
    }

    /// Says whether it is committed.
    fn commit(&self, frames: Vec<Frame>, writes: Vec<Write>) -> bool {
        let writes = self.renewals.take().into_iter().chain(writes).collect();
        let committed = self.committer.commit(Commit { frames, writes });
        if let Err(error) = &committed {
            tracing::warn!(%error, "What was found out about a file is not remembered; it is looked at again.");
        }
        committed.is_ok()
    }
}

/// Names a file's content as long as its stat key does not change.
fn file_key(path: &Path, key: &StatKey) -> Vec<u8> {
    [path.as_os_str().as_encoded_bytes(), &key.to_bytes()].concat()
}

fn digest_write(path: &Path, key: &StatKey, content: &Digest, used: Day) -> Write {
    Write::FileDigest { key: file_key(path, key), value: Some(content.0.to_vec()), used }
}

/// What cannot be read is scanned again.
fn readable(entry: Result<Option<Remembered>, StateError>) -> Option<Remembered> {
    entry.ok().flatten()
}

impl ScanLog for CommittedScans {
    fn known(&self, plugin: &str, generation: &Digest, key: &Digest) -> bool {
        let Some(entry) = readable(self.state.scanned(plugin, generation, key)) else { return false };
        self.used(&entry, |used| Write::Scanned {
            plugin: plugin.to_owned(),
            generation: *generation,
            content: *key,
            value: Some(entry.value.clone()),
            used,
        });
        true
    }

    fn opened(&self, record: &Opened) -> bool {
        let noted = readable(self.state.scanned(&record.plugin, &record.generation, &record.content()));
        let Some(entry) = noted.filter(|entry| entry.value == record.by.0) else { return false };
        self.used(&entry, |used| record.write(used));
        true
    }

    fn judged(&self, record: &Opened) {
        self.commit(Vec::new(), vec![record.write(self.today())]);
    }

    fn digest_of(&self, path: &Path, key: &StatKey) -> Option<Digest> {
        let entry = readable(self.state.file_digest(&file_key(path, key)))?;
        let digest = Digest(entry.value.as_slice().try_into().ok()?);
        self.used(&entry, |used| digest_write(path, key, &digest, used));
        Some(digest)
    }

    fn remember(&self, path: &Path, key: &StatKey, content: &Digest) {
        self.commit(Vec::new(), vec![digest_write(path, key, content, self.today())]);
    }

    fn skipped(&self, source: &str, path: &Path, size: u64, reason: &str) -> bool {
        let path = path.to_string_lossy().into_owned();
        // The agent itself left it out, before any plugin; there is no content to name.
        let origin = Origin { plugin: "agent".to_owned(), generation: Digest::of(b"") };
        let about = Digest::of_parts([source.as_bytes(), path.as_bytes(), reason.as_bytes()]);
        let id = EventId::derive(&about, size, &origin.generation, 0);
        self.commit(
            vec![Frame::Verdict(Verdict {
                id,
                time: now_nanos(),
                origin,
                source: source.to_owned(),
                path,
                sha256: Digest::of(b""),
                size,
                verdict: VerdictKind::Skipped,
                reason: reason.to_owned(),
            })],
            Vec::new(),
        )
    }
}

#[cfg(test)]
#[path = "sinks_tests.rs"]
mod tests;
