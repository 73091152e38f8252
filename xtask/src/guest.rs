//! Builds the first-party plugins as components, and adds the compile target that needs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::progress;
use crate::workspace::{Workspace, cargo};

/// What plugins are compiled for.
pub(crate) const TARGET: &str = "wasm32-wasip2";

/// Makes sure that the guests' standard library is installed, and installs it if it is not.
pub(crate) fn ensure_target() -> Result<()> {
    if target_is_installed()? {
        return Ok(());
    }
    progress::step(&format!("the compile target {TARGET} is missing: adding it"));
    let added = Command::new("rustup").args(["target", "add", TARGET]).status();
    match added {
        Ok(status) if status.success() && target_is_installed()? => Ok(()),
        Ok(status) if status.success() => bail!(
            "rustup added {TARGET}, but `rustc` does not find it: rustc and rustup belong to different \
             installations. Put rustup's `~/.cargo/bin` first in PATH and try again."
        ),
        Ok(status) => bail!(
            "`rustup target add {TARGET}` ended with {status}. It needs the network once; behind a proxy \
             set HTTPS_PROXY. Run it by hand, then repeat this command."
        ),
        Err(error) => bail!(
            "`rustup` cannot be started ({error}), so the compile target {TARGET} cannot be added. \
             Install Rust with rustup, or your distribution's package of the standard library for \
             {TARGET}, then repeat this command."
        ),
    }
}

fn target_is_installed() -> Result<bool> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .stderr(Stdio::null())
        .output()
        .context("cannot start rustc; install Rust first")?;
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    Ok(output.status.success() && holds_a_library(&folder))
}

fn holds_a_library(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libcore"))
}

/// Builds all first-party plugins into `target/plugins/NAME.wasm` and says where they are.
pub(crate) fn build_plugins(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let names: Vec<&str> = workspace.plugins().map(|member| member.name.as_str()).collect();
    build(workspace, &names)
}

/// Builds members that are plugins, likewise.
pub(crate) fn build(workspace: &Workspace, names: &[&str]) -> Result<Vec<PathBuf>> {
    ensure_target()?;
    ensure!(!names.is_empty(), "there is no plugin below {}", workspace.root.join("plugins").display());
    let mut command = guest_build(workspace);
    for name in names {
        command.args(["--package", name]);
    }
    progress::run(&format!("building the plugins {}", names.join(", ")), &mut command)?;

    let built = workspace.target.join(TARGET).join("guest");
    let folder = workspace.plugin_folder();
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // The agent refuses what anybody but its own user or root could have written.
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
    names
        .iter()
        .map(|name| {
            let from = built.join(format!("{}.wasm", name.replace('-', "_")));
            let to = folder.join(format!("{name}.wasm"));
            install(&from, &to).with_context(|| format!("cannot put the plugin {name} into place"))?;
            Ok(to)
        })
        .collect()
}

/// What tests run besides themselves, built once so that they need not build it.
pub(crate) struct Built {
    agent: PathBuf,
    plugins: PathBuf,
    guests: PathBuf,
}

impl Built {
    /// Builds the agent, the first-party plugins, and the plugins that only tests use.
    pub(crate) fn for_tests(workspace: &Workspace) -> Result<Self> {
        build_plugins(workspace)?;
        let guests: Vec<&str> = workspace.test_guests().map(|member| member.name.as_str()).collect();
        if !guests.is_empty() {
            let mut command = guest_build(workspace);
            command.arg("--examples");
            for name in guests {
                command.args(["--package", name]);
            }
            progress::run("building the plugins that only tests use", &mut command)?;
        }
        Ok(Self {
            agent: build_agent(workspace)?,
            plugins: workspace.plugin_folder(),
            guests: workspace.target.join(TARGET).join("guest"),
        })
    }

    /// Tells a test run where they are.
    pub(crate) fn name_to(&self, command: &mut Command) {
        command.env("PICKET_BIN", &self.agent);
        command.env("PICKET_PLUGINS", &self.plugins);
        command.env("PICKET_GUESTS", &self.guests);
    }
}

/// Builds the agent in the profile of everyday work, and says where it is. The whole workspace resolves to
/// one set of features, so that what is compiled here serves the tests too.
pub(crate) fn build_agent(workspace: &Workspace) -> Result<PathBuf> {
    let mut command = cargo();
    command.current_dir(&workspace.root).args(["build", "--workspace", "--bin", "picket"]);
    progress::run("building the agent (the first time this takes minutes)", &mut command)?;
    Ok(workspace.program("dev", "picket"))
}

fn guest_build(workspace: &Workspace) -> Command {
    let mut command = cargo();
    command.current_dir(&workspace.root);
    command.args(["build", "--profile", "guest", "--target", TARGET]);
    command
}

/// Puts a file into place as a whole, and leaves it alone when nothing changed: a running agent
/// watches the folder.
fn install(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    let staged = to.with_extension("wasm.part");
    fs::write(&staged, &bytes)?;
    fs::set_permissions(&staged, fs::Permissions::from_mode(0o644))?;
    fs::rename(&staged, to)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn installing_writes_a_file_that_only_the_owner_can_change() {
        let folder = std::env::temp_dir().join(format!("xtask-install-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (from, to) = (folder.join("a_b.wasm"), folder.join("a-b.wasm"));
        fs::write(&from, b"component").unwrap();
        install(&from, &to).unwrap();
        let first = fs::metadata(&to).unwrap();
        assert_eq!(first.permissions().mode() & 0o777, 0o644);
        install(&from, &to).unwrap();
        assert_eq!(fs::metadata(&to).unwrap().modified().unwrap(), first.modified().unwrap());
        fs::remove_dir_all(&folder).unwrap();
    }
}
