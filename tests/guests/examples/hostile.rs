//! An analyzer that breaks one limit after another, as its configuration says: `mode` is what it
//! does, `where` the function that does it (`analyze` if not said).
#![expect(clippy::disallowed_methods, reason = "what the agent never does is what a hostile guest tries")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant, SystemTime};

use bindings::exports::picket::plugin::analyzer::{Batch, Guest as Analyzer};
use bindings::exports::picket::plugin::lifecycle::{ConfigError, Group, Guest as Lifecycle, Interest, Setup};
use bindings::picket::plugin::types::{Counter, Finding, Histogram, Label, Report, Sample, Severity};
use bindings::picket::plugin::{assets, clock, log};
use picket_guests::{number, records, value};

picket_guests::bindings!("picket:guests/analyzer");

thread_local! {
    static CONFIG: RefCell<String> = const { RefCell::new(String::new()) };
    static HOARD: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static CALLS: RefCell<u64> = const { RefCell::new(0) };
}

struct Hostile;

fn config() -> String {
    CONFIG.with_borrow(Clone::clone)
}

/// Does what the mode says if this is the place for it. Modes that need a report are not here.
fn act(place: &str) {
    let config = config();
    let wanted = Some(value(&config, "where")).filter(|place| !place.is_empty()).unwrap_or("analyze");
    if wanted != place {
        return;
    }
    match value(&config, "mode") {
        "loop" => forever(),
        "memory" => hoard(),
        "stack" => {
            black_box(deeper(black_box(1)));
        }
        "trap" => panic!("the guest gives up"),
        "sleep" => std::thread::sleep(Duration::from_secs(3600)),
        "exit" => std::process::exit(3),
        "host-calls" => loop {
            black_box(clock::monotonic());
        },
        "log" => flood_log(number(&config, "lines")),
        "stdout" => (0..number(&config, "lines")).for_each(|line| println!("line {line}")),
        "stderr" => (0..number(&config, "lines")).for_each(|line| eprintln!("line {line}")),
        "random" => {
            let map: HashMap<u32, u32> = (0..100).map(|number| (number, number)).collect();
            assert_eq!(map.len(), 100);
        }
        "clocks" => {
            assert!(Instant::now().elapsed() < Duration::from_secs(60));
            assert!(SystemTime::now() > SystemTime::UNIX_EPOCH);
            assert!(clock::now() > 0);
        }
        "environment" => {
            assert_eq!(std::env::vars().count(), 0);
            assert_eq!(std::env::args().count(), 0);
            assert_eq!(std::io::read_to_string(std::io::stdin()).expect("stdin is at its end"), "");
        }
        "assets" => {
            for asset in assets::list() {
                let bytes = assets::read(&asset.name, 0, u32::MAX).expect("it is listed");
                assert_eq!(bytes.len() as u64, asset.size);
            }
        }
        _ => {}
    }
}

fn forever() {
    let mut number = 0u64;
    loop {
        number = black_box(number.wrapping_add(1));
    }
}

fn hoard() {
    loop {
        HOARD.with_borrow_mut(|hoard| hoard.push(vec![1; 1 << 20]));
    }
}

/// Small frames, so that WebAssembly's own stack ends before the one that the guest keeps in its memory.
fn deeper(depth: u64) -> u64 {
    if black_box(depth) == 0 { 0 } else { 1 + black_box(deeper(depth + 1)) }
}

fn flood_log(lines: u64) {
    for line in 0..lines {
        let fields = [Label { name: "line".into(), value: line.to_string() }];
        log::log(log::Level::Info, "a line with \n control characters", &fields);
    }
}

fn finding(message: &str) -> Finding {
    Finding {
        rule: "hostile".into(),
        severity: Severity::Info,
        message: message.into(),
        attributes: Vec::new(),
        record: Some(0),
        time: None,
    }
}

fn empty() -> Report {
    Report { findings: Vec::new(), counters: Vec::new(), histograms: Vec::new(), samples: Vec::new() }
}

fn labels(value: String) -> Vec<Label> {
    vec![Label { name: "path".into(), value }]
}

/// Reports that break a limit or a rule.
fn report(mode: &str, batch: &Batch, config: &str) -> Result<Report, String> {
    let count = number(config, "count");
    let call = CALLS.with_borrow_mut(|calls| {
        *calls += 1;
        *calls
    });
    let counter = |name: &str, labels, delta| Counter { name: name.into(), labels, delta };
    Ok(match mode {
        "error" => return Err("no more of \u{1b}[2J this".into()),
        "trap-on" => {
            let poison = value(config, "poison").as_bytes();
            assert!(records(&batch.data, &batch.ends).all(|record| record != poison), "poison");
            Report { findings: vec![finding("fine")], ..empty() }
        }
        "echo" => {
            let text = |(index, record): (usize, &[u8])| Finding {
                record: Some(index as u32),
                ..finding(&String::from_utf8_lossy(record))
            };
            Report { findings: records(&batch.data, &batch.ends).enumerate().map(text).collect(), ..empty() }
        }
        "findings" => Report { findings: (0..count).map(|_| finding("x")).collect(), ..empty() },
        "large" => Report { findings: vec![finding(&"x".repeat(count as usize))], ..empty() },
        "labels" => Report {
            counters: (0..count).map(|n| counter("seen_total", labels(format!("{call}-{n}")), 1.0)).collect(),
            ..empty()
        },
        "samples" => {
            let sample = |n| Sample {
                name: "seen".into(),
                labels: labels(format!("{call}-{n}")),
                value: 1.0,
                time: None,
            };
            Report { samples: (0..count).map(sample).collect(), ..empty() }
        }
        "long-value" => {
            let attributes = vec![Label { name: "x".into(), value: "ä".repeat(4000) }];
            Report { findings: vec![Finding { attributes, ..finding(&"m".repeat(2000)) }], ..empty() }
        }
        "bad-rule" => {
            Report { findings: vec![Finding { rule: "Not A Rule".into(), ..finding("x") }], ..empty() }
        }
        "bad-record" => {
            let record = Some(batch.ends.len() as u32);
            Report { findings: vec![Finding { record, ..finding("x") }], ..empty() }
        }
        "bad-counter" => Report { counters: vec![counter("seen", Vec::new(), 1.0)], ..empty() },
        "agents-counter" => Report { counters: vec![counter("calls_total", Vec::new(), 1.0)], ..empty() },
        "agents-histogram" => {
            let histogram = Histogram {
                name: "memory_bytes".into(),
                labels: Vec::new(),
                bounds: vec![1.0],
                counts: vec![1, 0],
                sum: 0.5,
            };
            Report { histograms: vec![histogram], ..empty() }
        }
        "bad-delta" => Report { counters: vec![counter("seen_total", Vec::new(), f64::NAN)], ..empty() },
        "bad-label" => {
            let label = Label { name: "__name__".into(), value: "x".into() };
            Report { counters: vec![counter("seen_total", vec![label], 1.0)], ..empty() }
        }
        "changing" => {
            let bounds = vec![call as f64];
            let histogram = Histogram {
                name: "seconds".into(),
                labels: Vec::new(),
                bounds,
                counts: vec![1, 0],
                sum: 0.5,
            };
            Report { histograms: vec![histogram], ..empty() }
        }
        _ => empty(),
    })
}

impl Lifecycle for Hostile {
    fn configure(config: String) -> Result<Setup, ConfigError> {
        CONFIG.set(config.clone());
        act("configure");
        if value(&config, "mode") == "refuse" {
            return Err(ConfigError {
                key: "burst.limit".into(),
                asset: Some("rules/a.txt".into()),
                line: 7,
                column: 3,
                message: "a number is expected".into(),
            });
        }
        let literals = match value(&config, "literal") {
            "" => Vec::new(),
            literal => vec![literal.as_bytes().to_vec()],
        };
        let interest = Interest { literals, ignore_ascii_case: true };
        let seconds = number(&config, "interval");
        let (name, interval) = ("group".into(), seconds * 1_000_000_000);
        let group = Group { name, file: String::new(), interval, limit: 0, rules: Vec::new() };
        let groups = if value(&config, "interval").is_empty() { Vec::new() } else { vec![group] };
        Ok(Setup { interest, groups })
    }

    fn snapshot() -> Result<Vec<u8>, String> {
        act("snapshot");
        Ok(vec![b's'; number(&config(), "snapshot") as usize])
    }

    fn restore(state: Vec<u8>, from_version: String) -> Result<(), String> {
        act("restore");
        if state == b"bad" { Err(format!("this is no snapshot of {from_version}")) } else { Ok(()) }
    }

    fn plugin_version() -> String {
        act("plugin-version");
        let config = config();
        if value(&config, "mode") == "long-version" { "9".repeat(65) } else { "0.1.0".into() }
    }
}

impl Analyzer for Hostile {
    fn analyze(batch: Batch) -> Result<Report, String> {
        act("analyze");
        let config = config();
        report(value(&config, "mode"), &batch, &config)
    }
}

bindings::export!(Hostile with_types_in bindings);
