//! Measures one thing at a time and prints what came out, one line of JSON for each series of values.
//! `cargo xtask bench` builds everything, runs this, and makes the tables.
//!
//! Nothing is judged here. Measures run in turn with their counterparts (A B A B), and `rules` beside its own, so
//! that what the machine does meanwhile meets all of them.
#![forbid(unsafe_code)]

mod agent;
mod analyze;
mod boundary;
mod counterpart;
mod generate;
mod idle;
mod pipeline;
mod process;
mod rules;
mod sandbox;
mod series;
mod swap;
mod web;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use counterpart::Counterpart;

#[derive(Debug, Parser)]
#[command(
    name = "picket-bench",
    about = "Measures the sandbox and the agent.",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
struct Arguments {
    #[command(subcommand)]
    inner: Option<Inner>,
    /// What to measure.
    #[arg(value_enum, required = true)]
    bench: Option<Bench>,
    #[command(flatten)]
    setting: Setting,
}

/// What this program runs itself for.
#[derive(Debug, Subcommand)]
enum Inner {
    /// Compiles the component on standard input.
    #[command(name = sandbox::COMPILE_VERB, hide = true)]
    Compile,
    /// Runs a program and prints what it used.
    #[command(name = process::MEASURE_VERB, hide = true, trailing_var_arg = true)]
    Measure {
        /// The program and its arguments.
        #[arg(allow_hyphen_values = true, required = true)]
        command: Vec<std::ffi::OsString>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bench {
    Boundary,
    Analyze,
    Pipeline,
    Swap,
    Idle,
    Rules,
}

/// What all measures share.
#[derive(Debug, Args)]
struct Setting {
    /// The agent's binary.
    #[arg(long, default_value = "picket")]
    agent: PathBuf,
    /// The folder of the built components.
    #[arg(long, default_value = "target/plugins")]
    plugins: PathBuf,
    /// Where files are written.
    #[arg(long, default_value = "target/bench")]
    folder: PathBuf,
    /// How often each measure runs.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Lines of the generated log.
    #[arg(long, default_value_t = 1_000_000)]
    lines: u64,
    /// Where the generator's random numbers begin.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A program to measure beside, as NAME=ROOT; an empty root says that it is missing.
    #[arg(long)]
    counterpart: Vec<Counterpart>,
    #[command(flatten)]
    load: rules::Load,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.inner {
        Some(Inner::Compile) => return picket_sandbox::compile_child(),
        Some(Inner::Measure { command }) => process::measure_child(&command),
        None => run(arguments.bench.expect("clap requires it without a subcommand"), &arguments.setting),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(bench: Bench, setting: &Setting) -> anyhow::Result<()> {
    std::fs::create_dir_all(&setting.folder)?;
    let series = match bench {
        Bench::Boundary => boundary::measure(setting)?,
        Bench::Analyze => analyze::measure(setting)?,
        Bench::Pipeline => pipeline::measure(setting)?,
        Bench::Swap => swap::measure(setting)?,
        Bench::Idle => idle::measure(setting)?,
        Bench::Rules => rules::measure(setting)?,
    };
    for one in series {
        println!("{}", serde_json::to_string(&one)?);
    }
    Ok(())
}
