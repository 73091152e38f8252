//! A large file through the whole agent, beside programs that find the same lines in the same file.

mod agent;
mod others;

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::Setting;
use crate::generate::{Mix, Totals, generate};
use crate::process::Usage;
use crate::series::Series;

const BENCH: &str = "pipeline";
const UNIT: &str = "MB/CPU s";
/// How many of a thousand lines hold a literal.
const MARKED: u64 = 20;

/// The log and what is in it.
struct Log {
    path: PathBuf,
    totals: Totals,
    lines: u64,
}

/// Somebody who reads the log once.
struct Reader<'s> {
    series: Series,
    /// None when the program is missing.
    run: Option<Box<dyn FnMut() -> Result<Usage> + 's>>,
}

/// Measures the agent in two ways and each counterpart in one, in turn.
pub(crate) fn measure(setting: &Setting) -> Result<Vec<Series>> {
    let path = setting.folder.join("mixed.log");
    let out = BufWriter::with_capacity(1 << 20, File::create(&path)?);
    let totals = generate(Mix { seed: setting.seed, lines: setting.lines, marked: MARKED }, out)
        .with_context(|| format!("cannot write {}", path.display()))?;
    let log = Log { path: std::fs::canonicalize(&path)?, totals, lines: setting.lines };

    let mut readers = vec![agent::literals(setting, &log), agent::access_log(setting, &log)];
    for counterpart in &setting.counterpart {
        readers.push(others::reader(setting, counterpart, &log)?);
    }
    for round in 0..setting.rounds {
        for reader in &mut readers {
            let Some(run) = &mut reader.run else { continue };
            eprintln!(
                "    round {} of {}: {}, {}",
                round + 1,
                setting.rounds,
                reader.series.subject,
                reader.series.case
            );
            let usage = run().with_context(|| format!("measuring {}", reader.series.subject))?;
            reader.series.values.push(log.totals.bytes as f64 / 1e6 / usage.cpu.max(1e-3));
            reader.series.cpu_seconds.push(usage.cpu);
            reader.series.peak_bytes.push(usage.peak);
        }
    }
    Ok(readers.into_iter().map(|reader| reader.series).collect())
}

fn described(log: &Log) -> String {
    format!(
        "{} lines, {:.0} MB, {} of them marked",
        log.lines,
        log.totals.bytes as f64 / 1e6,
        log.totals.marked
    )
}
