//! Runs cases in the format of Prometheus' own PromQL tests: those of this project, and those of the folder that
//! the environment variable `PICKET_PROMQL_TESTS` names.
#![allow(clippy::unwrap_used, reason = "tests")]

mod case;
mod notation;
mod store;

use std::path::Path;

use case::{Verdict, run};
use notation::{blocks, duration, line};
use store::Store;

/// What Prometheus' own runner allows a query.
const MAX_SAMPLES: usize = 10_000;

#[derive(Debug, Default)]
struct Outcome {
    passed: usize,
    left_out: Vec<String>,
    failed: Vec<String>,
}

fn run_text(name: &str, text: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let mut store = Store::default();
    for block in blocks(text) {
        let mut words = block.lines[0].split_whitespace();
        let command = words.next().unwrap().to_lowercase();
        if command == "clear" {
            store = Store::default();
        } else if command.starts_with("load") {
            let step = duration(words.next().unwrap()).unwrap();
            // Start timestamps stand before the samples of their series and mean nothing here.
            for text in block.lines[1..].iter().filter(|text| !text.contains("@st ")) {
                match line(text) {
                    Some(line) => store.load(line, step, command == "load_with_nhcb"),
                    None => outcome.failed.push(format!("{name}:{}: cannot read {text}", block.number)),
                }
            }
        } else {
            match run(&block, &mut store, MAX_SAMPLES) {
                Verdict::Passed => outcome.passed += 1,
                Verdict::LeftOut(reason) => {
                    outcome.left_out.push(format!("{name}:{}: {reason}", block.number))
                }
                Verdict::Failed(reason) => outcome.failed.push(format!("{name}:{}: {reason}", block.number)),
            }
        }
    }
    outcome
}

fn run_folder(folder: &Path, show_left_out: bool) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == "test")).collect();
    files.sort();
    assert!(!files.is_empty(), "no .test file in {}", folder.display());
    let mut failed = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let outcome = run_text(&name, &std::fs::read_to_string(&file).unwrap());
        let (left_out, bad) = (outcome.left_out.len(), outcome.failed.len());
        println!("{name}: {} passed, {left_out} left out, {bad} failed", outcome.passed);
        if show_left_out {
            outcome.left_out.iter().for_each(|reason| println!("  left out {reason}"));
        }
        failed.extend(outcome.failed);
    }
    failed
}

#[test]
fn our_own_cases_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let failed = run_folder(&folder, false);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn the_cases_of_a_folder_pass() {
    let Some(folder) = std::env::var_os("PICKET_PROMQL_TESTS") else {
        println!("PICKET_PROMQL_TESTS names no folder: nothing to run");
        return;
    };
    let failed = run_folder(Path::new(&folder), true);
    assert!(failed.is_empty(), "{} cases fail:\n{}", failed.len(), failed.join("\n"));
}
