//! What holds for each Rust file: how it opens, how long it is, that it does not unwrap.

use crate::tidy::rules::{LONG_FILE_LINES, LONG_FILE_REASON, MEDIAN_LINES, NINTH_DECILE_LINES, UNSAFE_ROOTS};
use crate::tidy::{Problem, Tree};

/// Files that tidy itself cannot read.
pub(super) fn readable(tree: &Tree) -> Vec<Problem> {
    tree.sources()
        .filter_map(|(file, source)| {
            let error = source.error.as_ref()?;
            Some(Problem::at(file, 0, format!("tidy cannot read it as Rust: {error}")))
        })
        .collect()
}

/// Files that do not say what they are for.
pub(super) fn headers(tree: &Tree) -> Vec<Problem> {
    tree.files()
        .filter(|(file, text)| file.ends_with(".rs") && !text.starts_with("//!"))
        .map(|(file, _)| {
            Problem::at(file, 1, "a file opens with `//!` and says what it is for and what it does not do")
        })
        .collect()
}

/// Places that panic without saying why they cannot.
pub(super) fn unwraps(tree: &Tree) -> Vec<Problem> {
    tree.sources()
        .flat_map(|(file, source)| source.unwraps.iter().map(move |line| (file, *line)))
        .map(|(file, line)| {
            Problem::at(file, line, "outside tests write `expect(\"why it cannot fail\")`, or handle it")
        })
        .collect()
}

/// Files that are too long, one by one and together.
pub(super) fn sizes(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut sizes: Vec<usize> = Vec::new();
    for (file, source) in tree.sources().filter(|(_, source)| !source.is_test) {
        sizes.push(source.lines);
        let has_reason = tree.get(file).is_some_and(|text| text.contains(LONG_FILE_REASON));
        if source.lines > LONG_FILE_LINES && !has_reason {
            let message = format!(
                "{} lines without tests: split it, or say why not in a line `{LONG_FILE_REASON} ...`",
                source.lines
            );
            problems.push(Problem::at(file, 0, message));
        }
    }
    sizes.sort_unstable();
    for (share, bound, name) in [(50, MEDIAN_LINES, "median"), (90, NINTH_DECILE_LINES, "90th percentile")] {
        let Some(found) = percentile(&sizes, share).filter(|found| *found > bound) else { continue };
        let message =
            format!("the {name} of the files' lengths is {found} lines, the bound {bound}: split files");
        problems.push(Problem::at("", 0, message));
    }
    problems
}

fn percentile(sorted: &[usize], share: usize) -> Option<usize> {
    sorted.get((sorted.len() * share / 100).min(sorted.len().checked_sub(1)?)).copied()
}

/// Crate roots that leave unsafe code possible.
pub(super) fn unsafe_code(tree: &Tree) -> Vec<Problem> {
    let is_root = |file: &str, folder: &str| {
        let Some(inside) = file.strip_prefix(folder) else { return false };
        matches!(inside, "/src/lib.rs" | "/src/main.rs") || inside.starts_with("/src/bin/")
    };
    let excepted = |file: &str| UNSAFE_ROOTS.iter().any(|(root, _)| *root == file);
    tree.crates()
        .flat_map(|folder| tree.files().filter(move |(file, _)| is_root(file, folder)))
        .filter(|(file, text)| !excepted(file) && !text.contains("#![forbid(unsafe_code)]"))
        .map(|(file, _)| {
            Problem::at(
                file,
                1,
                "a crate root has `#![forbid(unsafe_code)]`; exceptions stand in tidy's rules",
            )
        })
        .collect()
}
