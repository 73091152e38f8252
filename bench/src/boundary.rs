//! What crossing between host and guest costs before anybody has done any work.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::Result;
use picket_sandbox::{BatchRef, Instance};

use crate::Setting;
use crate::sandbox::Sandbox;
use crate::series::Series;

const BENCH: &str = "boundary";
/// Records of the large batch, and bytes of each.
const RECORDS: usize = 1000;
const RECORD_BYTES: usize = 120;
/// Host calls in one call of the guest, so that the call itself does not count.
const HOST_CALLS: u32 = 100_000;
/// How long one round of one case takes.
const ROUND: Duration = Duration::from_millis(300);

/// Records laid flat.
struct Flat {
    data: Vec<u8>,
    ends: Vec<u32>,
    times: Vec<u64>,
}

impl Flat {
    fn new(records: usize, bytes: usize) -> Self {
        let ends = (1..=records).map(|record| (record * bytes) as u32).collect();
        Self { data: vec![b'x'; records * bytes], ends, times: vec![1; records] }
    }

    fn batch(&self) -> BatchRef<'_> {
        BatchRef {
            source: "bench",
            stream: "bench",
            labels: &[],
            data: &self.data,
            ends: &self.ends,
            times: &self.times,
            hits: &[],
            passed_over: 0,
            columns: &[],
        }
    }
}

/// Measures the three of them, each beside what the same would cost without a boundary.
pub(crate) fn measure(setting: &Setting) -> Result<Vec<Series>> {
    let sandbox = Sandbox::new(&setting.folder.join("cache"))?;
    let component = setting.plugins.join("bench-guest.wasm");
    let mut idle = sandbox.instance(&component, "{}")?;
    let mut calling = sandbox.instance(&component, &format!(r#"{{"mode":"calls","calls":{HOST_CALLS}}}"#))?;
    let (one, thousand) = (Flat::new(1, 1), Flat::new(RECORDS, RECORD_BYTES));

    let mut bare = Series::new(BENCH, "a call that hands over nothing", "sandbox", "ns").aim("124 ns");
    let mut least = Series::new(BENCH, "a batch of one record of a byte", "sandbox", "ns");
    let mut batch =
        Series::new(BENCH, "a batch of 1000 records of 120 bytes", "sandbox", "ns a record").aim("2 ns");
    let mut copy =
        Series::new(BENCH, "a batch of 1000 records of 120 bytes", "copying it natively", "ns a record")
            .reference();
    let mut host = Series::new(BENCH, "a host call (the clock)", "sandbox", "ns").aim("61 ns");
    let mut clock = Series::new(BENCH, "a host call (the clock)", "asking natively", "ns").reference();
    for _ in 0..setting.rounds {
        bare.values.push(nanos(|| version(&mut idle))?);
        least.values.push(nanos(|| analyze(&mut idle, &one))?);
        batch.values.push(nanos(|| analyze(&mut idle, &thousand))? / RECORDS as f64);
        copy.values.push(nanos(|| copied(&thousand))? / RECORDS as f64);
        host.values.push(nanos(|| analyze(&mut calling, &one))? / f64::from(HOST_CALLS));
        clock.values.push(nanos(|| {
            black_box(Instant::now());
            Ok(())
        })?);
    }
    bare.note = "`plugin-version`, which returns a line, with its deadline and its CPU time".to_owned();
    least.note =
        "as the agent makes it: the batch and the report laid out on both sides, and checked".to_owned();
    Ok(vec![bare, least, batch, copy, host, clock])
}

fn version(instance: &mut Instance) -> Result<()> {
    black_box(instance.plugin_version()?);
    Ok(())
}

fn analyze(instance: &mut Instance, flat: &Flat) -> Result<()> {
    black_box(instance.analyze(&flat.batch())?);
    Ok(())
}

fn copied(flat: &Flat) -> Result<()> {
    black_box((flat.data.clone(), flat.ends.clone(), flat.times.clone()));
    Ok(())
}

/// The mean time of one call over a round, in nanoseconds.
fn nanos(mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    // The first call grows what later ones use again.
    call()?;
    let started = Instant::now();
    let mut calls = 0u64;
    let mut step = 1;
    while started.elapsed() < ROUND {
        for _ in 0..step {
            call()?;
        }
        calls += step;
        // The clock is asked ever less often, until it does not count any more.
        step = (step * 2).min(1 << 12);
    }
    Ok(started.elapsed().as_nanos() as f64 / calls as f64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_flat_batch_has_one_end_for_each_record() {
        let flat = Flat::new(3, 5);
        assert_eq!((flat.data.len(), &flat.ends[..], flat.times.len()), (15, &[5, 10, 15][..], 3));
    }

    #[test]
    fn the_mean_is_that_of_one_call() {
        let nanos = nanos(|| {
            std::thread::sleep(Duration::from_millis(1));
            Ok(())
        })
        .unwrap();
        assert!(nanos >= 1e6, "{nanos}");
    }
}
