//! Runs every target for a number of inputs: none may break, and what once broke stays mended.

use std::collections::HashSet;
use std::time::Duration;

use picket_fuzz::{Limits, TARGETS, folder, fuzz, load};

/// Without the environment: enough to notice that a target is broken outright.
const RUNS: u64 = 500;

/// How many inputs each target gets; `cargo xtask` sets it.
fn runs() -> u64 {
    match std::env::var("PICKET_FUZZ_RUNS") {
        Ok(text) => text.parse().expect("PICKET_FUZZ_RUNS is a number"),
        Err(_) => RUNS,
    }
}

#[test]
fn soak_no_input_breaks_a_parser() {
    let limits = Limits { runs: runs(), time: Duration::MAX };
    let mut broken = Vec::new();
    for target in TARGETS {
        let inputs = load(target).expect("the inputs are in the repository");
        assert!(!inputs.is_empty(), "{} has nothing to start from", target.name);
        match fuzz(target, inputs, 1, limits) {
            Ok(done) => {
                println!("{}: {} runs, {} shapes", target.name, done.runs, done.shapes);
                assert!(done.shapes > 1, "{}: every input looks the same to it", target.name);
            }
            Err(crash) => broken.push(crash.report(target)),
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn names_are_unique_and_every_corpus_folder_has_its_target() {
    let names: HashSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names.len(), TARGETS.len());
    let corpus = folder(&TARGETS[0]);
    let corpus = corpus.parent().expect("a target's folder lies in the corpus");
    for entry in std::fs::read_dir(corpus).into_iter().flatten().flatten() {
        let name = entry.file_name();
        assert!(names.contains(&*name.to_string_lossy()), "corpus/{} has no target", name.display());
    }
}
