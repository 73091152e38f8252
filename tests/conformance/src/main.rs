//! `picket-conformance COMPONENT FOLDER`: runs the `.test` files of a folder and prints passes by file; ends with 1
//! when a case failed. `cargo xtask promql-conformance FOLDER` builds what it needs and starts it.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use picket_conformance::{Program, component, folder, passed, report};

/// The argument with which this program compiles the component on standard input.
const COMPILE: &str = "__compile";

fn main() -> ExitCode {
    let words: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if words.first().is_some_and(|word| word.as_os_str() == COMPILE) {
        return picket::agent::compile_child();
    }
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[PathBuf]) -> Result<bool> {
    let [file, tests] = words else { bail!("a component and a folder of `.test` files are expected") };
    let program = Program { path: std::env::current_exe()?, args: vec![COMPILE.into()] };
    let cache = picket::config::paths::cache_dir().join("compiled");
    let files = folder(&component(file, &cache, program)?, tests)?;
    println!("{}", report(&files));
    Ok(passed(&files))
}
