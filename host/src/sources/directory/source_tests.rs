//! When files are given to scanners, on real files.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Mutex;

use super::*;
use crate::pipeline::interest::Interest;
use crate::pipeline::lane::{LaneReceiver, LaneSender, Wake, lane};
use crate::pipeline::route::Route;
use crate::pipeline::work::Work;
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

struct Scene {
    folder: tempfile::TempDir,
    router: Arc<Router>,
    log: Arc<Log>,
    generation: Digest,
    sender: LaneSender<Work, ()>,
    receiver: LaneReceiver<Work, ()>,
    source: DirectorySource,
}

impl Scene {
    /// Scans `$/**` as soon as a file is there.
    fn new() -> Self {
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
        let scene = Self { folder, router, log, generation, sender, receiver, source };
        scene.route();
        scene
    }

    fn route(&self) {
        let route = Route {
            plugin: "p".into(),
            generation: self.generation,
            interest: Interest::everything(),
            takes: crate::pipeline::route::Takes::SCAN,
            lane: Arc::new(self.sender.clone()),
        };
        self.router.set("s", vec![route]).unwrap();
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// The files given to the scanner in one turn, each with its verdict committed.
    fn check(&mut self, expected: &[&str]) {
        self.source.turn();
        self.source.turn();
        let mut names = Vec::new();
        while let Wake::Work(Work::Scan(job)) = self.receiver.next(Some(Instant::now()), false) {
            names.push(job.target.path.file_name().unwrap().display().to_string());
            self.log.known.lock().unwrap().insert(("p".into(), self.generation, job.target.key));
            job.ticket.finish();
        }
        assert_eq!(names, expected);
    }
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
    let skipped = scene.log.skipped.lock().unwrap();
    assert_eq!(skipped.len(), 1);
    assert!(skipped[0].contains("large: it has 1001 bytes"), "{skipped:?}");
}

#[test]
fn a_large_file_is_reported_once_it_can_be() {
    let mut scene = Scene::new();
    scene.log.fails.store(true, Ordering::Relaxed);
    scene.write("large", &"x".repeat(1001));
    scene.check(&[]);
    assert!(scene.log.skipped.lock().unwrap().is_empty());
    scene.log.fails.store(false, Ordering::Relaxed);
    scene.source.next_walk = Instant::now();
    scene.check(&[]);
    assert_eq!(scene.log.skipped.lock().unwrap().len(), 1);
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

#[test]
fn a_scan_that_came_to_nothing_is_tried_again() {
    let mut scene = Scene::new();
    scene.write("a", "1");
    scene.source.turn();
    assert!(matches!(scene.receiver.next(Some(Instant::now()), false), Wake::Work(_)));
    scene.check(&[]);
    let path = scene.folder.path().join("a");
    let (_, key) = scene.source.waiting.remove(&path).unwrap();
    scene.source.waiting.insert(path, Instant::now(), key);
    scene.check(&["a"]);
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
