//! `picket check`: everything that would keep the configuration from working, found without changing
//! anything.

use std::io;

use clap::Args;

use super::Failure;
use super::exit::CONFIG;
use super::global::Global;
use super::output::{self, Output};
use crate::agent::{self, Found};
use crate::config::{self, Checked, Problem, Problems};
use crate::telemetry::escape;

/// Of `picket check`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Look at the files alone, as if no variable of the environment was set.
    #[arg(long)]
    no_environment: bool,
    /// Look at the configuration alone, not at plugins, sources and the data folder.
    #[arg(long)]
    config_only: bool,
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
            let found = if arguments.config_only { Found::default() } else { agent::check(&checked) };
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
    if problems.is_empty() { Ok(()) } else { Err(Failure::Said(CONFIG)) }
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
