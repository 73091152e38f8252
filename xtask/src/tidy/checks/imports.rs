//! Who may name whom: the fences and walls of `rules`.

use crate::tidy::rules::{FENCES, WALLS};
use crate::tidy::rust::Name;
use crate::tidy::{Problem, Tree};

/// Crates that see insides to test and to measure them.
const INSTRUMENTS: &[&str] = &["bench/", "fuzz/"];

/// Names that stand outside their fence.
pub(super) fn fences(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for fence in FENCES {
        for (file, source) in tree.sources() {
            if fence.only_in.iter().any(|place| file.starts_with(place)) {
                continue;
            }
            let tests = INSTRUMENTS.iter().any(|folder| file.starts_with(folder));
            let outside = source
                .names
                .iter()
                .filter(|name| begins(name, fence.path) && !(fence.tests_may && (tests || name.in_test)));
            problems.extend(outside.map(|name| {
                let places = fence.only_in.join(", ");
                let message = format!("`{}` may be named only in {places}: {}", fence.path, fence.reason);
                Problem::at(file, name.line, message)
            }));
        }
    }
    problems
}

/// Names on the far side of a wall.
pub(super) fn walls(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for wall in WALLS {
        for (file, source) in tree.sources().filter(|(file, _)| file.starts_with(wall.from)) {
            for name in source.names.iter().filter(|name| !name.in_test) {
                let Some(crossed) = wall.not.iter().find(|path| begins(name, path)) else { continue };
                if wall.except.iter().any(|path| begins(name, path)) {
                    continue;
                }
                let message = format!("{} may not name `{crossed}`: {}", wall.from, wall.reason);
                problems.push(Problem::at(file, name.line, message));
            }
        }
    }
    problems
}

fn begins(name: &Name, path: &str) -> bool {
    let mut parts = name.path.iter();
    path.split("::").all(|wanted| parts.next().is_some_and(|part| part == wanted))
}
