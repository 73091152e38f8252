//! Measures the agent against counterparts and writes BENCHMARKS.md.
//!
//! The measuring itself is done by the `picket-bench` program (the crate `bench/`), which prints
//! one line of JSON for each series of values; here everything it needs is built and fetched, and
//! what it prints becomes tables. Only this verb makes release builds.

mod counterparts;
pub(crate) mod machine;
mod report;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::workspace::{Workspace, cargo};
use crate::{guest, progress};
use report::Series;

/// The measures there are, in the order of the report.
const NAMES: [&str; 5] = ["boundary", "analyze", "pipeline", "swap", "idle"];

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The measures; all of them when absent.
    #[arg(value_parser = NAMES)]
    names: Vec<String>,
    /// Writes the figures to this file as JSON, one series of values a line.
    #[arg(long)]
    json: Option<PathBuf>,
    /// How often each measure is run in turn with its counterpart.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How many lines the generated logs have.
    #[arg(long, default_value_t = 1_000_000)]
    lines: u64,
    /// Where the generator's random numbers begin.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Does not fetch Debian packages of counterparts; those not installed are left out.
    #[arg(long)]
    offline: bool,
}

/// Builds, measures, reports.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let wanted = |name: &&str| arguments.names.is_empty() || arguments.names.iter().any(|n| n == name);
    let names: Vec<&str> = NAMES.into_iter().filter(wanted).collect();
    build(workspace)?;
    let folder = workspace.target.join("bench");
    fs::create_dir_all(&folder)?;
    let others = if names.contains(&"pipeline") {
        counterparts::fetch(&folder.join("counterparts"), arguments.offline)?
    } else {
        Vec::new()
    };

    let mut lines = Vec::new();
    for name in &names {
        lines.extend(measure(workspace, arguments, name, &others)?);
    }
    if let Some(path) = &arguments.json {
        fs::write(path, lines.join("\n") + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let series = lines.iter().map(|line| Series::parse(line)).collect::<Result<Vec<_>>>()?;
    let command = format!(
        "cargo xtask bench --rounds {} --lines {} --seed {}",
        arguments.rounds, arguments.lines, arguments.seed
    );
    let text = report::render(&series, &machine::describe(&workspace.root), &command);
    println!("{text}");
    if arguments.names.is_empty() {
        fs::write(workspace.root.join("BENCHMARKS.md"), text).context("cannot write BENCHMARKS.md")?;
        eprintln!("BENCHMARKS.md is written");
    } else {
        eprintln!("BENCHMARKS.md is left alone: not every measure was run");
    }
    Ok(())
}

fn build(workspace: &Workspace) -> Result<()> {
    let plugins = workspace.plugins().map(|member| member.name.as_str());
    guest::build(workspace, &plugins.chain(["bench-guest"]).collect::<Vec<_>>())?;
    let mut command = cargo();
    command.current_dir(&workspace.root);
    command.args(["build", "--release", "--workspace", "--bin", "picket", "--bin", "picket-bench"]);
    progress::run("building the agent and the measuring program (release)", &mut command)
}

/// Runs one measure; its lines of JSON, its progress shown as it goes.
fn measure(
    workspace: &Workspace,
    arguments: &Arguments,
    name: &str,
    others: &[counterparts::Counterpart],
) -> Result<Vec<String>> {
    progress::step(&format!("measuring {name}"));
    let mut command = std::process::Command::new(workspace.program("release", "picket-bench"));
    command.arg(name);
    command.arg("--agent").arg(workspace.program("release", "picket"));
    command.arg("--plugins").arg(workspace.plugin_folder());
    command.arg("--folder").arg(workspace.target.join("bench"));
    command.arg("--rounds").arg(arguments.rounds.to_string());
    command.arg("--lines").arg(arguments.lines.to_string());
    command.arg("--seed").arg(arguments.seed.to_string());
    for other in others {
        command.arg("--counterpart").arg(other.argument());
    }
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", progress::shown(&command)))?;
    let output = child.stdout.take().expect("standard output is piped, as set above");
    let lines = BufReader::new(output).lines().collect::<std::io::Result<Vec<_>>>()?;
    let status = child.wait()?;
    ensure!(status.success(), "measuring {name}: picket-bench ended with {status}");
    Ok(lines)
}
