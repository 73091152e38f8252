//! `picket run`: the agent.

use clap::Args;

use super::Failure;
use super::global::Global;
use crate::agent::Lost;
use crate::config::{self, Checked, Problems};
use crate::{agent, telemetry};

/// It takes the common flags only.
#[derive(Debug, Args)]
pub(super) struct Arguments {}

pub(super) fn run(global: &Global, _: &Arguments) -> Result<(), Failure> {
    let options = global.options();
    let checked = config::load(&options)?;
    telemetry::start_log(&checked.log, global.no_color).map_err(anyhow::Error::from)?;
    agent::run(checked.clone(), options).map_err(|error| failure(&checked, error))
}

fn failure(checked: &Checked, error: anyhow::Error) -> Failure {
    if let Some(lost) = error.downcast_ref::<Lost>() {
        return Failure::Bug(*lost);
    }
    match agent::data_problem(checked, &error) {
        Some(problem) => Failure::Config(Problems(vec![problem])),
        None => Failure::Failed(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::process::ExitCode;

    use super::*;
    use crate::cli::exit;
    use crate::cli::output::Output;
    use crate::config::{Options, load_text};

    #[test]
    fn an_agent_that_had_to_stop_ends_with_70() {
        let checked = load_text("picket.toml", "", &Options::default()).unwrap();
        let failure = failure(&checked, anyhow::Error::from(Lost::Commit).context("the agent"));
        assert!(failure.to_string().contains("report"), "{failure}");
        let code = exit::code(Err(failure), Output::Text);
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(70)));
    }
}
