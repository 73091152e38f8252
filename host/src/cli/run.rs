//! `picket run`: the agent.

use clap::Args;

use super::Failure;
use super::global::Global;
use crate::config::{self, Problems};
use crate::{agent, telemetry};

/// It takes the common flags only.
#[derive(Debug, Args)]
pub(super) struct Arguments {}

pub(super) fn run(global: &Global, _: &Arguments) -> Result<(), Failure> {
    let options = global.options();
    let checked = config::load(&options)?;
    telemetry::start_log(&checked.log, global.no_color).map_err(anyhow::Error::from)?;
    agent::run(checked.clone(), options).map_err(|error| match agent::data_problem(&checked, &error) {
        Some(problem) => Failure::Config(Problems(vec![problem])),
        None => Failure::Failed(error),
    })
}
