//! `picket plugin build`: runs cargo for the target of plugins and puts the component beside the project.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use serde_json::Value;

use super::super::Failure;
use super::super::global::Global;
use super::super::output::{self, Output, bytes};

/// What plugins are compiled for.
const TARGET: &str = "wasm32-wasip2";
/// memchr and the like run twice as fast with SIMD; every agent supports it.
const FLAGS: &str = "-Ctarget-feature=+simd128";

/// Of `picket plugin build`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The project's folder.
    #[arg(default_value = ".", value_name = "FOLDER")]
    folder: PathBuf,
    /// Without optimisation: faster to build, slower to run, with names in traps.
    #[arg(long)]
    debug: bool,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Result<(), Failure> {
    let component = build(&arguments.folder, arguments.debug)?;
    let size = fs::metadata(&component)?.len();
    match global.output {
        Output::Json => output::json(&serde_json::json!({ "component": component, "bytes": size }))?,
        Output::Text => output::text(&format!("{} ({})\n", component.display(), bytes(size)))?,
    }
    Ok(())
}

/// Builds the project in a folder; gives the component's path.
pub(super) fn build(folder: &Path, debug: bool) -> anyhow::Result<PathBuf> {
    let manifest = folder.join("Cargo.toml");
    let manifest = manifest
        .canonicalize()
        .with_context(|| format!("{} is no project: it has no Cargo.toml", folder.display()))?;
    ensure_target()?;
    let mut command = Command::new(cargo());
    command.arg("build").arg("--manifest-path").arg(&manifest).args(["--target", TARGET]);
    command.args(["--message-format", "json-render-diagnostics"]);
    if !debug {
        command.arg("--release");
    }
    let variable = "CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS";
    let mut flags = std::env::var_os(variable).unwrap_or_default();
    if !flags.is_empty() {
        flags.push(" ");
    }
    flags.push(FLAGS);
    let mut child =
        command.env(variable, flags).stdout(Stdio::piped()).spawn().map_err(|error| {
            anyhow!("cargo cannot be started ({error}); install Rust from https://rustup.rs")
        })?;
    let stdout = child.stdout.take().context("cargo's output cannot be read")?;
    let mut built = None;
    for line in BufReader::new(stdout).lines() {
        let message: Value = serde_json::from_str(&line?).unwrap_or_default();
        built = artifact(&message, &manifest).or(built);
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("cargo ended with {status}; what it said stands above");
    }
    let (name, file) = built.with_context(|| {
        format!("{} makes no component; add `[lib] crate-type = [\"cdylib\", \"rlib\"]`", manifest.display())
    })?;
    let component = manifest.with_file_name(format!("{name}.wasm"));
    install(&file, &component).with_context(|| format!("{} cannot be written", component.display()))?;
    Ok(component)
}

/// The cargo that runs us, else the one in the path.
pub(super) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The package's name and the component, when cargo's message is about it.
fn artifact(message: &Value, manifest: &Path) -> Option<(String, PathBuf)> {
    let is_ours = message["reason"] == "compiler-artifact"
        && message["manifest_path"].as_str().map(Path::new) == Some(manifest);
    let file = message["filenames"]
        .as_array()?
        .iter()
        .filter_map(Value::as_str)
        .find(|file| file.ends_with(".wasm"))?;
    // cargo writes crate names with underscores; a plugin is called as its package.
    let package = message["package_id"].as_str()?;
    let after_hash = package.rsplit('#').next()?;
    let name = match after_hash.split_once('@') {
        Some((name, _)) => name.to_owned(),
        // A package that is called as its folder has its version alone there.
        None => manifest.parent()?.file_name()?.to_str()?.to_owned(),
    };
    is_ours.then(|| (name, file.into()))
}

fn ensure_target() -> anyhow::Result<()> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .stderr(Stdio::null())
        .output()
        .map_err(|error| anyhow!("rustc cannot be started ({error}); install Rust from https://rustup.rs"))?;
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let holds_core = |entry: fs::DirEntry| entry.file_name().to_string_lossy().starts_with("libcore");
    let is_there = fs::read_dir(&folder).is_ok_and(|entries| entries.flatten().any(holds_core));
    match is_there {
        true => Ok(()),
        false => {
            bail!("the compile target {TARGET} is not installed; add it with `rustup target add {TARGET}`")
        }
    }
}

/// Puts the file into place as a whole, closed to other writers: an agent may watch the folder, and
/// refuses components that anybody could have written.
fn install(from: &Path, to: &Path) -> std::io::Result<()> {
    let staged = to.with_extension("wasm.part");
    fs::copy(from, &staged)?;
    fs::set_permissions(&staged, fs::Permissions::from_mode(0o644))?;
    fs::rename(&staged, to)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn check(package_id: &str, expected: Option<&str>) {
        let message = serde_json::json!({
            "reason": "compiler-artifact",
            "manifest_path": "/x/my-rule/Cargo.toml",
            "package_id": package_id,
            "filenames": ["/x/libmy_rule.rlib", "/x/my_rule.wasm"],
        });
        let found = artifact(&message, Path::new("/x/my-rule/Cargo.toml"));
        assert_eq!(found.map(|(name, _)| name).as_deref(), expected, "{package_id}");
        assert_eq!(artifact(&message, Path::new("/y/Cargo.toml")), None);
    }

    #[test]
    fn the_component_is_called_as_its_package() {
        check("path+file:///x/my-rule#0.1.0", Some("my-rule"));
        check("path+file:///x/folder#my-rule@0.1.0", Some("my-rule"));
    }
}
