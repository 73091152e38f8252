//! Runs `.test` files in Prometheus' own format against the built rules component in the sandbox.
//!
//! The running itself is done by the `picket-conformance` program (the crate `tests/conformance`); here it and the
//! component are built. Whose files these are does not matter: Prometheus' own suite is not part of this project.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use clap::Args;

use crate::workspace::{Workspace, cargo};
use crate::{guest, progress};

/// The plugin that answers queries.
const PLUGIN: &str = "promql-rules";

/// What to run.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A folder of `.test` files.
    folder: PathBuf,
}

/// Builds, runs, and fails when a case fails.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let folder = &arguments.folder;
    ensure!(folder.is_dir(), "{} is no folder: name one with `.test` files", folder.display());
    guest::build(workspace, &[PLUGIN])?;
    let mut build = cargo();
    build.current_dir(&workspace.root);
    build.args(["build", "--workspace", "--bin", "picket-conformance"]);
    progress::run("building the runner (the first time this takes minutes)", &mut build)?;
    let mut command = Command::new(workspace.program("dev", "picket-conformance"));
    command.arg(component(workspace)).arg(folder);
    progress::run(&format!("the cases of {}", folder.display()), &mut command)
}

fn component(workspace: &Workspace) -> PathBuf {
    workspace.plugin_folder().join(Path::new(PLUGIN).with_extension("wasm"))
}
