//! `picket scan PATH…`: scanners over files and folders, once.

use std::io::{self, BufWriter};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::Failure;
use super::exit::FAILED;
use super::global::Global;
use super::oneshot::{OneShot, PluginChoice, cache};
use super::output::{Output, bytes};
use super::report::Results;
use crate::agent::oneshot::{self, ScanRequest};
use crate::model::VerdictKind;

/// Of `picket scan`. Verdicts other than `clean` go to standard output as they come.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Files and folders; folders with everything below them, without following links.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    plugins: PluginChoice,
    /// Show clean files too.
    #[arg(long, short)]
    verbose: bool,
    /// End with 1 when a verdict is at least as bad as this.
    #[arg(long, value_enum, value_name = "VERDICT")]
    fail_on: Option<Bad>,
}

/// Verdicts that are worth failing on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bad {
    /// A person should look.
    Suspicious,
    /// It does harm.
    Malicious,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Result<(), Failure> {
    global.start_log();
    let mut one_shot = OneShot::load(global, &arguments.plugins)?;
    one_shot.scan()?;
    let absolute =
        |path: &PathBuf| path.canonicalize().with_context(|| format!("{} cannot be read", path.display()));
    let paths = arguments.paths.iter().map(absolute).collect::<anyhow::Result<Vec<_>>>()?;
    let request = ScanRequest { checked: one_shot.checked, paths, cache: cache() };
    let mut results =
        Results::new(BufWriter::new(io::stdout()), global.output, global.paint(), arguments.verbose);
    let done = oneshot::scan(&request, &mut results);
    results.finish()?;
    let summary = done?;
    if global.output == Output::Text {
        let name = |kind: VerdictKind| format!("{kind:?}").to_lowercase();
        let verdicts: Vec<String> =
            results.verdicts.iter().rev().map(|(kind, count)| format!("{count} {}", name(*kind))).collect();
        eprintln!("{} files, {}: {}", summary.files, bytes(summary.bytes), verdicts.join(", "));
    }
    let least = arguments.fail_on.map(|bad| match bad {
        Bad::Suspicious => VerdictKind::Suspicious,
        Bad::Malicious => VerdictKind::Malicious,
    });
    let is_bad = |least: VerdictKind| results.verdicts.keys().any(|verdict| *verdict >= least);
    match summary.problems > 0 || least.is_some_and(is_bad) {
        true => Err(Failure::Said(FAILED)),
        false => Ok(()),
    }
}
