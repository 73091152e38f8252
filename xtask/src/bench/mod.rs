//! Measures the agent against counterparts and writes what was measured into BENCHMARKS.md.
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

/// The counts of the figures in BENCHMARKS.md: rounds, lines, rules, series, interval and seed, as the options below
/// have them.
const USUAL: (u32, u64, u32, u32, u32, u64) = (5, 1_000_000, 10_000, 100_000, 15, 1);

/// The measures there are, in the order of the report.
const NAMES: [&str; 6] = ["boundary", "analyze", "pipeline", "swap", "idle", "rules"];

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
    #[arg(long, default_value_t = USUAL.0, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How many lines the generated logs have.
    #[arg(long, default_value_t = USUAL.1)]
    lines: u64,
    /// How many rules `rules` evaluates, in whole hundreds.
    #[arg(long, default_value_t = USUAL.2, value_parser = clap::value_parser!(u32).range(100..=10_000))]
    rules: u32,
    /// Over how many series, in whole ten thousands.
    #[arg(long, default_value_t = USUAL.3, value_parser = clap::value_parser!(u32).range(10_000..=500_000))]
    series: u32,
    /// How many seconds lie between its scrapes. With `--rules 1000 --series 10000 --interval 5 --rounds 3` it takes
    /// three minutes instead of eleven.
    #[arg(long, default_value_t = USUAL.4, value_parser = clap::value_parser!(u32).range(2..=60))]
    interval: u32,
    /// Where the generator's random numbers begin.
    #[arg(long, default_value_t = USUAL.5)]
    seed: u64,
    /// Does not fetch Debian packages of counterparts; those not installed are left out.
    #[arg(long)]
    offline: bool,
}

impl Arguments {
    fn are_usual(&self) -> bool {
        (self.rounds, self.lines, self.rules, self.series, self.interval, self.seed) == USUAL
    }

    /// What the measuring program takes as well.
    fn counts(&self) -> Vec<String> {
        let counts = [
            ("rounds", u64::from(self.rounds)),
            ("lines", self.lines),
            ("rules", u64::from(self.rules)),
            ("series", u64::from(self.series)),
            ("interval", u64::from(self.interval)),
            ("seed", self.seed),
        ];
        counts.iter().flat_map(|(name, count)| [format!("--{name}"), count.to_string()]).collect()
    }
}

/// Builds, measures, reports.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let wanted = |name: &&str| arguments.names.is_empty() || arguments.names.iter().any(|n| n == name);
    let names: Vec<&'static str> = NAMES.into_iter().filter(wanted).collect();
    build(workspace)?;
    let folder = workspace.target.join("bench");
    fs::create_dir_all(&folder)?;
    let programs = folder.join("counterparts");
    let mut lines = Vec::new();
    for name in &names {
        let others = counterparts::fetch(name, &programs, arguments.offline)?;
        lines.extend(measure(workspace, arguments, name, &others)?);
    }
    if let Some(path) = &arguments.json {
        fs::write(path, lines.join("\n") + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let series = lines.iter().map(|line| Series::parse(line)).collect::<Result<Vec<_>>>()?;
    let machine = machine::describe(&workspace.root);
    let counts = arguments.counts().join(" ");
    let section = |name: &&'static str| {
        let made = format!("Written by `cargo xtask bench {name} {counts}`. {machine}");
        (*name, report::section(name, &series, &made))
    };
    let sections: Vec<_> = names.iter().map(section).collect();
    for (_, text) in &sections {
        println!("{text}");
    }
    let page = workspace.root.join("BENCHMARKS.md");
    let former = fs::read_to_string(&page).unwrap_or_default();
    let is_whole = series.iter().all(|one| !one.values.is_empty());
    if arguments.are_usual() && is_whole {
        fs::write(&page, report::page(&former, &sections, &NAMES)).context("cannot write BENCHMARKS.md")?;
        eprintln!("written into BENCHMARKS.md: {}", names.join(", "));
    } else {
        eprintln!(
            "BENCHMARKS.md is left alone: it holds figures with the default counts only, beside every counterpart"
        );
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
    command.args(arguments.counts());
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
