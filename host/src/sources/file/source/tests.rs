//! Rotation, restarts and lanes, on real files. Time is passed in, so nothing here waits.
#![allow(clippy::unwrap_used, reason = "tests")]

mod returning;

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;
use crate::model::{Digest, Selection};
use crate::pipeline::interest::Interest;
use crate::pipeline::lane::{LaneReceiver, LaneSender, Wake, lane};
use crate::pipeline::route::{Route, Router};
use crate::pipeline::work::Work;
use crate::sources::CheckpointsUnreadable;
use crate::sources::file::Config;
use crate::sources::file::config::Start;
use crate::sources::metrics::Metrics;

/// The committed checkpoints, as the state module would keep them, and whether they are unreadable.
#[derive(Default)]
struct Committed(Mutex<BTreeMap<(String, Digest), Vec<u8>>>, AtomicBool);

impl Checkpoints for Committed {
    fn load(&self, plugin: &str, _: &str) -> Result<Vec<(Digest, Vec<u8>)>, CheckpointsUnreadable> {
        if self.1.load(Ordering::Relaxed) {
            return Err(CheckpointsUnreadable { reason: "the disk is gone".into() });
        }
        let committed = self.0.lock().unwrap();
        let own = committed.iter().filter(|((of, _), _)| of == plugin);
        Ok(own.map(|((_, stream), value)| (*stream, value.clone())).collect())
    }

    fn forget(&self, plugin: &str, _: &str, stream: &Digest) {
        self.0.lock().unwrap().remove(&(plugin.to_owned(), *stream));
    }
}

struct Plugin {
    name: String,
    interest: Arc<Interest>,
    sender: LaneSender<Work, ()>,
    receiver: LaneReceiver<Work, ()>,
    passed_over: u64,
}

/// A source in a folder of its own, with plugins, driven by hand.
struct Scene {
    folder: tempfile::TempDir,
    config: Config,
    router: Router,
    committed: Arc<Committed>,
    plugins: Vec<Plugin>,
    source: FileSource,
    clock: Clock,
    registry: prometheus::Registry,
}

impl Scene {
    /// Follows `$/*.log` from the beginning, for the plugin `p`.
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(vec![format!("{}/*.log", folder.path().display())]);
        config.start = Start::Beginning;
        change(&mut config);
        let router = Router::new();
        let committed = Arc::new(Committed::default());
        let registry = prometheus::Registry::new();
        let metrics = Metrics::new(&registry).unwrap().of("s");
        let source =
            FileSource::new("s", config.check().unwrap(), router.watch("s"), committed.clone(), metrics);
        let clock = Clock { instant: Instant::now(), nanos: crate::model::now_nanos() };
        let mut scene =
            Self { folder, config, router, committed, plugins: Vec::new(), source, clock, registry };
        scene.add_plugin("p", &[], 1 << 30);
        scene
    }

    fn add_plugin(&mut self, name: &str, literals: &[&str], bound: usize) {
        let (sender, receiver) = lane(name, bound);
        let literals = literals.iter().map(|literal| literal.as_bytes().to_vec()).collect();
        let interest = Interest::new(literals, false).unwrap();
        self.plugins.push(Plugin { name: name.to_owned(), interest, sender, receiver, passed_over: 0 });
        self.route();
    }

    fn route(&self) {
        // As each plugin's thread does.
        self.plugins.iter().for_each(|plugin| plugin.receiver.set_interest(plugin.interest.id));
        let route = |plugin: &Plugin| Route {
            plugin: plugin.name.clone(),
            generation: Digest::of(b"generation"),
            interest: plugin.interest.clone(),
            takes: crate::pipeline::route::Takes::SCAN,
            lane: Arc::new(plugin.sender.clone()),
        };
        self.router.set("s", self.plugins.iter().map(route).collect()).unwrap();
    }

    /// As `kill -9` and a new start: lanes and what is in them are gone.
    fn restart(&mut self) {
        for plugin in &mut self.plugins {
            (plugin.sender, plugin.receiver) = lane(plugin.name.clone(), 1 << 30);
        }
        self.route();
        let metrics = self.source.metrics.clone();
        let checked = self.config.check().unwrap();
        self.source = FileSource::new("s", checked, self.router.watch("s"), self.committed.clone(), metrics);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn pass(&mut self, seconds: u64) {
        self.clock.instant += Duration::from_secs(seconds);
        // Files are made at real times.
        self.clock.nanos = crate::model::now_nanos();
    }

    /// Turns until there is nothing to do. Each turn is late enough for the next look at the folder.
    fn turn(&mut self) {
        let mut buffers = Buffers::default();
        for _ in 0..3 {
            self.pass(6);
            while self.source.turn(self.clock, &mut buffers) == Activity::Progress {}
        }
    }

    /// What a plugin gets now, with each delivery committed as it is taken.
    fn take(&mut self, plugin: usize) -> Vec<String> {
        self.take_some(plugin, usize::MAX)
    }

    /// As [`take`](Self::take), but at most so many deliveries.
    fn take_some(&mut self, plugin: usize, deliveries: usize) -> Vec<String> {
        let plugin = &mut self.plugins[plugin];
        let mut records = Vec::new();
        for _ in 0..deliveries {
            let Wake::Work(Work::Records(delivery)) = plugin.receiver.next(Some(Instant::now()), false)
            else {
                break;
            };
            let block = &delivery.block;
            let selected: Vec<usize> = match &delivery.selection {
                Selection::All => (0..block.records.len()).collect(),
                Selection::Some { records, .. } => records.iter().map(|record| *record as usize).collect(),
            };
            plugin.passed_over += delivery.passed_over;
            records.extend(
                selected.into_iter().map(|record| String::from_utf8_lossy(block.bytes(record)).into_owned()),
            );
            let key = (plugin.name.clone(), block.stream.id);
            self.committed.0.lock().unwrap().insert(key, block.checkpoint.clone());
        }
        records
    }

    fn check(&mut self, expected: &[&str]) {
        self.turn();
        assert_eq!(self.take(0), expected);
    }

    /// The sum of a metric over all its labels that hold the given values.
    fn metric(&self, name: &str, values: &[&str]) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().filter(|family| family.name() == name);
        let metrics = family.flat_map(|family| family.get_metric());
        let matching = metrics.filter(|metric| {
            values.iter().all(|value| metric.get_label().iter().any(|label| label.value() == *value))
        });
        matching.map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value()).sum()
    }
}

#[test]
fn lines_are_read_as_they_come() {
    let mut scene = Scene::new(|_| {});
    scene.append("a.log", "1\n2\nunfin");
    scene.check(&["1", "2"]);
    scene.append("a.log", "ished\n3\n");
    scene.append("b.log", "x\n");
    scene.check(&["unfinished", "3", "x"]);
    scene.check(&[]);
    assert_eq!(scene.metric("picket_source_records_total", &["s"]), 5.0);
}

#[test]
fn a_file_that_was_there_is_read_from_its_end_and_a_later_one_from_its_beginning() {
    let mut scene = Scene::new(|config| config.start = Start::End);
    scene.append("a.log", "old\nhalf");
    scene.append("empty.log", "");
    scene.check(&[]);
    scene.append("a.log", " line\nnew\n");
    scene.append("b.log", "b\n");
    scene.append("empty.log", "e\n");
    scene.check(&["half line", "new", "e", "b"]);
    // Nothing that was old becomes new by a restart, and nothing new is missed.
    scene.append("a.log", "down\n");
    scene.append("c.log", "c\n");
    scene.restart();
    scene.check(&["down", "c"]);
}

#[test]
fn a_renamed_file_is_read_to_its_end_before_it_is_let_go() {
    let mut scene = Scene::new(|_| {});
    scene.append("a.log", "1\n");
    scene.check(&["1"]);
    let mut writer = OpenOptions::new().append(true).open(scene.path("a.log")).unwrap();
    scene.rename("a.log", "a.log.1");
    scene.append("a.log", "new\n");
    writer.write_all(b"late\n").unwrap();
    scene.check(&["late", "new"]);
    writer.write_all(b"later, without its end").unwrap();
    scene.check(&[]);
    scene.pass(60);
    scene.check(&["later, without its end"]);
    assert_eq!(scene.source.tails.len(), 1);
    assert_eq!(scene.metric("picket_source_rotations_total", &["renamed"]), 1.0);
}

#[test]
fn a_file_renamed_while_the_agent_was_down_is_finished() {
    for rotated in ["a.log.1", "old-a.log"] {
        let mut scene = Scene::new(|_| {});
        scene.append("a.log", "1\n");
        scene.check(&["1"]);
        scene.append("a.log", "2\n");
        scene.rename("a.log", rotated);
        scene.append("a.log", "3\n");
        scene.restart();
        scene.turn();
        let mut records = scene.take(0);
        records.sort();
        assert_eq!(records, ["2", "3"], "{rotated}");
        scene.restart();
        scene.check(&[]);
    }
}

#[test]
fn a_truncated_file_is_read_from_its_beginning() {
    let mut scene = Scene::new(|_| {});
    scene.append("a.log", "first\nlost");
    scene.check(&["first"]);
    File::create(scene.path("a.log")).unwrap();
    scene.append("a.log", "again\n");
    scene.check(&["again"]);
    assert_eq!(scene.metric("picket_source_dropped_bytes_total", &["truncated"]), 4.0);
    // Truncated and grown beyond its former size between two looks.
    fs::write(scene.path("a.log"), "a third content, longer than before\n").unwrap();
    scene.check(&["a third content, longer than before"]);
    // Truncated while the agent was down.
    fs::write(scene.path("a.log"), "4\n").unwrap();
    scene.restart();
    scene.check(&["4"]);
    scene.restart();
    scene.check(&[]);
}

#[test]
fn the_same_text_after_a_truncation_has_another_name() {
    let mut scene = Scene::new(|_| {});
    let mut streams = Vec::new();
    for round in 0..3 {
        fs::write(scene.path("a.log"), "same\n").unwrap();
        scene.check(&["same"]);
        streams.extend(scene.source.tails.values().map(|tail| tail.stream.id));
        fs::write(scene.path("a.log"), "").unwrap();
        scene.turn();
        if round == 1 {
            scene.restart();
            scene.turn();
        }
    }
    streams.sort();
    streams.dedup();
    assert!(streams.len() >= 3, "{streams:?}");
}

#[test]
fn what_copytruncate_took_away_is_read_from_the_copy() {
    let start: String = (0..200).map(|line| format!("line {line}\n")).collect();
    for copy in ["a.log.1", "a.log-copy.log"] {
        let mut scene = Scene::new(|_| {});
        scene.append("a.log", &start);
        scene.turn();
        assert_eq!(scene.take(0).len(), 200);
        scene.append("a.log", "unread\n");
        fs::copy(scene.path("a.log"), scene.path(copy)).unwrap();
        fs::write(scene.path("a.log"), "new\n").unwrap();
        scene.check(&["unread", "new"]);
        scene.pass(60);
        scene.check(&[]);
        scene.restart();
        scene.check(&[]);
        // The same while the agent is down.
        scene.append("a.log", &start);
        scene.turn();
        scene.take(0);
        scene.append("a.log", "unread again\n");
        fs::copy(scene.path("a.log"), scene.path(copy)).unwrap();
        fs::write(scene.path("a.log"), "new again\n").unwrap();
        scene.restart();
        scene.turn();
        let mut records = scene.take(0);
        records.sort();
        assert_eq!(records, ["new again", "unread again"], "{copy}");
        scene.restart();
        scene.check(&[]);
    }
}

#[test]
fn a_deleted_file_is_read_to_its_end() {
    let mut scene = Scene::new(|_| {});
    scene.append("a.log", "1\n");
    scene.check(&["1"]);
    scene.append("a.log", "2\n");
    fs::remove_file(scene.path("a.log")).unwrap();
    scene.check(&["2"]);
    scene.pass(60);
    scene.check(&[]);
    assert!(scene.source.tails.is_empty());
    assert_eq!(scene.metric("picket_source_rotations_total", &["deleted"]), 1.0);
}

#[test]
fn what_a_thread_that_ended_was_handed_of_a_deleted_file_goes_to_the_one_in_its_place() {
    let mut scene = Scene::new(|_| {});
    scene.append("a.log", "1\n");
    scene.check(&["1"]);
    scene.append("a.log", "2\n");
    fs::remove_file(scene.path("a.log")).unwrap();
    scene.turn();
    // The thread ends with the record in its lane, and the lifecycle is busy for long.
    let (sender, receiver) = lane("p", 1 << 30);
    drop(std::mem::replace(&mut scene.plugins[0].receiver, receiver));
    scene.pass(60);
    scene.turn();
    scene.plugins[0].sender = sender;
    scene.route();
    scene.check(&["2"]);
    scene.pass(60);
    scene.check(&[]);
    assert!(scene.source.tails.is_empty(), "it is let go when it is read");
}

#[test]
fn a_restart_gives_what_was_not_committed_again() {
    let mut scene = Scene::new(|_| {});
    scene.append("a.log", "1\n");
    scene.turn();
    scene.restart();
    scene.check(&["1"]);
    scene.append("a.log", "2\n");
    scene.turn();
    scene.append("a.log", "3\n");
    scene.turn();
    assert_eq!(scene.take_some(0, 1), ["2"]);
    scene.restart();
    scene.check(&["3"]);
}

#[test]
fn a_plugin_gets_only_what_it_is_interested_in_and_its_checkpoint_moves() {
    let mut scene = Scene::new(|_| {});
    scene.add_plugin("q", &["error"], 1 << 30);
    scene.append("a.log", "fine\nan error\nfine\n");
    scene.turn();
    assert_eq!(scene.take(1), ["an error"]);
    scene.append("a.log", "fine\nfine\n");
    scene.turn();
    assert!(scene.take(1).is_empty());
    assert_eq!(scene.plugins[1].passed_over, 2);
    // A generation that may still give way: what it does not want may be what the former one wants.
    scene.plugins[1].receiver.set_interest(crate::pipeline::lane::UNSETTLED);
    scene.append("a.log", "fine again\n");
    scene.turn();
    assert_eq!(scene.take(1), ["fine again"]);
    scene.plugins[1].receiver.set_interest(scene.plugins[1].interest.id);
    scene.restart();
    scene.append("a.log", "error 2\n");
    scene.turn();
    assert_eq!(scene.take(1), ["error 2"]);
    assert_eq!(scene.plugins[1].passed_over, 2);
}

#[test]
fn a_plugin_without_room_stays_behind_and_others_go_on() {
    let mut scene = Scene::new(|_| {});
    scene.add_plugin("slow", &["x"], 1);
    let mut expected = Vec::new();
    for round in 0..5 {
        scene.append("a.log", &format!("x {round}\n"));
        scene.turn();
        assert_eq!(scene.take(0), [format!("x {round}")]);
        expected.push(format!("x {round}"));
    }
    let mut records = Vec::new();
    for _ in 0..10 {
        records.extend(scene.take_some(1, 1));
        scene.turn();
    }
    assert_eq!(records, expected);
    let tail = scene.source.tails.values().next().unwrap();
    assert_eq!(tail.lag().map(|(_, _, behind, _)| behind).sum::<u64>(), 0);
}

#[test]
fn beyond_its_bound_a_plugin_without_room_loses_the_oldest_records() {
    let mut scene = Scene::new(|config| config.max_lag = crate::model::ByteSize(100));
    scene.plugins.clear();
    scene.add_plugin("stuck", &[], 1);
    scene.append("a.log", "first\n");
    scene.turn();
    for round in 0..105 {
        scene.append("a.log", &format!("record {round:03}\n"));
        scene.turn();
    }
    let mut records = Vec::new();
    for _ in 0..40 {
        records.extend(scene.take_some(0, 1));
        scene.turn();
    }
    assert_eq!(records[0], "first");
    assert_eq!(records.last().unwrap(), "record 104");
    let dropped = scene.metric("picket_source_dropped_records_total", &["stuck", "lag"]);
    assert_eq!(records.len() as f64 + dropped, 106.0);
    assert!(dropped > 50.0, "{records:?}");
}

#[test]
fn few_files_are_open_and_all_are_read() {
    let mut scene = Scene::new(|config| config.max_open_files = 2);
    let mut expected = Vec::new();
    for round in 0..2 {
        for file in 0..6 {
            scene.append(&format!("{file}.log"), &format!("{file} {round}\n"));
            expected.push(format!("{file} {round}"));
            scene.turn();
        }
    }
    let mut records = scene.take(0);
    records.sort();
    expected.sort();
    assert_eq!(records, expected);
}

#[test]
fn a_replaced_source_goes_on_behind_what_is_still_in_the_lanes() {
    let mut scene = Scene::new(|_| {});
    scene.append("a.log", "1\n");
    scene.turn();
    let places = scene.source.hand_over(scene.clock);
    let metrics = scene.source.metrics.clone();
    let checked = scene.config.check().unwrap();
    scene.source = FileSource::new("s", checked, scene.router.watch("s"), scene.committed.clone(), metrics);
    scene.source.inherit(places);
    scene.append("a.log", "2\n");
    scene.check(&["1", "2"]);
}

#[test]
fn containers_have_labels() {
    let mut scene = Scene::new(|config| {
        let folder = config.include[0].trim_end_matches("/*.log").to_owned();
        config.include = vec![format!("{folder}/pods/*/*/*.log")];
        config.labels.insert("team".into(), "a".into());
    });
    fs::create_dir_all(scene.path("pods/shop_web_uid/nginx")).unwrap();
    scene.append("pods/shop_web_uid/nginx/0.log", "2023-11-14T22:13:20.1Z stdout F hello\n");
    scene.check(&["hello"]);
    let tail = scene.source.tails.values().next().unwrap();
    let labels: Vec<String> =
        tail.stream.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(labels.join(" "), "container=nginx namespace=shop pod=web pod_uid=uid team=a");
}
