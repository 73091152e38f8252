//! `picket check`: everything that would keep the configuration from working, found without changing
//! anything.

use std::io;

use clap::Args;

use super::Failure;
use super::exit::{CONFIG, FAILED};
use super::global::Global;
use super::output::{self, Output};
use crate::agent::{self, Found};
use crate::config::{self, Checked, Code, Problem, Problems};
use crate::telemetry::escape;

/// Of `picket check`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Look at the files alone, as if no variable of the environment overrode a setting. Secrets that settings name
    /// by variables (`…_env`) are read all the same.
    #[arg(long)]
    no_environment: bool,
    /// Look at the configuration alone, not at plugins, sources and the data folder.
    #[arg(long)]
    config_only: bool,
    /// Also scrape each target once, and ask the receiver of each forwarder whether it takes what it would be sent;
    /// nothing of it is sent.
    #[arg(long, conflicts_with = "config_only")]
    connect: bool,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Result<(), Failure> {
    global.start_log();
    let mut options = global.options();
    if arguments.no_environment {
        options.environment.clear();
    }
    let (checked, found) = match config::load(&options) {
        Err(Problems(problems)) => (None, Found { problems, notes: Vec::new() }),
        Ok(checked) => {
            let found = match arguments.config_only {
                true => Found::default(),
                false => agent::check(&checked, arguments.connect),
            };
            (Some(checked), found)
        }
    };
    let Found { problems, notes } = found;
    match global.output {
        Output::Json => {
            let ok = problems.is_empty();
            output::json(&serde_json::json!({ "ok": ok, "problems": problems, "notes": notes }))?
        }
        Output::Text => {
            notes.iter().for_each(|note| eprintln!("note: {}", escape(note)));
            show(checked.as_ref(), &problems)?;
        }
    }
    ended(&problems)
}

/// A receiver that does not answer says nothing against the configuration: it may be away for a while.
fn ended(problems: &[Problem]) -> Result<(), Failure> {
    match problems {
        [] => Ok(()),
        _ if problems.iter().all(|problem| problem.code == Code::Upstream) => Err(Failure::Said(FAILED)),
        _ => Err(Failure::Said(CONFIG)),
    }
}

fn show(checked: Option<&Checked>, problems: &[Problem]) -> io::Result<()> {
    match checked {
        Some(checked) if problems.is_empty() => output::text(&format!(
            "The configuration is good: {} plugins, {} sources, {} forwarders.\n",
            checked.plugins.len(),
            checked.sources.len(),
            checked.forwarders.len(),
        )),
        _ => {
            eprintln!("{}", Problems(problems.to_vec()));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wrong_on_this_machine_is_blamed_on_the_configuration() {
        let [upstream, plugin] = [Code::Upstream, Code::Plugin].map(|code| Problem::new(code, "it is so"));
        assert!(ended(&[]).is_ok());
        assert!(matches!(ended(std::slice::from_ref(&upstream)), Err(Failure::Said(FAILED))));
        assert!(matches!(ended(&[upstream, plugin]), Err(Failure::Said(CONFIG))));
    }
}
