//! The command line: one file for each verb.
//!
//! Verbs print what they found to standard output and everything else to standard error. They end with
//! 0 when all is well, 1 when something failed, 2 for a wrong command line, 70 when the agent had to stop because
//! a part of it has ended by a bug (`EX_SOFTWARE` of sysexits), 78 for a configuration that cannot be used
//! (`EX_CONFIG`).

mod alerts;
mod analyze;
mod check;
mod client;
mod config;
mod exit;
mod findings;
mod global;
mod oneshot;
mod output;
mod plugin;
mod progress;
mod report;
mod retract;
mod rules;
mod run;
mod scan;
mod status;
mod suggest;
mod tap;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

pub use exit::Failure;
use global::Global;

/// Runs sandboxed analyzers, scanners and alert rules on this machine.
#[derive(Debug, Parser)]
#[command(name = "picket", version, propagate_version = true, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the agent.
    Run(run::Arguments),
    /// Say what is wrong with the configuration, the plugins and the data folder.
    Check(check::Arguments),
    /// Show how the running agent is doing.
    Status(status::Arguments),
    /// Scan files and folders once, without a running agent.
    Scan(scan::Arguments),
    /// Analyze log files once, without a running agent.
    Analyze(analyze::Arguments),
    /// Search the findings that the running agent keeps, or take some back.
    Findings(findings::Arguments),
    /// Show the alerts that are pending or firing.
    Alerts(alerts::Arguments),
    /// Show live what passes a source, a plugin or a forwarder of the running agent.
    Tap(tap::Arguments),
    /// Check, test and backtest Prometheus rule files.
    #[command(subcommand)]
    Rules(rules::Verb),
    /// Write, build, inspect and test plugins.
    #[command(subcommand)]
    Plugin(plugin::Verb),
    /// Describe the configuration.
    #[command(subcommand, hide = true)]
    Config(config::Verb),
    /// Compile the component on standard input. The agent calls this; it is of no use to people.
    #[command(name = crate::agent::COMPILE_VERB, hide = true)]
    Compile,
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::read(&words) {
        Ok(cli) => cli,
        Err(error) => {
            // When even that cannot be written there is nobody to tell.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(exit::USAGE));
        }
    };
    cli.run()
}

impl Cli {
    /// Reads a command line; the first word is the program.
    fn read(words: &[OsString]) -> Result<Self, clap::Error> {
        Self::try_parse_from(words).map_err(|error| {
            let mut root = Self::command();
            // Hands the flags of all verbs down to each of them.
            root.build();
            suggest::complete(error, &root, words)
        })
    }

    fn run(self) -> ExitCode {
        let global = self.global;
        let done = match self.verb {
            Verb::Run(arguments) => run::run(&global, &arguments),
            Verb::Check(arguments) => check::run(&global, &arguments),
            Verb::Status(arguments) => status::run(&global, &arguments),
            Verb::Scan(arguments) => scan::run(&global, &arguments),
            Verb::Analyze(arguments) => analyze::run(&global, &arguments),
            Verb::Findings(arguments) => findings::run(&global, &arguments),
            Verb::Alerts(arguments) => alerts::run(&global, &arguments),
            Verb::Tap(arguments) => tap::run(&global, &arguments),
            Verb::Rules(verb) => rules::run(&global, &verb),
            Verb::Plugin(verb) => plugin::run(&global, &verb),
            Verb::Config(verb) => config::run(&verb),
            Verb::Compile => return crate::agent::compile_child(),
        };
        exit::code(done, global.output)
    }
}
