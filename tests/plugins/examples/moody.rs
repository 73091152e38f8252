//! An analyzer that does what a record tells it to: `!trap`, `!loop`, `!memory`, `!stack`, `!sleep`,
//! `!findings`, `!output`, `!log`, `!state`, `!labels`, `!calls`. Other records become findings.
//!
//! A flood is twice as large as its own limit and no larger, so that it meets no other one first.

use picket_sdk::{
    Analyzer, Batch, Finding, NoConfig, Plugin, Report, Result, Setup, Severity, clock, log, state,
};

struct Moody;

impl Plugin for Moody {
    type Config = NoConfig;

    fn new(_config: NoConfig, _setup: &mut Setup) -> Result<Self, picket_sdk::ConfigError> {
        Ok(Self)
    }
}

impl Analyzer for Moody {
    fn analyze(&mut self, batch: &Batch, report: &mut Report) -> Result<()> {
        for record in batch {
            match record.bytes {
                b"!trap" => panic!("told to trap"),
                b"!loop" => endless(),
                b"!memory" => eat_memory(),
                b"!stack" => drop(deep(1)),
                b"!sleep" => std::thread::sleep(std::time::Duration::from_secs(3600)),
                b"!findings" => flood_findings(report),
                b"!output" => report.finding(Finding::new("big", Severity::Info, "x".repeat(8 << 20))),
                b"!log" => {
                    (0..100_000).for_each(|line| log::log(log::Level::Warn, &format!("line {line}"), &[]))
                }
                b"!state" => flood_state()?,
                b"!labels" => flood_labels(report),
                b"!calls" => loop {
                    std::hint::black_box(clock::now());
                },
                _ => report.finding(Finding::new("seen", Severity::Info, record.text()).of(&record)),
            }
        }
        Ok(())
    }
}

fn endless() {
    let mut number = 0u64;
    loop {
        number = std::hint::black_box(number).wrapping_add(1);
    }
}

fn eat_memory() {
    let mut eaten = Vec::new();
    loop {
        eaten.push(vec![1u8; 1 << 20]);
        std::hint::black_box(&eaten);
    }
}

/// Small frames, so that WebAssembly's own stack ends before the one that the guest keeps in its memory.
fn deep(depth: u64) -> u64 {
    if std::hint::black_box(depth) == 0 { 0 } else { 1 + std::hint::black_box(deep(depth + 1)) }
}

fn flood_findings(report: &mut Report) {
    for number in 0..2_000u32 {
        report.finding(Finding::new("flood", Severity::Info, number.to_string()));
    }
}

fn flood_state() -> Result<()> {
    for number in 0..200u32 {
        state::set(format!("key {number}"), &"x".repeat(10_000))?;
    }
    Ok(())
}

fn flood_labels(report: &mut Report) {
    for number in 0..2_000u32 {
        report.counter("flood_total", &[("number", &number.to_string())]).add(1);
    }
}

picket_sdk::register!(Moody: Analyzer);
