//! Builds everything the tests need and runs them all, with the reduced counts of `counts`.

use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result};
use clap::Args;

use crate::workspace::{Workspace, cargo};
use crate::{counts, guest, progress, servers, tidy};

/// Plugins on the bare bindings export names that only a linker of components takes.
pub(crate) const NOT_NATIVE: [&str; 2] = ["--exclude", "picket-guests"];

/// What to test.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Names for cargo's test runner, to run only the tests that hold one of them.
    filters: Vec<String>,
}

/// Runs the rules, the documentation's examples and all tests, in this order: a broken rule
/// shows at once, and the test runner's closing line stands last but for the tests that were left out.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    progress::step("checking the rules (tidy)");
    tidy::run(&workspace.root)?;
    let built = guest::Built::for_tests(workspace)?;

    let mut command = cargo();
    command.current_dir(&workspace.root);
    // Not `--package` for each: the whole workspace resolves to one set of features, and what is
    // compiled for the tests serves `cargo xtask demo` too.
    if has_nextest() {
        let mut examples = cargo();
        examples.current_dir(&workspace.root).args(["test", "--doc", "--package", "picket-sdk"]);
        progress::run("the SDK's documentation examples", &mut examples)?;
        command
            .args(["nextest", "run", "--workspace", "--no-fail-fast"])
            .args(NOT_NATIVE)
            .args(&arguments.filters);
    } else {
        command
            .args(["test", "--workspace", "--no-fail-fast"])
            .args(NOT_NATIVE)
            .arg("--")
            .args(&arguments.filters);
    }
    built.name_to(&mut command);
    counts::set(&mut command, false);
    let left_out = workspace.target.join("left-out.txt");
    if left_out.exists() {
        fs::remove_file(&left_out).with_context(|| format!("cannot remove {}", left_out.display()))?;
    }
    command.env(servers::LEFT_OUT, &left_out);
    let ran = progress::run("all tests, with reduced counts", &mut command);
    servers::report(&left_out)?;
    ran
}

/// Whether the faster test runner is there; it also shows which test runs too long.
pub(crate) fn has_nextest() -> bool {
    let status = cargo().args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
