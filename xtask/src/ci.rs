//! Runs what the continuous integration runs, so that nobody has to push to find out.

use std::process::Command;

use anyhow::Result;

use crate::progress;
use crate::workspace::Workspace;

/// Runs `.ci/run`.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut command = Command::new(workspace.root.join(".ci").join("run"));
    progress::run("the continuous integration's checks", command.current_dir(&workspace.root))
}
