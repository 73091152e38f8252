//! Each analyzer over the same mixed logs, in the sandbox and as native code of the same source.
//!
//! The host's share, which finds the literals of an analyzer's interest, is done before and counts for
//! neither: `pipeline` measures it. Memory holds the logs, so no file is read meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use picket::model::{Block, Digest, Record, Selection, Stream};
use picket::pipeline::interest::Interest;
use picket_sandbox::{BatchRef, Hit};
use picket_sdk::testing::{Host, Lines};
use picket_sdk::{Analyzer, Plugin};

use crate::Setting;
use crate::generate::{Mix, generate};
use crate::sandbox::Sandbox;
use crate::series::{Series, throughput};

const BENCH: &str = "analyze";
/// Bytes of a batch, as the agent makes them under load.
const BATCH_BYTES: usize = 256 << 10;
/// Lines are taken from the front up to this; more adds nothing but time.
const MAX_LINES: u64 = 200_000;
/// How many of a thousand lines are failed logins.
const MARKED: u64 = 20;

/// Measures each analyzer.
pub(crate) fn measure(setting: &Setting) -> Result<Vec<Series>> {
    let mut log = Vec::new();
    generate(Mix { seed: setting.seed, lines: setting.lines.min(MAX_LINES), marked: MARKED }, &mut log)?;
    let sandbox = Sandbox::new(&setting.folder.join("cache"))?;
    let mut all = Vec::new();
    all.extend(analyzer::<access_log::AccessLog>(setting, &sandbox, "access-log", "0.80 of native", &log)?);
    all.extend(analyzer::<auth_guard::AuthGuard>(setting, &sandbox, "auth-guard", "0.60 of native", &log)?);
    all.extend(analyzer::<log_patterns::LogPatterns>(
        setting,
        &sandbox,
        "log-patterns",
        "0.60 of native",
        &log,
    )?);
    Ok(all)
}

fn analyzer<P: Plugin + Analyzer>(
    setting: &Setting,
    sandbox: &Sandbox,
    name: &str,
    aim: &'static str,
    log: &[u8],
) -> Result<[Series; 2]> {
    let component = setting.plugins.join(format!("{name}.wasm"));
    let mut native = Series::new(BENCH, name, "native", "MB/s").reference();
    let mut guest = Series::new(BENCH, name, "sandbox", "MB/s").aim(aim);
    let mut handed = (0, 0);
    for _ in 0..setting.rounds {
        let host = Host::new();
        let mut plugin =
            host.start::<P>("{}").map_err(|error| anyhow::anyhow!("{name}: {}", error.message))?;
        let batches = batches(log, plugin.interest())?;
        let bytes: usize = batches.iter().map(|batch| batch.data.len()).sum();
        handed = (bytes, batches.iter().map(|batch| batch.ends.len()).sum());

        let mut time = Duration::ZERO;
        for batch in &batches {
            // What the native side gets for nothing, the sandbox's copy into the guest, is made here.
            let lines = plugin.select(batch.lines());
            let started = Instant::now();
            plugin.analyze_selected(lines).with_context(|| format!("{name}, natively"))?;
            time += started.elapsed();
        }
        native.values.push(throughput(bytes as u64, time));

        let mut instance = sandbox.instance(&component, "{}")?;
        let started = Instant::now();
        for batch in &batches {
            instance.analyze(&batch.borrowed()).with_context(|| format!("{name}, in the sandbox"))?;
        }
        guest.values.push(throughput(bytes as u64, started.elapsed()));
    }
    let (bytes, records) = handed;
    guest.note = format!(
        "{records} records of {:.1} MB in batches of up to {} KiB, those that its interest selects of {:.1} MB",
        bytes as f64 / 1e6,
        BATCH_BYTES >> 10,
        log.len() as f64 / 1e6
    );
    Ok([native, guest])
}

/// A batch as the host hands it over.
struct Batch {
    data: Vec<u8>,
    ends: Vec<u32>,
    times: Vec<u64>,
    hits: Vec<Hit>,
}

impl Batch {
    fn borrowed(&self) -> BatchRef<'_> {
        BatchRef {
            source: "bench",
            stream: "/var/log/mixed.log",
            labels: &[],
            data: &self.data,
            ends: &self.ends,
            times: &self.times,
            hits: &self.hits,
            passed_over: 0,
            columns: &[],
        }
    }

    fn lines(&self) -> Lines {
        let mut lines = Lines::new().from("bench", "/var/log/mixed.log");
        let mut start = 0;
        for (end, time) in self.ends.iter().zip(&self.times) {
            lines = lines.at(*time).line(&self.data[start..*end as usize]);
            start = *end as usize;
        }
        lines
    }
}

/// Cuts the log into batches and keeps what the literals select, with the agent's own matcher.
fn batches(log: &[u8], literals: &[Vec<u8>]) -> Result<Vec<Batch>> {
    let interest = Interest::new(literals.to_vec(), false)?;
    let digest = Digest::of(b"bench");
    let stream = Arc::new(Stream {
        source: "bench".into(),
        name: "/var/log/mixed.log".into(),
        labels: vec![],
        id: digest,
    });
    let mut batches = Vec::new();
    let mut rest = log;
    while !rest.is_empty() {
        let most = &rest[..rest.len().min(BATCH_BYTES)];
        let end = most.iter().rposition(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        let block = block(&stream, &rest[..end]);
        rest = &rest[end..];
        let batch = selected(&block, interest.select(&block));
        if !batch.ends.is_empty() {
            batches.push(batch);
        }
    }
    Ok(batches)
}

fn block(stream: &Arc<Stream>, text: &[u8]) -> Block {
    let mut records = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let end = start + line.len() as u32;
        let text_end = end - u32::from(line.ends_with(b"\n"));
        records.push(Record { start, end: text_end, offset: u64::from(start), time: TIME });
        start = end;
    }
    Block { stream: Arc::clone(stream), data: text.to_vec(), records, checkpoint: Vec::new() }
}

/// When all records were made: noon of the day that the generated logs are of (2026-05-12), in Unix
/// nanoseconds.
const TIME: u64 = 1_778_587_200_000_000_000;

fn selected(block: &Block, selection: Selection) -> Batch {
    let (records, hits) = match selection {
        Selection::All => ((0..block.records.len() as u32).collect(), Vec::new()),
        Selection::Some { records, hits } => (records, hits),
    };
    let mut batch = Batch { data: Vec::new(), ends: Vec::new(), times: Vec::new(), hits: Vec::new() };
    let mut hits = hits.into_iter().peekable();
    for (index, record) in records.iter().enumerate() {
        batch.data.extend_from_slice(block.bytes(*record as usize));
        batch.ends.push(batch.data.len() as u32);
        batch.times.push(block.records[*record as usize].time);
        while let Some((_, literal)) = hits.next_if(|(hit, _)| hit == record) {
            batch.hits.push(Hit { record: index as u32, literal });
        }
    }
    batch
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn batches_hold_what_the_interest_selects() {
        let log = b"one\nneedle two\nthree\nfour needle\n";
        let all = batches(log, &[]).unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].ends, [3, 13, 18, 29]);
        let some = batches(log, &[b"x".to_vec(), b"needle".to_vec()]).unwrap();
        assert_eq!(some[0].data, b"needle twofour needle");
        let hits: Vec<_> = some[0].hits.iter().map(|hit| (hit.record, hit.literal)).collect();
        assert_eq!(hits, [(0, 1), (1, 1)]);
        assert!(batches(log, &[b"absent".to_vec()]).unwrap().is_empty());
    }

    #[test]
    fn a_long_log_is_cut_at_line_ends() {
        let log = "a line of some length\n".repeat(50_000);
        let batches = batches(log.as_bytes(), &[]).unwrap();
        assert!(batches.len() > 3);
        assert_eq!(batches.iter().map(|batch| batch.ends.len()).sum::<usize>(), 50_000);
    }
}
