//! All kinds of sources with their real threads.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::*;
use crate::model::Sample;
use crate::pipeline::interest::Interest;
use crate::pipeline::lane::{LaneReceiver, Wake, lane};
use crate::pipeline::route::Route;
use crate::pipeline::work::{Opened, Work};
use crate::sources::NotCommitted;
use crate::sources::directory::examine::StatKey;

#[derive(Default)]
struct Nothing {
    samples: Mutex<Vec<Sample>>,
    ended: Mutex<Vec<String>>,
}

impl Checkpoints for Nothing {
    fn load(&self, _: &str, _: &str) -> Result<Vec<(Digest, Vec<u8>)>, CheckpointsUnreadable> {
        Ok(Vec::new())
    }
    fn forget(&self, _: &str, _: &str, _: &Digest) {}
}

impl SampleSink for Nothing {
    fn samples(&self, _: &str, samples: Vec<Sample>) -> Result<(), NotCommitted> {
        self.samples.lock().unwrap().extend(samples);
        Ok(())
    }
    fn scraped(&self, source: &str, samples: Vec<Sample>) -> Result<(), NotCommitted> {
        self.samples(source, samples)
    }
    fn described(&self, _: &[picket_scrape::Described]) {}
    fn ended(&self, source: &str) {
        self.ended.lock().unwrap().push(source.to_owned());
    }
}

impl ScanLog for Nothing {
    fn known(&self, _: &str, _: &Digest, _: &Digest) -> bool {
        false
    }
    fn opened(&self, _: &Opened) -> bool {
        false
    }
    fn judged(&self, _: &Opened) {}
    fn digest_of(&self, _: &Path, _: &StatKey) -> Option<Digest> {
        None
    }
    fn remember(&self, _: &Path, _: &StatKey, _: &Digest) {}
    fn skipped(&self, _: &str, _: &Path, _: u64, _: &str) -> bool {
        true
    }
}

fn deadline() -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(60))
}

fn records(receiver: &LaneReceiver<Work, ()>, count: usize) -> Vec<String> {
    let mut records = Vec::new();
    while records.len() < count {
        let Wake::Work(Work::Records(delivery)) = receiver.next(deadline(), false) else {
            panic!("only {records:?} came");
        };
        let block = delivery.block;
        records.extend(
            (0..block.records.len()).map(|record| String::from_utf8_lossy(block.bytes(record)).into_owned()),
        );
    }
    records
}

#[test]
fn sources_run_change_and_stop() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    std::fs::write(at("a.log"), "1\n").unwrap();
    std::fs::create_dir(at("files")).unwrap();
    std::fs::write(at("files/x"), "x").unwrap();
    let configs = |extra: &str| -> BTreeMap<String, SourceConfig> {
        let text = "[logs]\nkind = 'file'\ninclude = ['$/*.log']\nstart = 'beginning'\ndiscover = '100ms'\n"
            .to_owned()
            + extra;
        toml::from_str(&text.replace('$', folder.path().to_str().unwrap())).unwrap()
    };
    let nothing = Arc::new(Nothing::default());
    let router = Arc::new(Router::new());
    let deps = Deps {
        router: router.clone(),
        checkpoints: nothing.clone(),
        samples: nothing.clone(),
        scans: nothing.clone(),
        metrics: Metrics::new(&::prometheus::Registry::new()).unwrap(),
    };
    let mut sources = Sources::start(configs(""), deps).unwrap();
    let (sender, receiver) = lane::<Work, ()>("p", 1 << 20);
    let route = Route {
        plugin: "p".into(),
        generation: Digest::of(b""),
        interest: Interest::everything(),
        takes: crate::pipeline::route::Takes::SCAN,
        lane: Arc::new(sender),
    };
    router.set("logs", vec![route.clone()]).unwrap();
    assert_eq!(records(&receiver, 1), ["1"]);
    let error = sources.reconfigure(configs("multiline.start = '('")).unwrap_err().to_string();
    assert!(error.starts_with("[sources.logs]: `multiline.start`"), "{error}");
    // Replaced in place: nothing comes twice although nothing was committed.
    let more = "labels = { a = 'b' }\n[host]\nkind = 'host'\n\
                [uploads]\nkind = 'directory'\ninclude = ['$/files/**']\nsettle = '0s'\n";
    sources.reconfigure(configs(more)).unwrap();
    std::fs::write(at("b.log"), "2\n").unwrap();
    assert_eq!(records(&receiver, 1), ["2"]);
    let (sender, scans) = lane::<Work, ()>("p", 1 << 20);
    router.set("uploads", vec![Route { lane: Arc::new(sender), ..route }]).unwrap();
    let Wake::Work(Work::Scan(job)) = scans.next(deadline(), false) else { panic!("no scan came") };
    assert_eq!(job.target.path, at("files/x"));
    job.ticket.finish();
    while nothing.samples.lock().unwrap().is_empty() {
        std::thread::yield_now();
    }
    let names = |sources: &Sources| -> Vec<String> {
        sources.status().into_iter().map(|source| source.name).collect()
    };
    // Another interval: the source goes on with its series.
    sources.reconfigure(configs(&more.replace("'host'", "'host'\ninterval = '7s'"))).unwrap();
    assert!(nothing.ended.lock().unwrap().is_empty());
    sources.reconfigure(configs("")).unwrap();
    assert_eq!(*nothing.ended.lock().unwrap(), ["host"]);
    while names(&sources) != ["logs"] {
        std::thread::yield_now();
    }
    sources.reconfigure(configs(more)).unwrap();
    sources.stop();
    assert_eq!(nothing.ended.lock().unwrap().len(), 1, "nothing ends when the agent stops");
}
