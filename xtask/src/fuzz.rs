//! Starts the fuzz driver: seeded mutation over a corpus, one target for each parser of outside
//! bytes. The targets and the driver are in `fuzz/`.

use anyhow::Result;
use clap::Args;

use crate::progress;
use crate::workspace::{Workspace, cargo};

/// What to fuzz.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The target; all of them in turn when absent.
    name: Option<String>,
    /// How long, in seconds, for each target.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Where the random numbers begin; the same seed throws the same bytes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Builds and runs the driver.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let mut command = cargo();
    command.current_dir(&workspace.root).args(["run", "--package", "picket-fuzz", "--"]);
    command.arg("--seconds").arg(arguments.seconds.to_string());
    command.arg("--seed").arg(arguments.seed.to_string());
    command.args(&arguments.name);
    progress::run("fuzzing", &mut command)
}
