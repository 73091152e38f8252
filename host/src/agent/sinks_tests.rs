//! When what is remembered of files is written down again, and what becomes of it then; how series of the host end.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use picket_journal::Journal;
use picket_journal::sim::SimFs;
use prometheus::Registry;

use super::*;
use crate::agent::renewals::{AT_ONCE, PAUSE_NANOS};
use crate::pipeline::commit::{self, CommitThread, writes};
use crate::state::{DUE_DAYS, KEPT_DAYS, MemoryTable, Place};

const DAY: u64 = 24 * 3600 * 1_000_000_000;

/// The day on which everything is remembered.
const FIRST: u32 = 20_000;

struct Scene {
    log: CommittedScans,
    state: State,
    committer: Committer,
    now: Arc<AtomicU64>,
    path: PathBuf,
    stat: StatKey,
    _thread: CommitThread,
    _folder: tempfile::TempDir,
}

impl Scene {
    /// A file has been scanned and opened.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "content").unwrap();
        let stat = StatKey::of(&std::fs::metadata(&path).unwrap());
        let config = commit::Config::default();
        let (journal, _) =
            Journal::open(Arc::new(SimFs::new(0)), Path::new("/journal"), config.journal()).unwrap();
        let state = State::with_table(Arc::new(MemoryTable::new(0))).unwrap();
        let metrics = commit::Metrics::new(&Registry::new()).unwrap();
        let (committer, thread) = commit::start(journal, state.clone(), config, metrics).unwrap();
        let now = Arc::new(AtomicU64::new(u64::from(FIRST) * DAY));
        let clock = now.clone();
        let clock: Clock = Arc::new(move || clock.load(Ordering::Relaxed));
        let log = CommittedScans::new(state.clone(), committer.clone(), clock);
        let scene = Self { log, state, committer, now, path, stat, _thread: thread, _folder: folder };
        scene.log.remember(&scene.path, &scene.stat, &content());
        scene.log.judged(&record());
        scene.commit(scanned(FIRST));
        scene
    }

    fn commit(&self, write: Write) {
        self.committer.commit(Commit { frames: Vec::new(), writes: vec![write] }).unwrap();
    }

    /// A day begins.
    fn on(&self, day: u32) {
        self.now.store(u64::from(day) * DAY, Ordering::Relaxed);
    }

    /// What a walk asks, each a pause after the other.
    fn ask(&self) -> (Option<Digest>, bool, bool) {
        let pause = || self.now.fetch_add(PAUSE_NANOS, Ordering::Relaxed);
        let digest = self.log.digest_of(&self.path, &self.stat);
        pause();
        let known = self.log.known("p", &Digest::of(b"g"), &content());
        pause();
        let opened = self.log.opened(&record());
        pause();
        (digest, known, opened)
    }

    /// The days in the writes of the journal behind the scene's own three, in order.
    fn renewed(&self) -> Vec<u32> {
        let mut reader = self.committer.tail().reader(commit::Position::ZERO);
        let mut days = Vec::new();
        while let Some(record) = reader.next().unwrap() {
            for write in writes(&record.payload).unwrap() {
                let (Write::Scanned { used, .. } | Write::FileDigest { used, .. }) = write else { continue };
                days.push(used.0);
            }
        }
        days.split_off(3)
    }

    /// Does maintenance's pass; says how many entries it removed.
    fn sweep(&self, day: u32) -> usize {
        let (mut place, mut removed) = (Some(Place::default()), 0);
        while let Some(from) = place {
            let (some, next) = self.state.purge_unused(&from, Day(day), 100).unwrap();
            (place, removed) = (next, removed + some);
        }
        removed
    }
}

fn content() -> Digest {
    Digest::of(b"content")
}

fn record() -> Opened {
    Opened { plugin: "p".into(), generation: Digest::of(b"g"), key: content(), by: Digest::of(b"judges") }
}

fn scanned(day: u32) -> Write {
    let (plugin, generation, used) = ("p".to_owned(), Digest::of(b"g"), Day(day));
    Write::Scanned { plugin, generation, content: content(), value: Some(Vec::new()), used }
}

/// What is answered while everything is remembered.
fn all() -> (Option<Digest>, bool, bool) {
    (Some(content()), true, true)
}

#[test]
fn a_use_is_written_down_once_and_only_after_a_week() {
    let scene = Scene::new();
    for day in [FIRST, FIRST + 1, FIRST + DUE_DAYS] {
        scene.on(day);
        assert_eq!(scene.ask(), all());
    }
    assert!(scene.renewed().is_empty());
    let due = FIRST + DUE_DAYS + 1;
    scene.on(due);
    for _ in 0..3 {
        assert_eq!(scene.ask(), all());
    }
    assert_eq!(scene.renewed(), [due; 3]);
    // The clock is set back: what was used on a day to come is as good as used today.
    scene.on(FIRST);
    assert_eq!(scene.ask(), all());
    assert_eq!(scene.renewed(), [due; 3]);
}

#[test]
fn what_is_used_stays_for_ever_and_what_is_not_is_scanned_again() {
    let scene = Scene::new();
    let end = FIRST + 3 * KEPT_DAYS;
    for day in FIRST..=end {
        scene.on(day);
        assert_eq!((scene.ask(), scene.sweep(day)), (all(), 0), "on day {day}");
    }
    assert_eq!(scene.renewed().len() as u32, 3 * (3 * KEPT_DAYS / (DUE_DAYS + 1)));
    let late = end + KEPT_DAYS + 1;
    assert_eq!(scene.sweep(late), 3);
    scene.on(late);
    assert_eq!(scene.ask(), (None, false, false));
    scene.log.remember(&scene.path, &scene.stat, &content());
    scene.log.judged(&record());
    assert_eq!(scene.ask(), (Some(content()), false, true));
    assert_eq!(scene.sweep(late), 0);
}

#[test]
fn a_container_that_others_judged_is_not_used() {
    let scene = Scene::new();
    scene.on(FIRST + DUE_DAYS + 1);
    assert!(!scene.log.opened(&Opened { by: Digest::of(b"others"), ..record() }));
    assert!(scene.renewed().is_empty());
}

#[test]
fn many_that_are_due_share_commits() {
    let scene = Scene::new();
    let key = |number: u32| Digest::of(&number.to_le_bytes());
    let many = 1000;
    for number in 0..many {
        let Write::Scanned { plugin, generation, value, used, .. } = scanned(FIRST) else { unreachable!() };
        scene.commit(Write::Scanned { plugin, generation, content: key(number), value, used });
    }
    let commits = || {
        let mut reader = scene.committer.tail().reader(commit::Position::ZERO);
        std::iter::from_fn(|| reader.next().unwrap()).count()
    };
    let before = commits();
    let due = FIRST + DUE_DAYS + 1;
    scene.on(due);
    for number in 0..many {
        assert!(scene.log.known("p", &Digest::of(b"g"), &key(number)));
    }
    assert_eq!(commits() - before, 4, "the first, and three times {AT_ONCE}");
    // The rest goes along with whatever is committed next.
    scene.log.remember(&scene.path, &scene.stat, &content());
    assert_eq!(commits() - before, 5);
    for number in 0..many {
        assert_eq!(
            scene.state.scanned("p", &Digest::of(b"g"), &key(number)).unwrap().unwrap().used,
            Day(due)
        );
    }
}

#[test]
fn what_cannot_be_read_counts_as_unknown() {
    let scene = Scene::new();
    // No digest at all.
    let (key, value) = (file_key(&scene.path, &scene.stat), Some(vec![1, 2, 3]));
    scene.commit(Write::FileDigest { key, value, used: Day(FIRST) });
    scene.on(FIRST + DUE_DAYS + 1);
    assert_eq!(scene.log.digest_of(&scene.path, &scene.stat), None);
    scene.state.set_behind(true);
    assert_eq!(scene.ask(), (None, false, false));
}

/// The samples in the journal as seconds and names, with `-` before the names of stale markers.
fn committed(committer: &Committer) -> Vec<(u64, String)> {
    let mut reader = committer.tail().reader(commit::Position::ZERO);
    let mut found = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        for frame in commit::frames(&record.payload).unwrap() {
            let Frame::Sample(sample) = frame else { continue };
            let sign = if sample.is_stale() { "-" } else { "" };
            found.push((sample.time / SECOND, format!("{sign}{}", sample.name)));
        }
    }
    found
}

const SECOND: u64 = 1_000_000_000;

/// A sink that commits on this machine, and the store that it fills.
fn sink(scene: &Scene) -> (CommittedSamples, Arc<SeriesStore>) {
    let registry = Registry::new();
    let metrics = picket_series::Metrics::new(&registry).unwrap();
    let clock: Clock = Arc::new(|| 1_000 * SECOND);
    let series = Arc::new(SeriesStore::new(picket_series::Config::default(), clock, metrics));
    let live = LiveSeries::new(&registry).unwrap();
    (CommittedSamples::new(scene.committer.clone(), series.clone(), live), series)
}

/// A sample of each name.
fn samples(second: u64, names: &[&str]) -> Vec<Sample> {
    let sample = |name: &&str| Sample {
        name: (*name).to_owned(),
        labels: Vec::new(),
        time: second * SECOND,
        value: 1.0,
    };
    names.iter().map(sample).collect()
}

/// The samples of `a` and `b` that rules see, as far as these have not ended.
fn shown(series: &SeriesStore) -> Vec<f64> {
    let matcher =
        picket_series::Matcher { name: "__name__".into(), op: picket_series::Op::Regex, value: "a|b".into() };
    let wanted = picket_series::Wanted::OfLive;
    let request = picket_series::Request { selector: vec![matcher], start: 0, end: u64::MAX, wanted };
    let bounds = picket_series::Bounds { max_samples: 10, deadline: None };
    series.select(&[request], bounds).unwrap().values
}

#[test]
fn samples_are_committed_only_while_a_forwarder_takes_them() {
    let scene = Scene::new();
    let (sink, series) = sink(&scene);
    for (second, wanted) in [(900, false), (915, true), (930, false)] {
        scene.committer.samples_wanted().set(wanted);
        sink.samples("h", samples(second, &["a"])).unwrap();
        sink.scraped("t", samples(second, &["b"])).unwrap();
    }
    assert_eq!(shown(&series).len(), 6, "rules hold over them all the same");
    sink.ended("h");
    assert_eq!(shown(&series).len(), 3, "and they end");
    let expected = [(915, "a"), (915, "b")];
    assert_eq!(committed(&scene.committer), expected.map(|(second, name)| (second, name.to_owned())));
}

#[test]
fn series_of_the_host_end_with_what_they_measure_and_with_their_source() {
    let scene = Scene::new();
    let (sink, series) = sink(&scene);
    sink.samples("h", samples(900, &["a", "b"])).unwrap();
    sink.samples("h", samples(915, &["a"])).unwrap();
    let expected = [(900, "a"), (900, "b"), (915, "a"), (915, "-b")];
    assert_eq!(committed(&scene.committer), expected.map(|(second, name)| (second, name.to_owned())));
    assert_eq!(shown(&series), [1.0, 1.0], "rules see `a` alone");
    sink.ended("another");
    sink.ended("h");
    let committed = committed(&scene.committer);
    assert_eq!(committed.len(), 5);
    assert_eq!(committed[4].1, "-a");
    assert_eq!(committed[4].0, 915, "a moment after its last sample");
}
