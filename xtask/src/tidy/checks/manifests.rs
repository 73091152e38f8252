//! What holds for each crate's Cargo.toml: shared lints, shared versions.

use toml::{Table, Value};

use crate::tidy::{Problem, Tree};

fn manifests(tree: &Tree) -> impl Iterator<Item = (String, Table)> {
    tree.crates().map(|folder| {
        let file = format!("{folder}/Cargo.toml");
        let table = tree.get(&file).and_then(|text| text.parse().ok()).unwrap_or_default();
        (file, table)
    })
}

/// The crates of the workspace: its members, and what stands for them.
fn is_member(file: &str) -> bool {
    // Guests of the integration tests and templates are workspaces of their own.
    !file.starts_with("tests/guests/") && !file.contains("/template")
}

/// Crates that opt out of the shared lints.
pub(super) fn lints(tree: &Tree) -> Vec<Problem> {
    manifests(tree)
        .filter(|(file, _)| is_member(file))
        .filter(|(_, table)| {
            let shared = table.get("lints").and_then(|lints| lints.get("workspace")).and_then(Value::as_bool);
            shared != Some(true)
        })
        .map(|(file, _)| {
            Problem::at(&file, 0, "a crate has `[lints] workspace = true`: one taste for all of them")
        })
        .collect()
}

/// Dependencies whose version is not the workspace's.
pub(super) fn dependencies(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (file, table) in manifests(tree).filter(|(file, _)| is_member(file)) {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = table.get(section).and_then(Value::as_table) else { continue };
            for (name, value) in dependencies {
                if value.get("workspace").and_then(Value::as_bool) != Some(true) {
                    let line = line_of(tree, &file, name);
                    let message =
                        format!("`{name}` takes its version from [workspace.dependencies], so there is one");
                    problems.push(Problem::at(&file, line, message));
                }
            }
        }
    }
    problems
}

fn line_of(tree: &Tree, file: &str, name: &str) -> usize {
    let text = tree.get(file).unwrap_or_default();
    text.lines().position(|line| line.starts_with(name)).map_or(0, |at| at + 1)
}
