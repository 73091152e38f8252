//! Builds the guests for wasm32-wasip2, and has the crafted components made. Both happen in a target
//! folder of their own below that of the build which needs them, since the outer cargo holds the
//! lock of its own.
#![forbid(unsafe_code)]

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";
/// Variables of the outer build that the inner ones must see all the same.
const KEPT: [&str; 4] = ["CARGO", "CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_HTTP_CAINFO"];
/// The crafting program runs once and for a moment; compiling it well would take longer.
const QUICKLY: &str = "profile.dev.opt-level=0";

fn main() {
    let variable = |name: &str| PathBuf::from(env::var_os(name).expect("cargo sets it for build scripts"));
    let workspace = variable("CARGO_MANIFEST_DIR").join("../..");
    for input in ["tests/guests", "wit", ".cargo/config.toml"] {
        println!("cargo::rerun-if-changed={}", workspace.join(input).display());
    }
    // <target>/<profile>/build/<package>/out
    let out = variable("OUT_DIR");
    let target = out.ancestors().nth(4).expect("OUT_DIR lies that deep").join("guests");

    let mut build = cargo(&workspace, &target, "build");
    build.args(["--package", "picket-guests", "--examples", "--profile", "guest", "--target", TARGET]);
    run(build, &format!("the guests; if their target is missing, run `rustup target add {TARGET}`"));
    let examples = target.join(TARGET).join("guest/examples");
    println!("cargo::rustc-env=PICKET_GUESTS={}", examples.display());

    let crafted = out.join("crafted");
    let mut craft = cargo(&workspace, &target, "run");
    craft.args(["--quiet", "--manifest-path", "tests/guests/craft/Cargo.toml", "--config", QUICKLY, "--"]);
    craft.arg(workspace.join("wit")).arg(&crafted);
    run(craft, "the crafted components");
    println!("cargo::rustc-env=PICKET_CRAFTED={}", crafted.display());
}

fn cargo(workspace: &Path, target: &Path, verb: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").expect("cargo sets it for build scripts"));
    command.current_dir(workspace).args([verb, "--target-dir"]).arg(target);
    // What the outer build is told about itself (flags, wrappers, profiles) is not for these.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let of_the_build =
            text.starts_with("CARGO") || text.starts_with("RUSTC") || text.ends_with("RUSTFLAGS");
        if of_the_build && !KEPT.contains(&&*text) {
            command.env_remove(name);
        }
    }
    command
}

fn run(mut command: Command, what: &str) {
    let status = command.status().expect("cargo can be started");
    assert!(status.success(), "cargo cannot build {what}");
}
