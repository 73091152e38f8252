//! The source with its real thread, and targets that answer as they are told.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::Mutex;

use picket_scrape::Described;
use picket_scrape::targets::resolve;

use super::*;
use crate::model::{ByteSize, Sample, Span};
use crate::sources::metrics::Metrics;
use crate::sources::prometheus::Config;
use crate::sources::sink::NotCommitted;

#[derive(Default)]
struct Kept {
    samples: Mutex<Vec<Sample>>,
    described: Mutex<Vec<Described>>,
}

impl SampleSink for Kept {
    fn samples(&self, _: &str, _: Vec<Sample>) -> Result<(), NotCommitted> {
        panic!("a scrape says itself what has ended")
    }
    fn scraped(&self, source: &str, samples: Vec<Sample>) -> Result<(), NotCommitted> {
        assert_eq!(source, "s");
        self.samples.lock().unwrap().extend(samples);
        Ok(())
    }
    fn described(&self, described: &[Described]) {
        self.described.lock().unwrap().extend_from_slice(described);
    }
    fn ended(&self, _: &str) {}
}

impl Kept {
    /// The last value of a series of a target.
    fn last(&self, name: &str, target: &str) -> Option<f64> {
        let samples = self.samples.lock().unwrap();
        let of_target = |sample: &&Sample| {
            sample.name == name
                && sample.labels.iter().any(|label| label.name == "instance" && label.value == target)
        };
        samples.iter().rev().find(of_target).map(|sample| sample.value)
    }
}

/// Answers each connection with the same and closes it. Gives its address.
fn target(body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut line = String::new();
            while stream.read_line(&mut line).unwrap_or_default() > 2 {
                line.clear();
            }
            let head =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = stream.get_mut().write_all((head + body).as_bytes());
        }
    });
    address
}

/// A running source.
struct Rig {
    parts: Parts,
    kept: Arc<Kept>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Rig {
    fn start(config: &Config) -> Self {
        let kept = Arc::new(Kept::default());
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap().of("s");
        let parts = Parts {
            name: "s".to_owned(),
            config: config.check().unwrap().named("s"),
            memory: Memory::default(),
            router: Arc::default(),
            sink: kept.clone(),
            scrapes: metrics.scrapes(),
            metrics,
            status: StatusBoard::default(),
            stop: Arc::default(),
            wake: Arc::default(),
        };
        let mut rig = Self { parts, kept, thread: None };
        rig.run();
        rig
    }

    fn run(&mut self) {
        let parts = self.parts.clone();
        self.thread = Some(std::thread::spawn(move || parts.run()));
    }

    fn stop(&mut self) {
        self.parts.stop.store(true, Ordering::Relaxed);
        self.parts.wake.notify_one();
        self.thread.take().unwrap().join().unwrap();
        self.parts.stop.store(false, Ordering::Relaxed);
    }

    fn until(&self, what: &str, holds: impl Fn(&Kept) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !holds(&self.kept) {
            assert!(Instant::now() < deadline, "{what}: {:?}", self.kept.samples.lock().unwrap());
            std::thread::yield_now();
        }
    }
}

fn config(targets: &[&str]) -> Config {
    let targets = targets.iter().map(|target| (*target).to_owned()).collect();
    Config { targets, interval: Span::seconds(1), ..Config::default() }
}

#[test]
fn a_bad_target_costs_its_own_scrape_only() {
    let good = target("# HELP a Counts.\n# TYPE a counter\na 7\n");
    let (malformed, large) =
        (target("<html>"), target("b{x=\"0123456789012345678901234567890123456789\"} 1\n"));
    let config = Config { body_size_limit: ByteSize(45), ..config(&[&good, &malformed, &large]) };
    let mut rig = Rig::start(&config);
    rig.until("all are scraped", |kept| {
        [(&good, 1.0), (&malformed, 0.0), (&large, 0.0)]
            .iter()
            .all(|(at, up)| kept.last("up", at) == Some(*up))
    });
    assert_eq!(rig.kept.last("a", &good), Some(7.0));
    assert_eq!(rig.kept.described.lock().unwrap()[0].help, "Counts.");
    let deadline = Instant::now() + Duration::from_secs(60);
    while rig.parts.status.all()[0].problems.len() < 2 && Instant::now() < deadline {
        std::thread::yield_now();
    }
    let status = rig.parts.status.all().remove(0);
    assert_eq!((status.streams, status.problems.len()), (3, 2), "{status:?}");
    rig.stop();
    let stale = rig.kept.samples.lock().unwrap().iter().filter(|sample| sample.is_stale()).count();
    assert_eq!(stale, 0, "nothing ends when the source stops");
}

#[test]
fn targets_that_go_end_and_those_that_stay_go_on() {
    let (stays, goes) = (target("a 1\n"), target("a 2\n"));
    let mut rig = Rig::start(&config(&[&stays, &goes]));
    rig.until("both are scraped", |kept| [&stays, &goes].iter().all(|at| kept.last("a", at).is_some()));
    rig.stop();
    rig.parts.config = config(&[&stays]).check().unwrap().named("s");
    rig.run();
    rig.until("one has ended", |kept| kept.last("up", &goes).is_some_and(f64::is_nan));
    assert!(!rig.kept.last("a", &stays).unwrap().is_nan());
    rig.stop();
    let kept: BTreeMap<String, ()> = resolve(&rig.parts.config.defaults, &[rig.parts.config.fixed.clone()])
        .unwrap()
        .into_iter()
        .map(|target| (target.key(), ()))
        .collect();
    assert!(rig.parts.memory.end(|key| !kept.contains_key(key), 0).is_empty());
    assert_eq!(rig.parts.memory.end(|_| true, 0).len(), 1 + 5);
}

#[test]
fn pages_of_all_scrapes_together_are_bounded() {
    for (body, side_by_side) in [(16 << 20, 32), (picket_scrape::MAX_BODY, 2), (1, 128), (0, 128)] {
        assert_eq!(places(body), side_by_side, "{body}");
    }
}
