//! The drain loop between a real journal on a simulated disk and a receiver that can fail.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use picket_forwarders::{BatchLimits, Refused};
use picket_journal::sim::SimFs;
use picket_journal::{FileSystem, Journal};
use proptest::prelude::*;

use super::aside::Aside;
use super::drain::{Deps, Drain};
use super::*;
use crate::lanes::{self, Feeder, Lanes};
use crate::model::{Frame, FrameKind, Sample, Span};
use crate::pipeline::commit::{self, Commit, CommitThread, Committer};
use crate::state::{MemoryTable, State};
use crate::tap::Taps;

/// Longer than any test needs.
const LONG: Duration = Duration::from_secs(60);

/// The agent's durable parts, and what runs on them.
struct Agent {
    fs: SimFs,
    table: Arc<MemoryTable>,
    registry: prometheus::Registry,
    metrics: Metrics,
    running: Option<(Committer, Lanes, Feeder, CommitThread, State)>,
    folder: tempfile::TempDir,
}

impl Agent {
    fn start(seed: u64) -> Self {
        let registry = prometheus::Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let (fs, table) = (SimFs::new(seed), Arc::new(MemoryTable::new(seed)));
        let folder = tempfile::tempdir().unwrap();
        let mut agent = Self { fs, table, registry, metrics, running: None, folder };
        agent.restart();
        agent
    }

    fn restart(&mut self) {
        self.running = None;
        let config = commit::Config::default();
        let fs: Arc<dyn FileSystem> = Arc::new(self.fs.clone());
        let (journal, _) = Journal::open(fs.clone(), Path::new("/journal"), config.journal()).unwrap();
        let state = State::with_table(self.table.clone()).unwrap();
        let metrics = commit::Metrics::new(&prometheus::Registry::new()).unwrap();
        let (committer, thread) = commit::start(journal, state.clone(), config, metrics).unwrap();
        let metrics = lanes::Metrics::new(&prometheus::Registry::new()).unwrap();
        let config = lanes::Config::default();
        let kept = drain::kept_places(&state).unwrap();
        let deps = lanes::Deps { committer: committer.clone(), state: state.clone(), kept, metrics };
        let (lanes, feeder) = lanes::start(&fs, Path::new("/lanes"), &config, deps).unwrap();
        self.running = Some((committer, lanes, feeder, thread, state));
    }

    fn committer(&self) -> &Committer {
        &self.running.as_ref().unwrap().0
    }

    fn deps(&self) -> Deps {
        let (_, lanes, _, _, state) = self.running.as_ref().unwrap();
        let aside = Aside::new(self.folder.path());
        Deps {
            lanes: lanes.clone(),
            state: state.clone(),
            aside,
            metrics: self.metrics.clone(),
            taps: Taps::default(),
        }
    }

    /// One commit of samples with these numbers.
    fn commit(&self, numbers: impl IntoIterator<Item = u64>) {
        let frames = numbers.into_iter().map(sample).collect();
        self.committer().commit(Commit { frames, writes: vec![] }).unwrap();
        self.feeder().settle(Instant::now() + LONG);
    }

    fn feeder(&self) -> &Feeder {
        &self.running.as_ref().unwrap().2
    }

    fn drain(&self, receiver: &Receiver) -> Drain {
        let retry =
            BackoffConfig { first: Span(Duration::from_millis(1)), most: Span(Duration::from_millis(4)) };
        let batch = BatchLimits { frames: 10, ..drain::BATCH };
        let config = drain::Config { batch, retry, select: None };
        let receiver = Box::new(receiver.clone());
        Drain::start("test", Box::new(|_| receiver), config, self.deps()).unwrap()
    }

    fn counter(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        family.map_or(0.0, |family| {
            family.get_metric().iter().map(|metric| metric.get_counter().get_value()).sum()
        })
    }
}

fn sample(number: u64) -> Frame {
    Frame::Sample(Sample { name: "n".into(), labels: vec![], time: number, value: 0.0 })
}

/// A receiver that remembers what it was sent, and how much of that was accepted as its note.
#[derive(Clone, Default)]
struct Receiver {
    inner: Arc<Mutex<Received>>,
}

#[derive(Default)]
struct Received {
    numbers: Vec<u64>,
    batches: usize,
    errors: VecDeque<SendError>,
    refused: Vec<Refused>,
    /// It takes so many batches and no more.
    lasts: Option<usize>,
    /// It panics when it has taken everything.
    buggy: bool,
    down: bool,
}

impl Receiver {
    fn inner(&self) -> MutexGuard<'_, Received> {
        self.inner.lock().unwrap()
    }

    fn wait_for(&self, count: u64) {
        wait_until(|| self.inner().numbers.len() as u64 >= count);
        assert_eq!(self.inner().numbers, (0..count).collect::<Vec<_>>());
    }
}

impl Forwarder for Receiver {
    fn wants(&self, kind: FrameKind) -> bool {
        kind == FrameKind::Sample
    }

    fn resume(&mut self, note: &[u8]) -> Result<(), SendError> {
        let accepted = note.try_into().map_or(0, u64::from_le_bytes);
        self.inner().numbers.truncate(accepted as usize);
        Ok(())
    }

    fn send(&mut self, batch: &Batch) -> Result<Sent, SendError> {
        let frames = &batch.frames;
        let mut inner = self.inner();
        if inner.down || inner.lasts.is_some_and(|lasts| inner.batches >= lasts) {
            return Err(SendError::later("the receiver is down"));
        }
        inner.batches += 1;
        // Like a file on a full disk, it may keep a part of what it does not accept.
        let error = inner.errors.pop_front();
        let kept = if error.is_some() { frames.len() / 2 } else { frames.len() };
        inner.numbers.extend(frames[..kept].iter().map(Frame::time));
        match error {
            Some(error) => Err(error),
            None if inner.buggy => {
                drop(inner);
                panic!("a bug of the receiver");
            }
            None => {
                let refused = std::mem::take(&mut inner.refused);
                let note = Some((inner.numbers.len() as u64).to_le_bytes().to_vec());
                Ok(Sent { note, refused, ..Sent::default() })
            }
        }
    }

    fn probe(&mut self) -> Result<String, SendError> {
        Ok(String::new())
    }
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
fn everything_is_sent_once_in_order_over_restarts() {
    let mut agent = Agent::start(1);
    let receiver = Receiver::default();
    for round in 0..5 {
        agent.commit(round * 20..round * 20 + 3);
        let drain = agent.drain(&receiver);
        receiver.wait_for(round * 20 + 3);
        agent.commit([]);
        for number in round * 20 + 3..round * 20 + 20 {
            agent.commit([number]);
        }
        drain.stop(LONG).release();
        receiver.wait_for(round * 20 + 20);
        agent.restart();
    }
    assert_eq!(agent.counter("picket_forwarder_sent_frames_total"), 100.0);
    assert_eq!(agent.counter("picket_forwarder_retries_total"), 0.0);
}

#[test]
fn a_backlog_is_sent_in_batches_of_their_bound() {
    let agent = Agent::start(2);
    for number in 0..30 {
        agent.commit(number * 4..number * 4 + 4);
    }
    let receiver = Receiver::default();
    let drain = agent.drain(&receiver);
    receiver.wait_for(120);
    let _stopped = drain.stop(LONG);
    // Ten frames each, whatever came in one commit.
    assert_eq!(receiver.inner().batches, 12);
}

#[test]
fn a_commit_of_more_than_a_batch_goes_on_where_it_was_over_a_restart() {
    let mut agent = Agent::start(12);
    let receiver = Receiver::default();
    agent.commit(0..35);
    receiver.inner().lasts = Some(2);
    let drain = agent.drain(&receiver);
    wait_until(|| drain.status().error.is_some());
    assert_eq!((drain.status().sent_frames, drain.status().queued_frames), (20, 15));
    let _stopped = drain.stop(Duration::ZERO);
    agent.restart();
    receiver.inner().lasts = None;
    let drain = agent.drain(&receiver);
    receiver.wait_for(35);
    wait_until(|| drain.status().sent_frames == 15);
    assert_eq!(agent.counter("picket_forwarder_dropped_frames_total"), 0.0);
    let _stopped = drain.stop(LONG);
}

#[test]
fn a_batch_that_is_not_accepted_is_sent_again_and_nothing_else() {
    let agent = Agent::start(3);
    let receiver = Receiver::default();
    let after = Some(Duration::from_millis(2));
    receiver.inner().errors.extend([
        SendError::later("full"),
        SendError::Later { reason: "busy".into(), after },
        SendError::later("full"),
    ]);
    agent.commit(0..10);
    let drain = agent.drain(&receiver);
    agent.commit(10..20);
    receiver.wait_for(20);
    assert_eq!(agent.counter("picket_forwarder_retries_total"), 3.0);
    let _stopped = drain.stop(LONG);
}

#[test]
fn what_the_receiver_refuses_for_good_is_set_aside_and_holds_up_nothing() {
    let agent = Agent::start(4);
    let receiver = Receiver::default();
    receiver.inner().refused.push(Refused { frame: 3, reason: "too old".into() });
    agent.commit(0..10);
    let drain = agent.drain(&receiver);
    agent.commit(10..20);
    receiver.wait_for(20);
    wait_until(|| drain.status().sent_frames == 19);
    assert_eq!(agent.counter("picket_forwarder_refused_frames_total"), 1.0);
    assert_eq!(drain.status().refused_frames, 1);
    let aside = std::fs::read_to_string(agent.deps().aside.path("test")).unwrap();
    assert!(aside.contains("too old") && aside.lines().count() == 1, "{aside}");
    let _stopped = drain.stop(LONG);
}

#[test]
fn what_waits_is_shown_with_the_reason() {
    let agent = Agent::start(5);
    let receiver = Receiver::default();
    receiver.inner().down = true;
    let drain = agent.drain(&receiver);
    agent.commit(0..10);
    wait_until(|| drain.status().error.as_deref() == Some("the receiver is down"));
    assert!(drain.status().queued_bytes > 0);
    receiver.inner().down = false;
    receiver.wait_for(10);
    wait_until(|| drain.status().error.is_none() && drain.status().queued_frames == 0);
    let _stopped = drain.stop(LONG);
}

#[test]
fn stopping_does_not_wait_for_a_receiver_that_is_down() {
    let mut agent = Agent::start(6);
    let receiver = Receiver::default();
    receiver.inner().down = true;
    agent.commit(0..10);
    let drain = agent.drain(&receiver);
    let _stopped = drain.stop(Duration::from_millis(20));
    receiver.inner().down = false;
    agent.restart();
    let drain = agent.drain(&receiver);
    receiver.wait_for(10);
    let _stopped = drain.stop(LONG);
}

#[test]
fn a_panic_is_shown_and_what_was_in_hand_is_sent_again() {
    let agent = Agent::start(8);
    let receiver = Receiver::default();
    let drain = agent.drain(&receiver);
    agent.commit(0..10);
    receiver.wait_for(10);
    receiver.inner().buggy = true;
    agent.commit(10..20);
    wait_until(|| drain.status().error.is_some());
    let error = drain.status().error.unwrap();
    assert!(error.contains("a bug of the receiver") && error.contains("report"), "{error}");
    receiver.inner().buggy = false;
    agent.commit(20..30);
    wait_until(|| drain.status().error.is_none() && drain.status().queued_bytes == 0);
    receiver.wait_for(30);
    assert!(agent.counter("picket_forwarder_retries_total") >= 1.0);
    drain.stop(LONG).release();
}

#[test]
fn a_cursor_that_cannot_be_stored_holds_up_the_next_batch() {
    let agent = Agent::start(7);
    let receiver = Receiver::default();
    let drain = agent.drain(&receiver);
    agent.commit(0..10);
    receiver.wait_for(10);
    agent.table.set_full(true);
    // Durable in the journal before the state is asked, so readers see it.
    let frames = (10..20).map(sample).collect();
    let committer = agent.committer().clone();
    let blocked = std::thread::spawn(move || committer.commit(Commit { frames, writes: vec![] }));
    wait_until(|| drain.status().error.is_some() || blocked.is_finished());
    agent.table.set_full(false);
    let committed = blocked.join().unwrap();
    if committed.is_ok() {
        receiver.wait_for(20);
    }
    agent.commit(if committed.is_ok() { 20..30 } else { 10..20 });
    receiver.wait_for(if committed.is_ok() { 30 } else { 20 });
    let _stopped = drain.stop(LONG);
}

/// Begins something of which it has to know after a crash, and then waits for its receiver.
struct Beginner {
    begun: bool,
}

impl Forwarder for Beginner {
    fn wants(&self, _kind: FrameKind) -> bool {
        true
    }

    fn prepare(&mut self) -> Result<Option<Vec<u8>>, SendError> {
        Ok((!std::mem::replace(&mut self.begun, true)).then(|| b"begun".to_vec()))
    }

    fn send(&mut self, _batch: &Batch) -> Result<Sent, SendError> {
        Err(SendError::later("the receiver is down"))
    }

    fn probe(&mut self) -> Result<String, SendError> {
        Ok(String::new())
    }
}

#[test]
fn what_a_forwarder_notes_between_batches_is_durable_before_the_next_one() {
    // A power cut takes some of what was not synced, or all of it: several, so that it would show.
    for seed in 20..30 {
        let agent = Agent::start(seed);
        agent.commit(0..10);
        let beginner = Box::new(Beginner { begun: false });
        let make = Box::new(|_| beginner as Box<dyn Forwarder>);
        let drain = Drain::start("test", make, drain::Config::default(), agent.deps()).unwrap();
        wait_until(|| drain.status().error.as_deref() == Some("the receiver is down"));
        agent.table.power_cut();
        let stored = agent.deps().state.meta_get("cursor/test").unwrap().unwrap();
        assert_eq!(cursor::Cursor::decode("test", &stored).unwrap().note, b"begun");
        let _stopped = drain.stop(Duration::ZERO);
    }
}

#[test]
fn a_damaged_cursor_is_counted_and_what_there_is_is_sent_again() {
    let agent = Agent::start(8);
    agent.commit(0..10);
    let receiver = Receiver::default();
    agent.deps().state.meta_put("cursor/test", vec![1, 0xc1]).unwrap();
    let drain = agent.drain(&receiver);
    receiver.wait_for(10);
    let _stopped = drain.stop(LONG);
    assert_eq!(agent.counter("picket_forwarder_damaged_cursors_total"), 1.0);
}

#[test]
fn a_cursor_of_a_newer_version_is_an_error_that_names_it() {
    let agent = Agent::start(8);
    agent.deps().state.meta_put("cursor/test", vec![9, 9]).unwrap();
    let config = drain::Config::default();
    let make = Box::new(|_| Box::new(Receiver::default()) as Box<dyn Forwarder>);
    let Err(error) = Drain::start("test", make, config, agent.deps()) else { panic!("it started") };
    assert!(error.to_string().contains("`test` has version 9"), "{error}");
}

#[test]
fn a_journal_that_was_replaced_is_read_from_its_beginning() {
    let mut agent = Agent::start(9);
    agent.commit(0..10);
    let receiver = Receiver::default();
    let drain = agent.drain(&receiver);
    receiver.wait_for(10);
    let _stopped = drain.stop(LONG);
    agent.running = None;
    (agent.fs, agent.table) = (SimFs::new(1), {
        let (old, new) = (State::with_table(agent.table.clone()).unwrap(), Arc::new(MemoryTable::new(1)));
        let cursor = old.meta_get("cursor/test").unwrap().unwrap();
        State::with_table(new.clone()).unwrap().meta_put("cursor/test", cursor).unwrap();
        new
    });
    agent.restart();
    let drain = agent.drain(&receiver);
    agent.commit(10..30);
    receiver.wait_for(30);
    let _stopped = drain.stop(LONG);
}

fn file(path: &Path) -> Config {
    Config::File(file::Config::new(path))
}

#[test]
fn forwarders_follow_the_configuration() {
    let agent = Agent::start(10);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let lines = |name: &str| std::fs::read_to_string(path(name)).unwrap_or_default().lines().count();
    let notice = || {
        let digest = crate::model::Digest::of(b"x");
        Frame::Notice(crate::model::Notice {
            id: crate::model::EventId::derive(&digest, 0, &digest, 0),
            time: 1,
            origin: crate::model::Origin { plugin: "p".into(), generation: digest },
            event: crate::model::LifecycleEvent::Active,
            reason: String::new(),
        })
    };
    let commit = || agent.committer().commit(Commit { frames: vec![notice(), sample(1)], writes: vec![] });
    commit().unwrap();
    let surroundings = || Surroundings { node: "n".into(), descriptions: Arc::new(Vec::new) };
    let start = |configs| Forwarders::start(configs, surroundings(), agent.deps());
    let mut configs =
        BTreeMap::from([("a".to_owned(), file(&path("a"))), ("b".to_owned(), file(&path("b")))]);
    let mut forwarders = start(configs.clone()).unwrap();
    wait_until(|| lines("a") == 1 && lines("b") == 1);
    configs.insert("a".to_owned(), file(&path("c")));
    configs.remove("b");
    forwarders.reconfigure(configs.clone(), LONG).unwrap();
    commit().unwrap();
    wait_until(|| lines("c") == 1);
    assert_eq!(forwarders.status().into_iter().map(|one| one.name).collect::<Vec<_>>(), ["a"]);
    assert_eq!((lines("a"), lines("b")), (1, 1));
    configs.insert("b".to_owned(), file(&path("c")));
    let error = forwarders.reconfigure(configs.clone(), LONG).unwrap_err().to_string();
    assert!(error.contains("`a` and `b`"), "{error}");
    configs.insert("b".to_owned(), file(&path("b")));
    forwarders.reconfigure(configs, LONG).unwrap();
    wait_until(|| lines("b") == 2);
    forwarders.stop(LONG);
    let reserved = start(BTreeMap::from([("archive".to_owned(), file(&path("d")))])).err().unwrap();
    assert!(reserved.to_string().contains("`archive`"), "{reserved}");
}

#[test]
fn every_section_that_is_documented_can_be_used() {
    let document = include_str!("../../../docs/forwarders.md");
    let mut kinds = std::collections::BTreeSet::new();
    for block in document.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        let mut file: toml::Table = block.parse().unwrap();
        let sections: BTreeMap<String, Config> = file.remove("forwarders").unwrap().try_into().unwrap();
        for (name, config) in sections {
            assert_eq!(config.check(), Ok(()), "{name}");
            assert!(document.contains(&format!("\n## `{}`\n", config.kind())), "{name}");
            kinds.insert(config.kind());
        }
    }
    assert_eq!(kinds.len(), 6, "{kinds:?}");
}

#[test]
fn a_forwarders_section_reads_from_toml() {
    let text = "kind = 'file'\npath = 'x'\nkeep = 1";
    assert!(matches!(toml::from_str(text).unwrap(), Config::File(file::Config { keep: 1, .. })));
    assert!(toml::from_str::<Config>("kind = 'file'\npath = 'x'\nkeeps = 1").is_err());
    assert!(toml::from_str::<Config>("kind = 'fax'").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// A power cut takes cursors that were not synced; the notes of those that are left say what the
    /// receiver has to forget.
    #[test]
    fn each_frame_arrives_once_over_power_cuts(
        seed in any::<u64>(),
        rounds in prop::collection::vec((1..30_u64, 0..3_usize), 1..6),
    ) {
        let mut agent = Agent::start(seed);
        let receiver = Receiver::default();
        let mut count = 0;
        for (frames, errors) in rounds {
            receiver.inner().errors.extend(vec![SendError::later("full"); errors]);
            let drain = agent.drain(&receiver);
            for _ in 0..frames {
                agent.commit([count]);
                count += 1;
            }
            receiver.wait_for(count);
            let _stopped = drain.stop(LONG);
            agent.running = None;
            agent.table.power_cut();
            agent.restart();
        }
        let drain = agent.drain(&receiver);
        receiver.wait_for(count);
        let _stopped = drain.stop(LONG);
        let numbers = receiver.inner().numbers.clone();
        prop_assert_eq!(numbers, (0..count).collect::<Vec<_>>());
    }
}
