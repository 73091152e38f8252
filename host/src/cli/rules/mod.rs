//! `picket rules …`: Prometheus rule files before they are rolled out. Needs no running agent.

mod backtest;
mod check;
mod component;
mod files;
mod problems;
mod retained;
mod svg;
mod test;
mod timelines;
mod verdict;

use clap::Subcommand;

use super::Failure;
use super::global::Global;

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Say what is wrong with rule files, as `promtool check rules` does.
    Check(check::Arguments),
    /// Run unit tests of rules, as `promtool test rules` does, with the component that the agent runs.
    Test(test::Arguments),
    /// Replay a rule file over the samples that this node has kept, beside the rules that are active.
    Backtest(backtest::Arguments),
}

pub(super) fn run(global: &Global, verb: &Verb) -> Result<(), Failure> {
    global.start_log();
    match verb {
        Verb::Check(arguments) => check::run(global, arguments),
        Verb::Test(arguments) => test::run(global, arguments),
        Verb::Backtest(arguments) => backtest::run(global, arguments),
    }
}
