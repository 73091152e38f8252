//! How long a swap takes: from the end of the coalescing window to the first record by the new
//! generation.
//!
//! Records flow all the time. The guest stamps each batch with the wall clock at which it saw it and with
//! its tag; a component file is put into place, and the first stamp of the new generation less the time
//! of that and the window is the value. Two bytes of the component's custom section tell versions apart:
//! two alternating ones are in the cache after their first turn, a new one never is.

use std::fs::{self, File};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use crate::Setting;
use crate::agent::{Agent, Home};
use crate::series::{Series, percentile};

const BENCH: &str = "swap";
/// The coalescing window.
const SETTLE: Duration = Duration::from_millis(100);
/// Swaps in one round of one case.
const SWAPS: u32 = 40;
/// The time between two records.
const PACE: Duration = Duration::from_millis(1);

/// Measures swaps with the compiled code in the cache, and without.
pub(crate) fn measure(setting: &Setting) -> Result<Vec<Series>> {
    let component = fs::read(setting.plugins.join("bench-guest.wasm"))?;
    let home = Home::new(&setting.folder.join("swap"))?;
    let log = home.path("flow.log");
    File::create(&log)?;
    home.install("bench", &version(&component, 0))?;
    let sections = format!(
        "[reload]\nsettle = \"{}ms\"\n\n[sources.flow]\nkind = \"file\"\ninclude = [{log:?}]\nstart = \"beginning\"\n\n\
         [plugins.bench]\nsources = [\"flow\"]\nconfig = {{ mode = \"stamp\" }}\n",
        SETTLE.as_millis()
    );
    let mut agent = home.start(setting, &sections)?;
    agent.wait_ready()?;

    let stop = Arc::new(AtomicBool::new(false));
    let flow = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || flow(&log, &stop)
    });
    let measured = swaps(setting, &home, &mut agent, &component);
    stop.store(true, Ordering::Relaxed);
    flow.join().map_err(|_| anyhow::anyhow!("the thread that writes records panicked"))??;
    agent.daemon.stop()?;
    measured
}

fn swaps(setting: &Setting, home: &Home, agent: &mut Agent, component: &[u8]) -> Result<Vec<Series>> {
    let series = |case: &str, subject: &str| Series::new(BENCH, case, subject, "ms");
    let mut warm = (
        series("compiled code in the cache", "median"),
        series("compiled code in the cache", "99th percentile").aim("25 ms"),
    );
    let mut cold = (
        series("compiled code not in the cache", "median"),
        series("compiled code not in the cache", "99th percentile"),
    );
    let mut watch = Watch::new(agent);
    // Fills the cache with both of the alternating versions.
    for number in [1, 2] {
        watch.swap(home, agent, &version(component, number))?;
    }
    let mut fresh = 1000;
    for round in 0..setting.rounds {
        eprintln!("    round {} of {}", round + 1, setting.rounds);
        let mut times = Vec::new();
        for swap in 0..SWAPS {
            times.push(watch.swap(home, agent, &version(component, 1 + u64::from(swap % 2)))?);
        }
        warm.0.values.push(percentile(&times, 50.0));
        warm.1.values.push(percentile(&times, 99.0));
        times.clear();
        for _ in 0..SWAPS / 4 {
            fresh += 1;
            times.push(watch.swap(home, agent, &version(component, fresh))?);
        }
        cold.0.values.push(percentile(&times, 50.0));
        cold.1.values.push(percentile(&times, 99.0));
    }
    warm.1.note = format!(
        "{SWAPS} swaps a round; a record every {} ms, so that much of each value is waiting for one",
        PACE.as_millis()
    );
    Ok(vec![warm.0, warm.1, cold.0, cold.1])
}

/// The component with a custom section that makes it another one (Component Model, binary format: a
/// section is its id, its length and its content; the content of a custom one, id 0, begins with its name).
fn version(component: &[u8], number: u64) -> Vec<u8> {
    const NAME: &[u8] = b"picket-bench";
    let mut content = vec![NAME.len() as u8];
    content.extend_from_slice(NAME);
    content.extend_from_slice(&number.to_le_bytes());
    let mut bytes = component.to_vec();
    bytes.push(0);
    // Below 128 a length is one byte.
    bytes.push(content.len() as u8);
    bytes.extend_from_slice(&content);
    bytes
}

/// Writes a record every now and then.
fn flow(log: &std::path::Path, stop: &AtomicBool) -> Result<()> {
    let mut file = fs::OpenOptions::new().append(true).open(log)?;
    let mut number = 0u64;
    while !stop.load(Ordering::Relaxed) {
        writeln!(file, "record {number}")?;
        number += 1;
        std::thread::sleep(PACE);
    }
    Ok(())
}

/// Reads stamps from the results.
struct Watch {
    results: std::path::PathBuf,
    offset: u64,
    /// The generation of the last stamp.
    generation: String,
}

impl Watch {
    fn new(agent: &Agent) -> Self {
        Self { results: agent.results().to_path_buf(), offset: 0, generation: String::new() }
    }

    /// Puts a component into place and waits for the first stamp of its generation; milliseconds from the
    /// end of the window on.
    fn swap(&mut self, home: &Home, agent: &mut Agent, component: &[u8]) -> Result<f64> {
        // The generation that serves now is known once it has stamped.
        agent.daemon.wait_until("a record was stamped", || {
            self.read(None)?;
            Ok(!self.generation.is_empty())
        })?;
        let before = SystemTime::now().duration_since(UNIX_EPOCH)?;
        home.install("bench", component)?;
        let mut first = None;
        agent.daemon.wait_until("the new generation stamped a record", || {
            let old = self.generation.clone();
            first = self.read(Some(&old))?;
            Ok(first.is_some())
        })?;
        let first = Duration::from_nanos(first.context("it was waited for")?);
        ensure!(first > before, "the new generation stamped before it was there: is the clock being set?");
        Ok((first - before).saturating_sub(SETTLE).as_secs_f64() * 1e3)
    }

    /// Reads on; with `old`, up to the first stamp of another generation, whose time it gives.
    fn read(&mut self, old: Option<&str>) -> Result<Option<u64>> {
        use std::io::{BufRead as _, Seek as _};
        let Ok(mut file) = File::open(&self.results) else { return Ok(None) };
        file.seek(std::io::SeekFrom::Start(self.offset))?;
        let mut reader = std::io::BufReader::new(file);
        let mut line = String::new();
        while reader.read_line(&mut line)? > 0 && line.ends_with('\n') {
            self.offset += line.len() as u64;
            let value: serde_json::Value = serde_json::from_str(&line)?;
            if value["rule"] == "stamp" {
                let generation = value["generation"].as_str().context("a finding names its generation")?;
                let is_new = old.is_some_and(|old| old != generation);
                self.generation = generation.to_owned();
                if is_new {
                    return Ok(value["time"].as_u64());
                }
            }
            line.clear();
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_differ_only_in_their_custom_section() {
        let (one, two) = (version(b"\0asm", 1), version(b"\0asm", 2));
        assert_eq!(one.len(), two.len());
        assert_ne!(one, two);
        assert_eq!(one[..6], *b"\0asm\0\x15");
        assert_eq!(usize::from(one[5]), one.len() - 6);
    }
}
