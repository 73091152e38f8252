//! The driver: `cargo xtask fuzz [NAME] [--seconds N]`.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use picket_fuzz::{Limits, TARGETS, Target, fuzz, load, replay};

#[derive(Debug, Parser)]
#[command(name = "picket-fuzz", about = "Throws mutated bytes at every parser of outside bytes.")]
struct Arguments {
    /// The target; all of them in turn when absent.
    name: Option<String>,
    /// How long, in seconds, for each target.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Where the random numbers begin; the same seed throws the same bytes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs one file as the only input, to look into what was found.
    #[arg(long, requires = "name")]
    replay: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let wanted = |target: &&Target| arguments.name.as_ref().is_none_or(|name| name == target.name);
    let targets: Vec<&Target> = TARGETS.iter().filter(wanted).collect();
    ensure!(!targets.is_empty(), "there is no such target; there are {}", names().join(", "));
    let mut broken = 0;
    for target in targets {
        if let Some(path) = &arguments.replay {
            let input = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let outcome = replay(target, &input);
            broken += usize::from(say(target, outcome.map(|shape| format!("shape {shape:016x}"))));
            continue;
        }
        eprintln!("{}: {}, for {} s", target.name, target.about, arguments.seconds);
        let limits = Limits { runs: u64::MAX, time: Duration::from_secs(arguments.seconds) };
        let outcome = fuzz(target, load(target)?, arguments.seed, limits);
        let outcome =
            outcome.map(|done| format!("{} runs, {} shapes, nothing broke", done.runs, done.shapes));
        broken += usize::from(say(target, outcome));
    }
    ensure!(broken == 0, "{broken} target(s) broke");
    Ok(())
}

/// Says how a target did, and whether it broke.
fn say(target: &Target, outcome: Result<String, Box<picket_fuzz::Crash>>) -> bool {
    match outcome {
        Ok(text) => {
            println!("{}: {text}", target.name);
            false
        }
        Err(crash) => {
            println!("{}", crash.report(target));
            true
        }
    }
}

fn names() -> Vec<&'static str> {
    TARGETS.iter().map(|target| target.name).collect()
}
