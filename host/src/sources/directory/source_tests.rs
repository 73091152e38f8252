//! When files are given to scanners, on real files.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::sync::Mutex;

use super::*;
use crate::pipeline::interest::Interest;
use crate::pipeline::lane::{LaneReceiver, LaneSender, Wake, lane};
use crate::pipeline::route::{Route, Takes};
use crate::pipeline::work::{ScanJob, Work};
use crate::sources::directory::Config;
use crate::sources::metrics::Metrics;

#[derive(Default)]
struct Log {
    known: Mutex<BTreeSet<(String, Digest, Digest)>>,
    digests: Mutex<BTreeMap<(PathBuf, StatKey), Digest>>,
    skipped: Mutex<Vec<String>>,
    /// Whether nothing can be committed.
    fails: AtomicBool,
    opened: Mutex<Vec<Opened>>,
}

impl ScanLog for Log {
    fn known(&self, plugin: &str, generation: &Digest, key: &Digest) -> bool {
        self.known.lock().unwrap().contains(&(plugin.to_owned(), *generation, *key))
    }
    fn opened(&self, record: &Opened) -> bool {
        self.opened.lock().unwrap().contains(record)
    }
    fn judged(&self, record: &Opened) {
        self.opened.lock().unwrap().push(record.clone());
    }
    fn digest_of(&self, path: &Path, key: &StatKey) -> Option<Digest> {
        self.digests.lock().unwrap().get(&(path.to_owned(), *key)).copied()
    }
    fn remember(&self, path: &Path, key: &StatKey, content: &Digest) {
        self.digests.lock().unwrap().insert((path.to_owned(), *key), *content);
    }
    fn skipped(&self, _: &str, path: &Path, _: u64, reason: &str) -> bool {
        let committed = !self.fails.load(Ordering::Relaxed);
        if committed {
            self.skipped.lock().unwrap().push(format!("{}: {reason}", path.display()));
        }
        committed
    }
}

pub(super) struct Scene {
    pub(super) folder: tempfile::TempDir,
    router: Arc<Router>,
    log: Arc<Log>,
    pub(super) generation: Digest,
    /// The lanes of all plugins.
    senders: Vec<LaneSender<Work, ()>>,
    takes: Takes,
    /// The end of the lane of `p`, the first plugin.
    pub(super) receiver: LaneReceiver<Work, ()>,
    pub(super) source: DirectorySource,
}

impl Scene {
    /// Scans `$/**` as soon as a file is there.
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(vec![format!("{}/**", folder.path().display())]);
        config.settle = "0s".parse().unwrap();
        config.max_file_bytes = crate::model::ByteSize(1000);
        let (router, log) = (Arc::new(Router::new()), Arc::new(Log::default()));
        let source = DirectorySource::new(Parts {
            name: "s".into(),
            config: config.check().unwrap(),
            watch: router.watch("s"),
            router: router.clone(),
            log: log.clone(),
            metrics: Metrics::new(&prometheus::Registry::new()).unwrap().of("s"),
            status: StatusBoard::default(),
            stop: Arc::default(),
        });
        let (sender, receiver) = lane("p", 1 << 30);
        let generation = Digest::of(b"1");
        let senders = vec![sender];
        let takes = Takes::SCAN;
        let scene = Self { folder, router, log, generation, senders, takes, receiver, source };
        scene.route();
        scene
    }

    pub(super) fn route(&self) {
        let route = |sender: &LaneSender<Work, ()>| Route {
            plugin: sender.plugin().to_owned(),
            generation: self.generation,
            interest: Interest::everything(),
            takes: self.takes,
            lane: Arc::new(sender.clone()),
        };
        self.router.set("s", self.senders.iter().map(route).collect()).unwrap();
    }

    /// Another plugin.
    pub(super) fn add(&mut self, plugin: &str) -> LaneReceiver<Work, ()> {
        let (sender, receiver) = lane(plugin, 1 << 30);
        self.senders.push(sender);
        self.route();
        receiver
    }

    /// From now on the lane of `p` holds one file.
    pub(super) fn narrow(&self) {
        self.senders[0].set_bound(1);
    }

    /// From now on plugins open files too.
    pub(super) fn unpack(&mut self) {
        self.takes = Takes { scan: true, unpack: true };
        self.route();
    }

    /// That a plugin has judged a file or a member.
    pub(super) fn judged(&self, plugin: &str, job: &ScanJob) {
        self.log.known.lock().unwrap().insert((plugin.to_owned(), self.generation, job.target.key));
    }

    pub(super) fn skipped(&self) -> Vec<String> {
        self.log.skipped.lock().unwrap().clone()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// The files given to the scanner in one turn, each with its verdict committed.
    pub(super) fn check(&mut self, expected: &[&str]) {
        self.source.turn();
        self.source.turn();
        let mut names = Vec::new();
        while let Wake::Work(Work::Scan(job)) = self.receiver.next(Some(Instant::now()), false) {
            names.push(name(&job));
            self.judged("p", &job);
            job.ticket.finish();
        }
        assert_eq!(names, expected);
    }
}

pub(super) fn name(job: &ScanJob) -> String {
    job.target.path.file_name().unwrap().display().to_string()
}

/// The scans that wait in a lane.
pub(super) fn scans(receiver: &LaneReceiver<Work, ()>) -> Vec<ScanJob> {
    let next = || match receiver.next(Some(Instant::now()), false) {
        Wake::Work(Work::Scan(job)) => Some(job),
        _ => None,
    };
    std::iter::from_fn(next).collect()
}

#[test]
fn files_are_scanned_once_and_again_when_they_change() {
    let mut scene = Scene::new();
    scene.write("a", "1");
    scene.check(&["a"]);
    scene.check(&[]);
    scene.write("b", "1");
    scene.check(&["b"]);
    scene.write("a", "22");
    scene.check(&["a"]);
    scene.source.next_walk = Instant::now();
    scene.check(&[]);
}

#[test]
fn a_new_generation_judges_everything_again() {
    let mut scene = Scene::new();
    scene.write("a", "1");
    scene.write("b", "1");
    scene.check(&["a", "b"]);
    scene.generation = Digest::of(b"2");
    scene.route();
    scene.check(&["a", "b"]);
}

#[test]
fn files_in_new_folders_are_found() {
    let mut scene = Scene::new();
    scene.check(&[]);
    fs::create_dir_all(scene.folder.path().join("x/y")).unwrap();
    scene.write("x/y/a", "1");
    scene.check(&["a"]);
    scene.write("x/y/b", "1");
    scene.check(&["b"]);
}

#[test]
fn a_large_file_is_reported_once() {
    let mut scene = Scene::new();
    scene.write("large", &"x".repeat(1001));
    scene.check(&[]);
    scene.source.next_walk = Instant::now();
    scene.check(&[]);
    let skipped = scene.skipped();
    assert_eq!(skipped.len(), 1);
    assert!(skipped[0].contains("large: it has 1001 bytes"), "{skipped:?}");
}

#[test]
fn a_large_file_is_reported_once_it_can_be() {
    let mut scene = Scene::new();
    scene.log.fails.store(true, Ordering::Relaxed);
    scene.write("large", &"x".repeat(1001));
    scene.check(&[]);
    assert!(scene.skipped().is_empty());
    scene.log.fails.store(false, Ordering::Relaxed);
    scene.source.next_walk = Instant::now();
    scene.check(&[]);
    assert_eq!(scene.skipped().len(), 1);
}

#[test]
fn a_file_that_is_being_written_waits() {
    let mut scene = Scene::new();
    scene.check(&[]);
    scene.source.parts.config.settle = Duration::from_secs(3600);
    scene.write("a", "half");
    scene.check(&[]);
    assert_eq!(scene.source.waiting.len(), 1);
    scene.source.parts.config.settle = Duration::ZERO;
    scene.write("a", "all of it");
    scene.check(&["a"]);
}

/// A file that is touched all the time is looked at as it is, in the end.
#[test]
fn a_file_that_does_not_settle_is_scanned() {
    let mut scene = Scene::new();
    scene.check(&[]);
    scene.source.parts.config.settle = Duration::from_secs(1);
    let now = Instant::now();
    let looks: [(u64, &[&str]); 3] = [(2, &[]), (30, &[]), (3600, &["a"])];
    for (seconds, expected) in looks {
        scene.write("a", &format!("{seconds}"));
        scene.source.take_notice();
        scene.write("a", &format!("{seconds} and more"));
        scene.source.scan_settled(now + Duration::from_secs(seconds));
        assert_eq!(scans(&scene.receiver).iter().map(name).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_file_that_changes_during_each_scan_is_told_of_once() {
    let mut scene = Scene::new();
    let attempt = |scene: &mut Scene, length: usize| {
        scene.write("a", &"x".repeat(length));
        scene.source.turn();
        scene.source.turn();
        let scans = scans(&scene.receiver);
        assert_eq!(scans.len(), 1);
        scene.write("a", &"x".repeat(length + 1));
    };
    let attempts = usize::try_from(super::super::attempts::MAX_CHANGED).unwrap();
    for length in 0..attempts {
        assert!(scene.skipped().is_empty());
        attempt(&mut scene, length);
    }
    scene.source.take_notice();
    assert_eq!(scene.skipped().len(), 1);
    assert!(scene.skipped()[0].contains("a: it changes all the time"), "{:?}", scene.skipped());
    attempt(&mut scene, attempts);
    scene.source.turn();
    assert_eq!(scene.skipped().len(), 1);
}

#[test]
fn a_scan_that_came_to_nothing_is_tried_again() {
    let mut scene = Scene::new();
    scene.write("a", "1");
    scene.source.turn();
    drop(scans(&scene.receiver));
    scene.check(&[]);
    let path = scene.path("a");
    assert!(scene.source.waiting.remove(&path).is_some_and(|entry| entry.due > Instant::now()));
    // A walk does not bring it earlier, but it keeps waiting.
    scene.source.next_walk = Instant::now();
    scene.check(&[]);
    assert!(scene.source.waiting.remove(&path).is_some());
    scene.source.attempts = Attempts::default();
    scene.source.retry(&path, Duration::ZERO);
    scene.check(&["a"]);
}

#[test]
fn another_generation_need_not_wait_for_what_came_to_nothing() {
    let mut scene = Scene::new();
    scene.write("a", "1");
    scene.source.turn();
    drop(scans(&scene.receiver));
    scene.check(&[]);
    scene.generation = Digest::of(b"2");
    scene.route();
    scene.check(&["a"]);
}

/// The file is replaced while its scan is under way.
#[test]
fn what_was_left_out_because_it_was_busy_is_done_afterwards() {
    let mut scene = Scene::new();
    scene.check(&[]);
    scene.write("a", "1");
    scene.source.turn();
    let job = scans(&scene.receiver).pop().unwrap();
    scene.write("a", "22");
    scene.source.turn();
    scene.source.turn();
    assert!(scans(&scene.receiver).is_empty(), "the first is under way");
    scene.judged("p", &job);
    job.ticket.finish();
    scene.check(&["a"]);
    scene.check(&[]);
}

/// A new generation of the plugin finds a container still under way.
#[test]
fn a_container_under_way_is_opened_for_a_new_generation_afterwards() {
    let mut scene = Scene::new();
    scene.unpack();
    scene.write("a", "1");
    scene.source.turn();
    let unpack = |scene: &Scene| loop {
        match scene.receiver.next(Some(Instant::now()), false) {
            Wake::Work(Work::Unpack(job)) => return Some(job),
            Wake::Work(Work::Scan(job)) => {
                scene.judged("p", &job);
                job.ticket.finish();
            }
            _ => return None,
        }
    };
    let job = unpack(&scene).unwrap();
    scene.generation = Digest::of(b"2");
    scene.route();
    scene.source.turn();
    assert!(unpack(&scene).is_none(), "the first is under way");
    job.ticket.finish();
    scene.source.turn();
    scene.source.turn();
    unpack(&scene).unwrap().ticket.finish();
    scene.source.turn();
    assert!(unpack(&scene).is_none());
}

#[test]
fn a_new_folder_does_not_make_everything_be_walked() {
    let mut scene = Scene::new();
    scene.write("a", "1");
    scene.check(&["a"]);
    let next_walk = scene.source.next_walk;
    fs::create_dir(scene.folder.path().join("x")).unwrap();
    scene.write("x/b", "1");
    scene.check(&["b"]);
    assert_eq!(scene.source.next_walk, next_walk);
}

#[test]
fn a_renamed_folder_is_looked_into() {
    let mut scene = Scene::new();
    fs::create_dir_all(scene.folder.path().join("x/y")).unwrap();
    scene.write("x/y/a", "1");
    scene.check(&["a"]);
    fs::rename(scene.folder.path().join("x"), scene.folder.path().join("z")).unwrap();
    scene.check(&["a"]);
    scene.write("z/y/b", "1");
    scene.check(&["b"]);
}
