//! Measures what samples and series cost: the figures in the crate's documentation.
//!
//! `cargo run -p picket-series --example size -- 100000` fills a store with so many series over two windows, with the
//! jitter of real scrapes, and prints bytes a sample by kind of metric and memory a series.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use picket_series::{Bounds, Config, Matcher, Metrics, Op, Request, Store, Wanted};

const SECOND: u64 = 1_000_000_000;
const STEP: u64 = 15 * SECOND;
const SCRAPES: u64 = 120;
const START: u64 = 1_700_000_100 * SECOND - 1_700_000_100 * SECOND % (1800 * SECOND);

/// Values as exporters have them, by what they are of.
const KINDS: [&str; 5] = ["constant", "busy counter", "quiet counter", "seconds counter", "memory gauge"];

fn value(kind: usize, series: u64, scrape: u64, random: u64) -> f64 {
    let number = (series * 1000) as f64;
    match kind {
        0 => number,
        1 => number + (scrape * 1500 + random % 400) as f64,
        2 => number + (scrape / 20) as f64,
        3 => (series * 17) as f64 + (scrape as f64 * 1.37 * 100.0).round() / 100.0,
        _ => (4_000_000_000 + series * 4096 + (random % 5000) * 4096) as f64,
    }
}

fn main() {
    let count: u64 = std::env::args()
        .nth(1)
        .map_or(10_000, |text| text.parse().expect("the number of series is a whole number"));
    let now = Arc::new(AtomicU64::new(START));
    let store = |config: Config| {
        let clock = Arc::clone(&now);
        let metrics = Metrics::new(&prometheus::Registry::new()).expect("a new registry takes every metric");
        Store::new(config, Arc::new(move || clock.load(Ordering::Relaxed)), metrics)
    };
    let mut random = 1_u64;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        random >> 33
    };
    for (kind, name) in KINDS.iter().enumerate() {
        now.store(START, Ordering::Relaxed);
        let store = store(Config::default());
        for scrape in 0..=SCRAPES {
            let time = START + scrape * STEP + next() % 4 * 1_000_000;
            now.store(time, Ordering::Relaxed);
            for series in 0..100_u64 {
                let value = value(kind, series, scrape, next());
                store
                    .append("m", [("n", series.to_string().as_str())], time, value)
                    .expect("the store has room for them");
            }
        }
        // The sample after the window closes the chunks; what is left of it is a few bytes.
        println!("{name}: {:.2} bytes a sample", chunk_bytes(&store) as f64 / (100 * SCRAPES) as f64);
    }
    now.store(START, Ordering::Relaxed);
    let store = store(Config { max_series: usize::MAX, max_bytes: u64::MAX, ..Config::default() });
    let before = resident();
    (0..count).for_each(|series| append(&store, series, START, 0.0));
    let begun = resident();
    println!("{count} series: {} bytes each with their first sample", (begun - before) / count);
    println!("accounted for: {}", store.size().bytes / count);
    for scrape in 1..SCRAPES {
        let time = START + scrape * STEP + next() % 4 * 1_000_000;
        now.store(time, Ordering::Relaxed);
        for series in 0..count {
            append(&store, series, time, value(series as usize % 5, series, scrape, next()));
        }
    }
    println!("with {SCRAPES} samples: {} bytes each", (resident() - before) / count);
    println!("accounted for: {}", store.size().bytes / count);
    let started = std::time::Instant::now();
    let latest = |number: u64| {
        let matcher = |name: &str, value: String| Matcher { name: name.into(), op: Op::Equal, value };
        let selector = vec![
            matcher("__name__", format!("metric_{}", number % 500)),
            matcher("cpu", (number % 8).to_string()),
        ];
        Request { selector, start: START, end: u64::MAX, wanted: Wanted::Latest }
    };
    let requests: Vec<Request> = (0..10_000).map(latest).collect();
    let found = store
        .select(&requests, Bounds { max_samples: u64::MAX, deadline: None })
        .expect("the selectors are good");
    println!("10,000 requests for {} latest samples: {:?}", found.times.len(), started.elapsed());
}

fn append(store: &Store, series: u64, time: u64, value: f64) {
    let name = format!("metric_{}", series % 500);
    let (number, cpu) = (format!("device-{}", series / 500), (series % 8).to_string());
    let labels = [
        ("job", "node"),
        ("instance", "localhost:9100"),
        ("device", number.as_str()),
        ("cpu", cpu.as_str()),
        ("mode", "idle"),
        ("cluster", "north"),
        ("team", "storage"),
    ];
    store.append(&name, labels, time, value).expect("the store has room for it");
}

/// Bytes of the closed chunks of 100 series: without what is accounted for series, labels, entries of closed chunks and
/// open ones.
fn chunk_bytes(store: &Store) -> u64 {
    let (series, labels, closed, open) = (184, 2 * (5 + 4) + 96 + 2, 80, 24);
    let names = 3 * 96 + "__name__n".len() as u64 + 1;
    store.size().bytes - 100 * (series + labels + closed + open) - names
}

/// Resident memory of the process, in bytes.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let resident = pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    resident.expect("Linux writes numbers there") * 4096
}
