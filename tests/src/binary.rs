//! Where the agent, the first-party plugins and the test guests are built.
//!
//! What an environment variable names was built by `cargo xtask test`; without it, cargo is asked to build
//! it here, so that a bare `cargo test` works too.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The `picket` binary.
pub fn picket() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        if let Some(path) = std::env::var_os("PICKET_BIN") {
            return path.into();
        }
        cargo(&["build", "--quiet", "--package", "picket", "--bin", "picket"]);
        target().join("debug/picket")
    })
}

/// A first-party plugin's component, such as `access-log`.
pub fn plugin(name: &str) -> PathBuf {
    existing(plugin_folder(), name)
}

/// Where the first-party plugins' components are.
pub(crate) fn plugin_folder() -> PathBuf {
    component_folder(
        "PICKET_PLUGINS",
        &[
            "--package",
            "access-log",
            "--package",
            "auth-guard",
            "--package",
            "log-patterns",
            "--package",
            "file-guard",
            "--package",
            "promql-rules",
            "--package",
            "thresholds",
        ],
    )
}

/// A test plugin's component: the file `tests/plugins/examples/NAME.rs`.
pub fn guest(name: &str) -> PathBuf {
    let folder = component_folder("PICKET_GUESTS", &["--package", "picket-test-plugins", "--examples"]);
    existing(folder, name)
}

/// A guest on the bare bindings (`tests/guests/examples`), or a crafted component (`tests/guests/craft`).
pub fn hostile(name: &str) -> PathBuf {
    picket_guests_build::path(name)
}

/// A file of `tests/samples`.
pub fn sample(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name);
    assert!(path.exists(), "{} is missing: the clone is incomplete", path.display());
    path
}

fn existing(folder: PathBuf, name: &str) -> PathBuf {
    let file = format!("{}.wasm", name.replace('-', "_"));
    [folder.join(format!("{name}.wasm")), folder.join(&file), folder.join("examples").join(&file)]
        .into_iter()
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("there is no component {name} in {}", folder.display()))
}

/// Builds components once for each process; cargo itself builds them once at all.
fn component_folder(variable: &str, packages: &[&str]) -> PathBuf {
    if let Some(folder) = std::env::var_os(variable) {
        return folder.into();
    }
    let mut args = vec!["build", "--quiet", "--target", "wasm32-wasip2", "--profile", "guest"];
    args.extend(packages);
    cargo(&args);
    target().join("wasm32-wasip2/guest")
}

fn cargo(args: &[&str]) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(args)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()
        .expect("cargo starts");
    assert!(status.success(), "cargo {args:?} failed");
}

/// The target folder that this test was built in.
pub(crate) fn target() -> PathBuf {
    let executable = std::env::current_exe().expect("a process knows its executable");
    let debug = executable.ancestors().find(|path| path.ends_with("debug") || path.ends_with("release"));
    debug.and_then(Path::parent).expect("tests run below the target folder").to_owned()
}

/// Compiled components are shared by all nodes of a test run.
pub fn cache() -> PathBuf {
    std::env::temp_dir().join(format!("picket-test-cache-{}", rustix::process::geteuid().as_raw()))
}
