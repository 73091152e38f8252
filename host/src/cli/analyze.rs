//! `picket analyze FILE…`: analyzers over log files, once.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::Failure;
use super::exit::FAILED;
use super::global::Global;
use super::oneshot::{OneShot, PluginChoice, cache};
use super::output::{Output, bytes};
use super::report::Results;
use crate::agent::oneshot::{self, AnalyzeRequest};
use crate::api::query::parse_severity;
use crate::model::Severity;

/// Of `picket analyze`. Findings go to standard output as they come.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Log files; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    plugins: PluginChoice,
    /// End with 1 when there is a finding at least as bad as this.
    #[arg(long, value_name = "SEVERITY", value_parser = parse_severity)]
    fail_on: Option<Severity>,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Result<(), Failure> {
    global.start_log();
    let mut one_shot = OneShot::load(global, &arguments.plugins)?;
    let files = arguments.files.iter().map(|file| whole(file, one_shot.folder.path()));
    one_shot.analyze(&files.collect::<anyhow::Result<Vec<_>>>()?)?;
    let request = AnalyzeRequest { checked: one_shot.checked, files: one_shot.files, cache: cache() };
    let mut results = Results::new(BufWriter::new(io::stdout()), global.output, global.paint(), false);
    let done = oneshot::analyze(&request, &mut results);
    results.finish()?;
    let summary = done?;
    if global.output == Output::Text {
        let found: Vec<String> = results
            .findings
            .iter()
            .rev()
            .map(|(severity, count)| format!("{count} {}", severity.word()))
            .collect();
        let found = if found.is_empty() { "nothing found".to_owned() } else { found.join(", ") };
        eprintln!("{} files, {} records, {}: {found}", summary.files, summary.records, bytes(summary.bytes));
    }
    let is_bad = |least: Severity| results.findings.keys().any(|severity| *severity >= least);
    match summary.problems > 0 || arguments.fail_on.is_some_and(is_bad) {
        true => Err(Failure::Said(FAILED)),
        false => Ok(()),
    }
}

/// The absolute path of a file; standard input becomes a file first, since it is read by several plugins
/// at their own pace.
fn whole(file: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    if file == Path::new("-") {
        let path = folder.join("stdin");
        let mut copy =
            File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
        io::copy(&mut io::stdin().lock(), &mut copy).context("standard input cannot be read")?;
        return Ok(path);
    }
    let shown = file.display();
    let path = file.canonicalize().with_context(|| format!("{shown} cannot be read"))?;
    anyhow::ensure!(path.is_file(), "{shown} is no file; name the files in it, such as {shown}/*.log");
    File::open(&path).with_context(|| format!("{shown} cannot be read"))?;
    Ok(path)
}
