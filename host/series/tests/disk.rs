//! The store's folder: restarts, kills, damage, bounds and a disk that does not take anything.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use picket_series::{
    Bounds, Config, Matcher, Metrics, Op, OpenError, Recovered, Refused, Request, Store, Wanted,
};

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_000_000 * SECOND;
/// By series and time, the bits of each value.
type Content = BTreeMap<(String, u64), u64>;

struct Fixture {
    folder: tempfile::TempDir,
    now: Arc<AtomicU64>,
    config: Config,
}

fn fixture() -> Fixture {
    let config = Config { window: Duration::from_secs(60), cached: Duration::ZERO, ..Config::default() };
    Fixture { folder: tempfile::tempdir().unwrap(), now: Arc::new(AtomicU64::new(START)), config }
}

impl Fixture {
    fn open(&self) -> (Store, Recovered) {
        self.open_at(self.folder.path())
    }

    fn open_at(&self, folder: &Path) -> (Store, Recovered) {
        let now = Arc::clone(&self.now);
        let clock = Arc::new(move || now.load(Ordering::Relaxed));
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        Store::open(Some(folder), self.config.clone(), clock, metrics).unwrap()
    }

    fn set(&self, second: u64) {
        self.now.store(START + second * SECOND, Ordering::Relaxed);
    }

    /// Three series, a sample every ten seconds, flushed after each.
    fn fill(&self, store: &Store, seconds: std::ops::Range<u64>) {
        for second in seconds.step_by(10) {
            self.set(second);
            append(store, second);
            store.flush();
        }
    }

    fn files(&self, prefix: &str) -> Vec<std::path::PathBuf> {
        let paths = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<_> =
            paths.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix)).collect();
        paths.sort();
        paths
    }
}

fn append(store: &Store, second: u64) {
    for (job, value) in
        [("a", second as f64), ("b", second as f64 * 0.1), ("c", f64::from_bits(picket_model::STALE_NAN))]
    {
        let (time, value) =
            if job == "c" && second.is_multiple_of(20) { (second, 1.0) } else { (second, value) };
        store.append("up", [("job", job)], START + time * SECOND, value).unwrap();
    }
}

fn content(store: &Store) -> Content {
    let selector = vec![Matcher { name: "__name__".into(), op: Op::Regex, value: ".+".into() }];
    let all = Request { selector, start: 0, end: u64::MAX, wanted: Wanted::All };
    let found = store.select(&[all], Bounds { max_samples: u64::MAX, deadline: None }).unwrap();
    let labels = store.labels(&found.series).unwrap();
    let (mut content, mut sample) = (Content::new(), 0);
    for (labels, end) in labels.iter().zip(&found.sample_ends) {
        let name = labels.iter().map(|label| format!("{}={} ", label.name, label.value)).collect::<String>();
        let times = &found.times[sample..*end as usize];
        assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
        for (time, value) in times.iter().zip(&found.values[sample..]) {
            content.insert((name.clone(), *time), value.to_bits());
        }
        sample = *end as usize;
    }
    content
}

#[test]
fn everything_is_there_after_a_restart_and_goes_on() {
    let fixture = fixture();
    let (store, recovered) = fixture.open();
    assert_eq!(recovered, Recovered::default());
    fixture.fill(&store, 0..300);
    let before = content(&store);
    assert_eq!(before.len(), 75, "the markers are not given");
    assert!(store.status().segments >= 4, "{:?}", store.status());
    assert!(store.size().samples < 45, "what is in segments has left memory: {:?}", store.size());
    drop(store);
    let (store, recovered) = fixture.open();
    assert_eq!((recovered.series, recovered.damaged), (3, 0));
    assert_eq!(content(&store), before);
    assert_eq!(store.append("up", [("job", "a")], START, 1.0), Err(Refused::OutOfOrder));
    assert_eq!(store.append("new", [], START, 1.0).unwrap().series(), 3, "ids go on");
    fixture.fill(&store, 300..600);
    assert_eq!(content(&store).len(), 151);
    drop(store);
    assert_eq!(content(&fixture.open().0).len(), 151);
}

#[test]
fn a_kill_at_any_byte_of_the_log_loses_only_what_is_behind_it() {
    let mut fixture = fixture();
    fixture.config.window = Duration::from_secs(86_400);
    let (store, _) = fixture.open();
    let mut states = vec![(0, Content::new())];
    for second in [0, 10, 20, 30, 40] {
        fixture.set(second);
        append(&store, second);
        store.flush();
        let length = fs::metadata(&fixture.files("log-")[0]).unwrap().len();
        states.push((length, content(&store)));
    }
    drop(store);
    let [log] = &fixture.files("log-")[..] else { panic!("one log") };
    let whole = fs::read(log).unwrap();
    for cut in 0..=whole.len() {
        let copy = tempfile::tempdir().unwrap();
        fs::write(copy.path().join(log.file_name().unwrap()), &whole[..cut]).unwrap();
        let (store, _) = fixture.open_at(copy.path());
        let (_, expected) = states.iter().rfind(|(length, _)| *length <= cut as u64).unwrap();
        assert_eq!(&content(&store), expected, "cut at {cut} of {}", whole.len());
        append(&store, 50);
        store.flush();
        let goes_on = content(&store);
        drop(store);
        assert_eq!(content(&fixture.open_at(copy.path()).0), goes_on, "cut at {cut}");
    }
}

#[test]
fn a_flip_anywhere_loses_something_and_invents_nothing() {
    let fixture = fixture();
    let (store, _) = fixture.open();
    fixture.fill(&store, 0..150);
    let whole = content(&store);
    drop(store);
    let mut intact = 0;
    for path in fixture.files("") {
        let bytes = fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            let copy = tempfile::tempdir().unwrap();
            for other in fixture.files("") {
                fs::copy(&other, copy.path().join(other.file_name().unwrap())).unwrap();
            }
            fs::write(copy.path().join(path.file_name().unwrap()), flipped).unwrap();
            let (store, _) = fixture.open_at(copy.path());
            let found = content(&store);
            assert!(
                found.iter().all(|(key, value)| whole.get(key) == Some(value)),
                "{at} of {}",
                path.display()
            );
            intact += usize::from(found == whole);
        }
    }
    assert!(intact < 60, "nearly every byte counts: {intact} did not");
}

#[test]
fn a_segment_that_was_cut_anywhere_is_set_aside() {
    let fixture = fixture();
    let (store, _) = fixture.open();
    fixture.fill(&store, 0..150);
    drop(store);
    let segment = &fixture.files("segment-")[0];
    let whole = fs::read(segment).unwrap();
    for cut in 0..whole.len() {
        let copy = tempfile::tempdir().unwrap();
        fs::write(copy.path().join(segment.file_name().unwrap()), &whole[..cut]).unwrap();
        let (store, recovered) = fixture.open_at(copy.path());
        assert_eq!((recovered.damaged, recovered.series, content(&store).len()), (1, 0, 0), "cut at {cut}");
    }
}

#[test]
fn the_oldest_segments_make_room_on_the_disk() {
    let mut fixture = fixture();
    fixture.config.max_disk_bytes = 3000;
    let (store, _) = fixture.open();
    fixture.fill(&store, 0..1200);
    let status = store.status();
    assert!(status.disk_bytes <= 3000 && status.segments > 0, "{status:?}");
    let kept = content(&store);
    assert!(kept.keys().all(|(_, time)| *time > START + 600 * SECOND));
    assert!(kept.contains_key(&("__name__=up job=a ".to_owned(), START + 1190 * SECOND)));
}

#[test]
fn segments_leave_with_their_age() {
    let mut fixture = fixture();
    fixture.config.max_age = Duration::from_secs(300);
    let (store, _) = fixture.open();
    fixture.fill(&store, 0..300);
    fixture.set(10_000);
    store.sweep();
    store.flush();
    assert_eq!((store.size().series, store.status().segments, content(&store).len()), (0, 0, 0));
    drop(store);
    let (store, recovered) = fixture.open();
    assert_eq!(recovered.series, 0);
    assert_eq!(store.append("up", [("job", "a")], START + 10_000 * SECOND, 1.0).unwrap().series(), 3);
}

#[test]
fn a_disk_that_takes_nothing_is_told_and_waited_for() {
    let fixture = fixture();
    let (store, _) = fixture.open();
    fs::remove_dir(fixture.folder.path()).unwrap();
    append(&store, 0);
    store.flush();
    assert!(store.status().failing.unwrap().contains("cannot be written"));
    fixture.set(10);
    append(&store, 10);
    fs::create_dir(fixture.folder.path()).unwrap();
    store.flush();
    assert!(store.status().failing.is_some(), "it is not tried again at once");
    fixture.set(40);
    store.flush();
    assert_eq!(store.status().failing, None);
    let whole = content(&store);
    drop(store);
    let (store, _) = fixture.open();
    assert_eq!(content(&store), whole);
    // Now at the end of a window.
    let away = tempfile::tempdir().unwrap();
    fs::rename(fixture.folder.path(), away.path()).unwrap();
    fixture.set(100);
    append(&store, 100);
    store.flush();
    assert!(store.status().failing.is_some());
    fs::rename(away.path(), fixture.folder.path()).unwrap();
    fixture.fill(&store, 140..200);
    assert_eq!(store.status().failing, None);
    let whole = content(&store);
    assert_eq!(whole.len(), 5 + 3 + 15);
    drop(store);
    assert_eq!(content(&fixture.open().0), whole);
}

#[test]
fn a_clock_that_was_set_back_is_followed_over_a_restart() {
    let fixture = fixture();
    let (store, _) = fixture.open();
    fixture.set(7200);
    store.append("up", [], START + 7200 * SECOND, 1.0).unwrap();
    store.flush();
    fixture.set(7400);
    store.flush();
    assert_eq!(store.status().segments, 1);
    fixture.set(0);
    store.append("up", [], START, 2.0).unwrap();
    store.flush();
    let set_back = content(&store);
    assert_eq!(set_back.into_iter().map(|((_, time), _)| time).collect::<Vec<_>>(), [START]);
    for round in 0..2 {
        drop(fixture.open());
        let (store, _) = fixture.open();
        fixture.set(100 + round);
        store.flush();
        assert_eq!(content(&store).len(), 1, "round {round}");
    }
}

#[test]
fn the_last_of_the_disk_is_left_to_others() {
    let mut fixture = fixture();
    let (store, _) = fixture.open();
    fixture.fill(&store, 0..100);
    let before = content(&store);
    let bytes = store.status().disk_bytes;
    drop(store);
    fixture.config.disk_reserve = u64::MAX..=u64::MAX;
    let registry = prometheus::Registry::new();
    let now = Arc::clone(&fixture.now);
    let clock = Arc::new(move || now.load(Ordering::Relaxed));
    let metrics = Metrics::new(&registry).unwrap();
    let (store, _) =
        Store::open(Some(fixture.folder.path()), fixture.config.clone(), clock, metrics).unwrap();
    fixture.fill(&store, 100..300);
    let status = store.status();
    assert_eq!(status.disk_bytes, bytes, "not even the end of a window is written");
    assert!(status.failing.unwrap().contains("left to the journal and the state"));
    assert_eq!(content(&store).len(), 75, "memory has it all");
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == "picket_series_log_errors_total").unwrap();
    let [counted] = family.get_metric() else { panic!("one reason") };
    assert_eq!(counted.get_label()[0].value(), "reserve");
    assert!(counted.get_counter().get_value() > 1.0, "it is tried again");
    drop(store);
    fixture.config.disk_reserve = 0..=0;
    let (store, recovered) = fixture.open();
    assert_eq!((recovered.damaged, content(&store)), (0, before));
    fixture.fill(&store, 300..310);
    assert_eq!(store.status().failing, None);
}

#[test]
fn what_leaves_for_a_clock_that_was_set_back_is_not_there_after_a_restart_either() {
    for back in [5, 11, 40] {
        let fixture = fixture();
        let (store, _) = fixture.open();
        fixture.fill(&store, 0..3600);
        let second = 3590 - back * 60;
        fixture.set(second);
        append(&store, second - 5);
        let cut = content(&store);
        let last = cut.keys().map(|(_, time)| *time).max();
        assert_eq!(last, Some(START + (second - 5) * SECOND), "{back} minutes back");
        store.flush();
        drop(store);
        let (store, _) = fixture.open();
        assert_eq!(content(&store), cut, "{back} minutes back");
        fixture.fill(&store, second..second + 600);
        let whole = content(&store);
        drop(store);
        assert_eq!(content(&fixture.open().0), whole, "{back} minutes back");
    }
}

#[test]
fn near_the_byte_bound_chunks_go_to_the_disk_early() {
    let mut fixture = fixture();
    fixture.config.max_bytes = 20_000;
    fixture.config.window = Duration::from_secs(86_400);
    let (store, _) = fixture.open();
    for step in 0..3000 {
        fixture.set(step);
        for job in ["a", "b"] {
            store.append("up", [("job", job)], START + step * SECOND, (step * step) as f64 * 0.1).unwrap();
        }
        if step % 5 == 0 {
            store.flush();
        }
    }
    assert!(store.size().bytes <= 20_000);
    assert_eq!(content(&store).len(), 6000, "nothing is lost");
}

#[test]
fn a_newer_version_is_told_and_a_damaged_segment_set_aside() {
    let fixture = fixture();
    let (store, _) = fixture.open();
    fixture.fill(&store, 0..150);
    drop(store);
    let segment = &fixture.files("segment-")[0];
    let whole = fs::read(segment).unwrap();
    fs::write(segment, &whole[..whole.len() - 1]).unwrap();
    let (_, recovered) = fixture.open();
    assert_eq!(recovered.damaged, 1);
    assert!(fixture.folder.path().join("segment.damaged").exists());
    let mut newer = whole.clone();
    newer[8] = 2;
    let crc = crc32fast::hash(&newer[..12]).to_le_bytes();
    newer[12..16].copy_from_slice(&crc);
    fs::write(segment, newer).unwrap();
    let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
    let opened = Store::open(Some(fixture.folder.path()), Config::default(), Arc::new(|| START), metrics);
    assert!(matches!(opened.err(), Some(OpenError::Newer { version: 2, .. })));
}

#[test]
fn appending_selecting_and_writing_go_on_side_by_side() {
    let fixture = fixture();
    let (store, _) = fixture.open();
    std::thread::scope(|scope| {
        for job in ["a", "b"] {
            let (store, fixture) = (&store, &fixture);
            scope.spawn(move || {
                for step in 0..500 {
                    fixture.now.fetch_max(START + step * SECOND, Ordering::Relaxed);
                    store.append("up", [("job", job)], START + step * SECOND, step as f64).unwrap();
                }
            });
        }
        for _ in 0..30 {
            store.flush();
            content(&store);
        }
    });
    store.sync();
    let whole = content(&store);
    assert_eq!(whole.len(), 1000);
    drop(store);
    assert_eq!(content(&fixture.open().0), whole);
}
