//! The project's own tasks, run as `cargo xtask VERB`: what a newcomer, a contributor and the
//! continuous integration type instead of remembering cargo's arguments.
//!
//! Each verb is one module. Nothing of the agent is linked in here (that keeps the first
//! `cargo xtask` short); verbs start cargo and the built programs as anybody would.
#![forbid(unsafe_code)]

mod bench;
mod ci;
mod conformance;
mod counts;
mod demo;
mod fuzz;
mod guest;
mod progress;
mod servers;
mod soak;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "The project's own tasks.", version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Build plugins and agent and run them on sample input and on this machine's logs and metrics.
    Demo(demo::Arguments),
    /// Build what the tests need and run them all, with reduced counts.
    Test(test::Arguments),
    /// Run the long forms of the tests with their full counts and write SOAK.md.
    Soak(soak::Arguments),
    /// Measure against counterparts and write BENCHMARKS.md.
    Bench(bench::Arguments),
    /// Check the rules of the architecture and of the style.
    Tidy,
    /// Build the first-party plugins to target/plugins/.
    BuildPlugins,
    /// Install what the real receivers of the tests need to target/servers/, and say what is missing.
    Servers,
    /// Throw mutated bytes at the parsers of outside bytes.
    Fuzz(fuzz::Arguments),
    /// Run a folder of Prometheus' `.test` files against the rules plugin in the sandbox.
    PromqlConformance(conformance::Arguments),
    /// Run what the continuous integration runs.
    Ci,
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

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    match &arguments.verb {
        Verb::Demo(arguments) => demo::run(&workspace, arguments),
        Verb::Test(arguments) => test::run(&workspace, arguments),
        Verb::Soak(arguments) => soak::run(&workspace, arguments),
        Verb::Bench(arguments) => bench::run(&workspace, arguments),
        Verb::Tidy => tidy::run(&workspace.root),
        Verb::BuildPlugins => guest::build_plugins(&workspace).map(|_| ()),
        Verb::Servers => servers::run(&workspace),
        Verb::Fuzz(arguments) => fuzz::run(&workspace, arguments),
        Verb::PromqlConformance(arguments) => conformance::run(&workspace, arguments),
        Verb::Ci => ci::run(&workspace),
    }
}
