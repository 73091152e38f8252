//! The archive behind a real journal on a simulated disk, in a real folder.
#![allow(clippy::unwrap_used, reason = "tests")]

mod retracted;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use picket_journal::sim::SimFs;
use picket_journal::{FileSystem, Journal};
use proptest::prelude::*;

use super::*;
use crate::forwarders::aside::Aside;
use crate::forwarders::{self, drain, drain::Deps};
use crate::lanes::{self, Feeder};
use crate::model::{
    ByteSize, Digest, EventId, Finding, Frame, FrameKind, Label, Origin, Severity, Span, Verdict, VerdictKind,
};
use crate::pipeline::commit::{self, Commit, CommitThread, Committer};
use crate::state::{MemoryTable, State};
use crate::tap::Taps;

/// Longer than any test needs.
const LONG: Duration = Duration::from_secs(60);
const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_700_000_000 * SECOND;

struct Agent {
    fs: SimFs,
    table: Arc<MemoryTable>,
    folder: tempfile::TempDir,
    config: Config,
    now: Arc<AtomicU64>,
    metrics: Metrics,
    running: Option<(Archive, Feeder, Committer, CommitThread)>,
}

impl Agent {
    fn start(seed: u64, config: Config) -> Self {
        let mut agent = Self {
            fs: SimFs::new(seed),
            table: Arc::new(MemoryTable::new(seed)),
            folder: tempfile::tempdir().unwrap(),
            config,
            now: Arc::new(AtomicU64::new(START)),
            metrics: Metrics::new(&prometheus::Registry::new()).unwrap(),
            running: None,
        };
        agent.restart();
        agent
    }

    fn folder(&self) -> PathBuf {
        self.folder.path().join("archive")
    }

    fn stop(&mut self) {
        if let Some((archive, feeder, committer, thread)) = self.running.take() {
            feeder.settle(Instant::now() + LONG);
            archive.stop(LONG);
            feeder.stop();
            drop(committer);
            thread.stop().unwrap();
        }
    }

    fn restart(&mut self) {
        self.stop();
        let (config, registry) = (commit::Config::default(), prometheus::Registry::new());
        let fs: Arc<dyn FileSystem> = Arc::new(self.fs.clone());
        let (journal, _) = Journal::open(fs.clone(), Path::new("/journal"), config.journal()).unwrap();
        let state = State::with_table(self.table.clone()).unwrap();
        let metrics = commit::Metrics::new(&registry).unwrap();
        let (committer, thread) = commit::start(journal, state.clone(), config, metrics).unwrap();
        let metrics = forwarders::Metrics::new(&registry).unwrap();
        let lanes_metrics = lanes::Metrics::new(&registry).unwrap();
        let bounds = lanes::Config::default();
        let kept = drain::kept_places(&state).unwrap();
        let deps =
            lanes::Deps { committer: committer.clone(), state: state.clone(), kept, metrics: lanes_metrics };
        let (lanes, feeder) = lanes::start(&fs, Path::new("/lanes"), &bounds, deps).unwrap();
        let aside = Aside::new(&self.folder());
        let deps = Deps { lanes, state, aside, metrics, taps: Taps::default() };
        let now = Arc::clone(&self.now);
        let clock = Arc::new(move || now.load(Ordering::Relaxed));
        let archive = Archive::open(&self.folder(), self.config, deps, self.metrics.clone(), clock).unwrap();
        self.running = Some((archive, feeder, committer, thread));
    }

    fn archive(&self) -> &Archive {
        &self.running.as_ref().unwrap().0
    }

    fn commit(&self, frames: Vec<Frame>) {
        let (_, feeder, committer, _) = self.running.as_ref().unwrap();
        committer.commit(Commit { frames, writes: vec![] }).unwrap();
        assert!(feeder.settle(Instant::now() + LONG));
    }

    /// Commits findings and waits until the newest of them is in the archive.
    fn keep(&self, new: Vec<Finding>) {
        let last = new.last().unwrap().clone();
        self.commit(new.into_iter().map(Frame::Finding).collect());
        wait_until(|| {
            let all = Query { limit: MAX_LIMIT, ..Query::default() };
            findings(self.search(&all).unwrap()).contains(&last)
        });
    }

    fn search(&self, query: &Query) -> Result<Found, SearchError> {
        self.archive().searcher().search(query, Instant::now() + LONG)
    }

    fn rules(&self, query: Query) -> Vec<String> {
        let found = self.search(&query).unwrap();
        findings(found).into_iter().map(|finding| finding.rule).collect()
    }
}

fn findings(found: Found) -> Vec<Finding> {
    found.into_findings().map(|(finding, _)| finding).collect()
}

#[track_caller]
fn wait_until(mut condition: impl FnMut() -> bool) {
    let give_up = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < give_up, "it did not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A finding that happened so many seconds after the start.
fn finding(rule: &str, seconds: u64) -> Finding {
    let digest = Digest::of(rule.as_bytes());
    Finding {
        id: EventId::derive(&digest, seconds, &digest, 0),
        time: START + seconds * SECOND,
        origin: Origin { plugin: "p".into(), generation: digest },
        rule: rule.into(),
        severity: Severity::Low,
        message: "A message.".into(),
        attributes: vec![],
        source: "s".into(),
        stream: "/var/log/x".into(),
        offset: Some(seconds),
        record: None,
    }
}

#[test]
fn each_condition_narrows_the_answer() {
    let agent = Agent::start(1, Config::default());
    let label = Label { name: "user".into(), value: "Root".into() };
    agent.keep(vec![
        finding("plain", 1),
        Finding { severity: Severity::High, ..finding("high", 2) },
        Finding { severity: Severity::Critical, ..finding("critical", 3) },
        Finding { origin: Origin { plugin: "q".into(), ..finding("", 0).origin }, ..finding("other", 4) },
        Finding { message: "Straße (100%)".into(), ..finding("message", 5) },
        Finding { attributes: vec![label], ..finding("attribute", 6) },
        Finding { record: Some("GET /ETC/passwd".into()), ..finding("record", 7) },
    ]);
    let check =
        |query: Query, expected: &[&str]| assert_eq!(agent.rules(query.clone()), expected, "{query:?}");
    let all = Query::default;
    check(all(), &["record", "attribute", "message", "other", "critical", "high", "plain"]);
    check(Query { limit: 2, ..all() }, &["record", "attribute"]);
    check(Query { limit: 0, ..all() }, &[]);
    check(Query { since: Some(START + 6 * SECOND), ..all() }, &["record", "attribute"]);
    check(Query { until: Some(START + 2 * SECOND), ..all() }, &["plain"]);
    check(Query { min_severity: Some(Severity::High), ..all() }, &["critical", "high"]);
    check(Query { plugin: Some("q".into()), ..all() }, &["other"]);
    let text = |text: &str| Query { text: Some(text.into()), ..all() };
    check(text("STRASSE"), &[]);
    check(text("sTRAßE (100%"), &["message"]);
    check(text("root"), &["attribute"]);
    check(text("/etc/PASSWD"), &["record"]);
    check(text("CRIT"), &["critical"]);
    check(text(".*"), &[]);
    check(text(""), &agent.rules(all()).iter().map(String::as_str).collect::<Vec<_>>());
    check(Query { kinds: BTreeSet::from([FrameKind::Evidence]), ..all() }, &[]);
    let error = agent.search(&text(&"x".repeat(2000))).unwrap_err().to_string();
    assert!(error.contains("2000 bytes"), "{error}");
}

#[test]
fn verdicts_that_nobody_need_see_are_left_out() {
    let agent = Agent::start(2, Config::default());
    let verdict = |verdict, path: &str| {
        let Finding { id, time, origin, .. } = finding("r", 1);
        let (source, path, reason) = (String::new(), path.into(), String::new());
        Frame::Verdict(Verdict {
            id,
            time,
            origin,
            source,
            path,
            sha256: Digest::of(b""),
            size: 0,
            verdict,
            reason,
        })
    };
    agent.commit(vec![
        verdict(VerdictKind::Clean, "/clean"),
        verdict(VerdictKind::Skipped, "/skipped"),
        verdict(VerdictKind::Malicious, "/malicious"),
    ]);
    agent.keep(vec![finding("last", 2)]);
    let kinds = BTreeSet::from([FrameKind::Finding, FrameKind::Verdict]);
    let found = agent.search(&Query { kinds, ..Query::default() }).unwrap();
    let paths = |frame: &Frame| match frame {
        Frame::Verdict(verdict) => verdict.path.clone(),
        frame => format!("{:?}", frame.kind()),
    };
    assert_eq!(found.frames.iter().map(paths).collect::<Vec<_>>(), ["Finding", "/malicious"]);
    assert!(!found.more);
}

/// Findings of about 10 KiB, so that the smallest archive has many segments.
fn large(rule: &str, seconds: u64) -> Finding {
    Finding { record: Some("x".repeat(10 << 10)), ..finding(rule, seconds) }
}

fn small_archive() -> Config {
    Config { max_bytes: ByteSize(1 << 20), ..Config::default() }
}

#[test]
fn the_newest_are_found_in_whatever_order_they_came() {
    let agent = Agent::start(3, small_archive());
    // Multiplying by 7 goes through all remainders of 60.
    for number in 0..60 {
        let seconds = number * 7 % 60;
        agent.commit(vec![Frame::Finding(large(&format!("r{seconds}"), seconds))]);
    }
    agent.keep(vec![large("r60", 60)]);
    let segments = fs::read_dir(agent.folder()).unwrap().count();
    assert!(segments > 5, "{segments} segments");
    let expected: Vec<String> = (0..=60).rev().map(|seconds| format!("r{seconds}")).collect();
    for limit in [1, 7, 60, 61, 100] {
        let rules = agent.rules(Query { limit, ..Query::default() });
        assert_eq!(rules, expected[..limit.min(61)], "{limit}");
        let found = agent.search(&Query { limit, ..Query::default() }).unwrap();
        assert_eq!(found.more, limit < 61, "{limit}");
    }
    // Older segments hold nothing that matches.
    let text = Some("r60".to_owned());
    let found = agent.search(&Query { text, limit: 1, ..Query::default() }).unwrap();
    assert_eq!((found.frames.len(), found.more), (1, false));
}

#[test]
fn the_most_that_is_given_at_once_says_that_there_are_more() {
    let agent = Agent::start(10, Config::default());
    let all = Query { limit: usize::MAX, ..Query::default() };
    agent.keep((0..MAX_LIMIT as u64).map(|number| finding("r", number)).collect());
    let found = agent.search(&all).unwrap();
    assert_eq!((found.frames.len(), found.more), (MAX_LIMIT, false));
    agent.keep(vec![finding("r", MAX_LIMIT as u64)]);
    let found = agent.search(&all).unwrap();
    assert_eq!((found.frames.len(), found.more), (MAX_LIMIT, true));
}

#[test]
fn two_searches_run_at_once_and_a_third_is_refused() {
    let agent = Agent::start(11, Config::default());
    let searcher = agent.archive().searcher();
    let permits = [searcher.permit().unwrap(), searcher.permit().unwrap()];
    assert!(matches!(agent.search(&Query::default()), Err(SearchError::Busy)));
    assert_eq!(agent.metrics.refused.get(), 1);
    drop(permits);
    for _ in 0..3 {
        agent.search(&Query::default()).unwrap();
    }
}

#[test]
fn a_search_ends_at_its_deadline() {
    let agent = Agent::start(12, Config::default());
    agent.keep(vec![finding("r", 1)]);
    let found = agent.archive().searcher().search(&Query::default(), Instant::now());
    assert!(matches!(found, Err(SearchError::Late)), "{found:?}");
}

#[test]
fn the_oldest_segments_go_when_the_archive_is_full() {
    let agent = Agent::start(4, small_archive());
    for number in 0..200 {
        agent.commit(vec![Frame::Finding(large("r", number))]);
    }
    agent.keep(vec![large("last", 200)]);
    let bytes: u64 =
        fs::read_dir(agent.folder()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes <= 1 << 20, "{bytes}");
    let found = findings(agent.search(&Query { limit: 1000, ..Query::default() }).unwrap());
    let kept: Vec<u64> = found.iter().rev().map(|finding| finding.offset.unwrap()).collect();
    assert!(kept.len() > 80, "{}", kept.len());
    assert_eq!(kept, (201 - kept.len() as u64..201).collect::<Vec<_>>());
    assert!(agent.metrics.expired.with_label_values(&["bytes"]).get() > 900_000);
}

#[test]
fn segments_go_when_they_are_old_though_nothing_comes() {
    let config = Config { max_age: Span::seconds(3200), ..Config::default() };
    let agent = Agent::start(5, config);
    agent.keep(vec![finding("old", 0)]);
    agent.now.store(START + 101 * SECOND, Ordering::Relaxed);
    agent.keep(vec![finding("new", 1)]);
    assert_eq!(fs::read_dir(agent.folder()).unwrap().count(), 2, "a segment is written to for 100 seconds");
    agent.now.store(START + 3201 * SECOND, Ordering::Relaxed);
    wait_until(|| agent.rules(Query::default()) == ["new"]);
    agent.now.store(START + 3302 * SECOND, Ordering::Relaxed);
    wait_until(|| fs::read_dir(agent.folder()).unwrap().count() == 0);
    agent.keep(vec![finding("next", 2)]);
    assert_eq!(agent.rules(Query::default()), ["next"]);
}

#[test]
fn what_was_found_stays_though_the_state_is_lost() {
    let mut agent = Agent::start(6, small_archive());
    for number in 0..20 {
        agent.keep(vec![large(&format!("r{number}"), number)]);
    }
    let before = agent.rules(Query::default());
    agent.stop();
    (agent.fs, agent.table) = (SimFs::new(7), Arc::new(MemoryTable::new(7)));
    agent.restart();
    wait_until(|| agent.rules(Query::default()) == before);
    agent.keep(vec![large("new", 20)]);
    assert_eq!(agent.rules(Query { limit: 2, ..Query::default() }), ["new", "r19"]);
}

#[test]
fn damage_costs_what_stands_behind_it_in_its_segment() {
    let mut agent = Agent::start(8, small_archive());
    for number in 0..20 {
        agent.keep(vec![large(&format!("r{number}"), number)]);
    }
    agent.stop();
    let mut paths: Vec<_> =
        fs::read_dir(agent.folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut bytes = fs::read(&paths[1]).unwrap();
    // In the second of its records.
    bytes[15 << 10] ^= 1;
    fs::write(&paths[1], bytes).unwrap();
    fs::remove_file(&paths[2]).unwrap();
    let last = paths.last().unwrap();
    let length = fs::metadata(last).unwrap().len();
    fs::File::options().write(true).open(last).unwrap().set_len(length - 1).unwrap();
    agent.restart();
    agent.keep(vec![finding("new", 20)]);
    let rules = agent.rules(Query::default());
    assert!(rules.len() > 10 && rules.len() < 20, "{rules:?}");
    assert!(agent.metrics.damaged.get() >= 3);
}

#[test]
fn an_answer_is_bounded_in_bytes() {
    let agent = Agent::start(9, Config::default());
    let huge = |number| Finding { record: Some("x".repeat(1 << 20)), ..finding("r", number) };
    for number in 0..20 {
        agent.commit(vec![Frame::Finding(huge(number))]);
    }
    wait_until(|| {
        let newest = findings(agent.search(&Query { limit: 1, ..Query::default() }).unwrap());
        newest.first().is_some_and(|finding| finding.offset == Some(19))
    });
    let found = agent.search(&Query::default()).unwrap();
    assert_eq!((found.frames.len(), found.more), (15, true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// After a power cut the state is older than the files: what stands behind the stored lengths is
    /// cut off and comes again.
    #[test]
    fn each_finding_is_kept_once_over_power_cuts(
        seed in any::<u64>(),
        rounds in prop::collection::vec(1..12_u64, 1..8),
    ) {
        let mut agent = Agent::start(seed, small_archive());
        let mut count = 0;
        for findings in rounds {
            for _ in 0..findings {
                agent.commit(vec![Frame::Finding(large("r", count))]);
                count += 1;
            }
            wait_until(|| agent.rules(Query::default()).len() as u64 >= count.min(90));
            agent.stop();
            agent.table.power_cut();
            agent.restart();
        }
        wait_until(|| agent.archive().status().queued_bytes == 0);
        let query = Query { limit: MAX_LIMIT, ..Query::default() };
        let found = findings(agent.search(&query).unwrap());
        let kept: Vec<u64> = found.iter().rev().map(|finding| finding.offset.unwrap()).collect();
        prop_assert_eq!(&kept, &(count - kept.len() as u64..count).collect::<Vec<_>>());
        prop_assert!(kept.len() as u64 >= count.min(60));
    }
}
