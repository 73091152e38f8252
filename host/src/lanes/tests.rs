//! The lanes behind a real journal of commits, on a simulated disk that loses what was not synced.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use picket_journal::sim::SimFs;
use picket_journal::{FileSystem, Journal};
use proptest::prelude::*;

use super::*;
use crate::model::{ByteSize, Digest, EventId, Frame, Lane, LifecycleEvent, Notice, Origin, Sample, Span};
use crate::pipeline::commit::{self, Commit, CommitThread, Committer};
use crate::state::{MemoryTable, State};

/// Longer than any test needs.
const LONG: Duration = Duration::from_secs(60);

struct Node {
    fs: SimFs,
    table: Arc<MemoryTable>,
    config: Config,
    running: Option<(Lanes, Feeder, Committer, CommitThread)>,
    committed: [u64; 2],
}

impl Node {
    fn start(seed: u64, config: Config) -> Self {
        let (fs, table) = (SimFs::new(seed), Arc::new(MemoryTable::new(seed)));
        let mut node = Self { fs, table, config, running: None, committed: [0; 2] };
        node.restart(vec![]);
        node
    }

    fn restart(&mut self, kept: Vec<[Place; 2]>) {
        self.running = None;
        let fs: Arc<dyn FileSystem> = Arc::new(self.fs.clone());
        let config = commit::Config { segment_bytes: ByteSize(64 << 10), ..commit::Config::default() };
        let registry = prometheus::Registry::new();
        let (journal, _) = Journal::open(fs.clone(), Path::new("/journal"), config.journal()).unwrap();
        let state = State::with_table(self.table.clone()).unwrap();
        let metrics = commit::Metrics::new(&registry).unwrap();
        let (committer, thread) = commit::start(journal, state.clone(), config, metrics).unwrap();
        let metrics = Metrics::new(&registry).unwrap();
        let deps = Deps { committer: committer.clone(), state, kept, metrics };
        let (lanes, feeder) = start(&fs, Path::new("/lanes"), &self.config, deps).unwrap();
        lanes.set_readers(&["test".to_owned()]);
        self.running = Some((lanes, feeder, committer, thread));
    }

    fn power_cut(&mut self, kept: Vec<[Place; 2]>) {
        // Threads end first: what they did until then is there or not, as the disk pleases.
        self.running = None;
        self.fs.power_cut();
        self.table.power_cut();
        self.restart(kept);
    }

    fn lanes(&self) -> Lanes {
        self.running.as_ref().unwrap().0.clone()
    }

    /// One commit with so many frames of each lane, whose times count on.
    fn commit(&mut self, events: u64, samples: u64) {
        let [e, s] = self.committed;
        let frames = (e..e + events).map(event).chain((s..s + samples).map(sample)).collect();
        self.committed = [e + events, s + samples];
        self.running.as_ref().unwrap().2.commit(Commit { frames, writes: vec![] }).unwrap();
    }

    fn settle(&self) {
        assert!(self.running.as_ref().unwrap().1.settle(Instant::now() + LONG));
    }

    /// The times of all frames behind a place, how many were lost, and the place behind them.
    fn read(&self, lane: Lane, from: Place) -> (Vec<u64>, Lost, Place) {
        let mut reader = self.lanes().reader(lane, from);
        let (mut times, mut lost) = (Vec::new(), Lost::default());
        while let Some(batch) = reader.next().unwrap() {
            times.extend(batch.frames.iter().map(Frame::time));
            lost.expelled += batch.lost.expelled;
            lost.damaged += batch.lost.damaged;
        }
        (times, lost, reader.place())
    }

    fn size(&self, lane: Lane) -> u64 {
        self.lanes().status()[lane.index()].bytes
    }
}

fn sample(number: u64) -> Frame {
    Frame::Sample(Sample { name: "n".into(), labels: vec![], time: number, value: 0.0 })
}

fn event(number: u64) -> Frame {
    let digest = Digest::of(b"x");
    Frame::Notice(Notice {
        id: EventId::derive(&digest, number, &digest, 0),
        time: number,
        origin: Origin { plugin: "p".into(), generation: digest },
        event: LifecycleEvent::Active,
        reason: "r".repeat(1000),
    })
}

#[track_caller]
fn wait_until(mut condition: impl FnMut() -> bool) {
    let give_up = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < give_up, "it did not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_lane_that_nothing_came_into_for_long_goes_on_with_its_next_number() {
    let mut node = Node::start(11, Config::default());
    node.commit(1, 3);
    // As while no forwarder takes samples, over some segments of the journal.
    for _ in 0..200 {
        node.commit(2, 0);
    }
    node.settle();
    node.restart(vec![]);
    node.commit(0, 2);
    node.settle();
    let (samples, lost, _) = node.read(Lane::Samples, Place::default());
    assert_eq!((samples, lost), ((0..5).collect(), Lost::default()));
}

#[test]
fn events_and_samples_come_apart_and_in_order() {
    let mut node = Node::start(1, Config::default());
    for _ in 0..10 {
        node.commit(2, 3);
        node.commit(0, 1);
        node.commit(0, 0);
    }
    node.settle();
    let (events, lost, place) = node.read(Lane::Events, Place::default());
    assert_eq!((events, lost), ((0..20).collect(), Lost::default()));
    assert_eq!(node.read(Lane::Samples, Place::default()).0, (0..40).collect::<Vec<_>>());
    node.commit(1, 0);
    node.settle();
    assert_eq!(node.read(Lane::Events, place).0, [20]);
    assert_eq!(node.lanes().reader(Lane::Events, place).queued(place).frames, 1);
}

#[test]
fn a_lane_gives_room_back_once_its_reader_has_passed() {
    let mut node = Node::start(2, Config { events_bytes: ByteSize(4 << 20), ..Config::default() });
    for _ in 0..20 {
        node.commit(100, 0);
    }
    node.settle();
    let full = node.size(Lane::Events);
    let (_, _, place) = node.read(Lane::Events, Place::default());
    node.commit(1, 0);
    node.settle();
    let (events, _, behind) = node.read(Lane::Events, place);
    assert_eq!(events, [2000]);
    node.lanes().set_floor("test", Lane::Events, behind);
    node.commit(0, 1);
    wait_until(|| node.size(Lane::Events) < full / 4);
}

#[test]
fn nothing_is_deleted_that_was_not_asked_for_before() {
    // The state is synced when the first says so, and the second deletes.
    let fs: Arc<dyn FileSystem> = Arc::new(SimFs::new(7));
    let bounds = Config { events_bytes: ByteSize(4 << 20), ..Config::default() }.of(Lane::Events);
    let (mut writer, _) = lane::Writer::open(Lane::Events, fs, Path::new("/lanes"), bounds).unwrap();
    let mut ends = Vec::new();
    for number in 1..=40 {
        let source = picket_journal::Position { segment: 1, offset: number * 100 };
        writer.append(source, number, 1, &vec![0; 100 << 10]).unwrap();
        writer.sync().unwrap();
        ends.push(writer.tail().durable_end());
    }
    for end in ends {
        let floor = picket_journal::Position { offset: 0, ..end };
        let asked = writer.has_segments_before(floor);
        assert_eq!(asked, writer.release(floor).unwrap() > 0, "at {end}");
    }
}

#[test]
fn in_a_quiet_lane_a_segment_is_left_and_goes_at_its_age() {
    let fs: Arc<dyn FileSystem> = Arc::new(SimFs::new(8));
    // A segment is left after ten seconds.
    let bounds = Config { events_age: Span::seconds(160), ..Config::default() }.of(Lane::Events);
    let (mut writer, _) = lane::Writer::open(Lane::Events, fs, Path::new("/lanes"), bounds).unwrap();
    let at = |seconds: u64| seconds * 1_000_000_000;
    // Nobody looks after the lane in between, as when the agent does not run.
    for (seconds, segments) in [(1000, 1), (1009, 1), (1010, 2), (2000, 3)] {
        let source = picket_journal::Position { segment: 1, offset: seconds };
        assert!(writer.append(source, at(seconds), 1, b"x").unwrap());
        writer.sync().unwrap();
        assert_eq!(writer.tail().segments().len(), segments, "{seconds}");
    }
    let segments = writer.tail().segments();
    // One goes when its last record is too old, and not only when the next segment is; the last one stays.
    for (now, first) in [(1169, 0), (1170, 1), (1179, 1), (1180, 2), (9999, 2)] {
        assert_eq!(writer.bound(at(now)).unwrap().segment, segments[first].segment, "{now}");
    }
}

#[test]
fn what_the_bound_of_size_expels_is_missed_by_its_number() {
    let mut node = Node::start(3, Config { events_bytes: ByteSize(4 << 20), ..Config::default() });
    node.commit(10, 0);
    node.settle();
    let (_, _, place) = node.read(Lane::Events, Place::default());
    for _ in 0..100 {
        node.commit(100, 1);
    }
    node.settle();
    wait_until(|| node.size(Lane::Events) <= 4 << 20);
    let (events, lost, _) = node.read(Lane::Events, place);
    assert!(lost.expelled > 0 && lost.damaged == 0, "{lost:?}");
    assert_eq!(events, (10 + lost.expelled..10_010).collect::<Vec<_>>());
    // The other lane has lost nothing.
    assert_eq!(node.read(Lane::Samples, Place::default()).0, (0..100).collect::<Vec<_>>());
}

#[test]
fn what_the_bound_of_age_expels_is_missed_likewise() {
    let config = Config { samples_age: Span(Duration::from_millis(50)), ..Config::default() };
    let mut node = Node::start(4, config);
    node.commit(5, 5);
    node.settle();
    // Old by then; what comes later begins a new segment, and lets the old one go.
    wait_until(|| {
        node.commit(0, 1);
        node.settle();
        node.read(Lane::Samples, Place::default()).0.first() > Some(&4)
    });
    let (samples, _, _) = node.read(Lane::Samples, Place::default());
    assert!(samples.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{samples:?}");
    assert_eq!(node.read(Lane::Events, Place::default()).0, (0..5).collect::<Vec<_>>());
}

#[test]
fn a_damaged_end_is_made_again_for_those_that_have_not_had_it() {
    let mut node = Node::start(5, Config::default());
    node.commit(10, 0);
    node.settle();
    let (_, _, place) = node.read(Lane::Events, Place::default());
    node.commit(10, 0);
    node.settle();
    let (_, _, ahead) = node.read(Lane::Events, Place::default());
    node.running = None;
    let path = Path::new("/lanes/events/00000000000000000001.journal");
    node.fs
        .tamper(path, |bytes| {
            let end = bytes.len() - 1;
            bytes[end] ^= 0xff;
        })
        .unwrap();
    node.restart(vec![[place, Place::default()], [ahead, Place::default()]]);
    node.commit(10, 0);
    node.settle();
    // The journal of commits still has what was damaged: it comes again, to those that have not had it.
    assert_eq!(node.read(Lane::Events, place).0, (10..30).collect::<Vec<_>>());
    assert_eq!(node.read(Lane::Events, place).1, Lost::default());
    let (furthest, lost, _) = node.read(Lane::Events, ahead);
    assert_eq!((furthest, lost), ((20..30).collect(), Lost::default()));
}

#[test]
fn a_lane_that_nothing_came_into_for_long_has_lost_nothing() {
    let mut node = Node::start(6, Config::default());
    node.commit(1, 0);
    for _ in 0..20 {
        // The journal of commits goes on over several segments.
        node.commit(0, 1000);
    }
    node.settle();
    node.power_cut(vec![]);
    node.commit(1, 0);
    node.settle();
    assert_eq!(node.read(Lane::Events, Place::default()).0, [0, 1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever a power cut takes, what was committed comes into the lanes once, in order.
    #[test]
    fn each_committed_frame_is_in_its_lane_once(
        seed in any::<u64>(),
        rounds in prop::collection::vec((prop::collection::vec((0..4_u64, 0..20_u64), 1..12), any::<bool>()), 1..6),
    ) {
        let mut node = Node::start(seed, Config::default());
        for (commits, settles) in rounds {
            for (events, samples) in commits {
                node.commit(events, samples);
            }
            if settles {
                node.settle();
            }
            node.power_cut(vec![]);
        }
        node.settle();
        for lane in Lane::ALL {
            let (times, lost, _) = node.read(lane, Place::default());
            prop_assert_eq!(times, (0..node.committed[lane.index()]).collect::<Vec<_>>());
            prop_assert_eq!(lost, Lost::default());
        }
    }
}
