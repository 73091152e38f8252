//! What documents must name, and that what they name exists.

use std::collections::BTreeSet;

use crate::tidy::{Problem, Tree};

const ARCHITECTURE: &str = "ARCHITECTURE.md";
const CAPABILITIES: &str = "wit/capabilities.wit";
const CAPABILITY_FOLDER: &str = "host/sandbox/src/capability";

/// Crates and top-level modules that the map leaves out, and places on the map that do not exist.
pub(super) fn architecture(tree: &Tree) -> Vec<Problem> {
    let Some(text) = tree.get(ARCHITECTURE) else {
        return vec![Problem::at(ARCHITECTURE, 0, "it is missing".to_owned())];
    };
    let crates =
        tree.crates().filter(|folder| !folder.starts_with("plugins/") && !folder.starts_with("tests/"));
    let mut wanted: BTreeSet<String> = crates.map(|folder| format!("`{folder}")).collect();
    wanted.extend(modules(tree).map(|module| format!("`{module}")));
    let mut problems: Vec<Problem> = wanted
        .iter()
        .filter(|name| !text.contains(&format!("{name}`")) && !text.contains(&format!("{name}/")))
        .map(|name| {
            let message = format!("the code map leaves out {name}`: a newcomer looks there first");
            Problem::at(ARCHITECTURE, 0, message)
        })
        .collect();
    for (line, path) in quoted_paths(text) {
        if !tree.has(&path) {
            problems.push(Problem::at(ARCHITECTURE, line, format!("`{path}` does not exist")));
        }
    }
    problems
}

/// The top-level modules of the agent: `sources`, `pipeline` ...
fn modules(tree: &Tree) -> impl Iterator<Item = String> {
    let names: BTreeSet<String> = tree
        .sources()
        .filter_map(|(file, _)| {
            let inside = file.strip_prefix("host/src/")?;
            let name = inside.split('/').next()?.trim_end_matches(".rs");
            (!matches!(name, "lib" | "main" | "bin")).then(|| name.to_owned())
        })
        .collect();
    names.into_iter()
}

/// What stands in backquotes and reads like a path of this repository.
fn quoted_paths(text: &str) -> Vec<(usize, String)> {
    let is_path = |word: &str| {
        word.contains('/')
            && !word.starts_with(['/', '-', '<', '.'])
            && !word.contains(['*', ' ', '$', '{', '(', ':', '<', '='])
            && !word.starts_with("target/")
    };
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let quoted = line.split('`').skip(1).step_by(2);
        found.extend(quoted.filter(|word| is_path(word)).map(|word| (at + 1, word.to_owned())));
    }
    found
}

/// Links between documents that lead nowhere.
pub(super) fn links(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (file, text) in tree.files().filter(|(file, _)| file.ends_with(".md")) {
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (at, line) in text.lines().enumerate() {
            for target in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let target = target.split('#').next().unwrap_or_default();
                if target.is_empty() || target.contains(':') || tree.has(&join(folder, target)) {
                    continue;
                }
                problems.push(Problem::at(file, at + 1, format!("`{target}` does not exist")));
            }
        }
    }
    problems
}

fn join(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// Capability interfaces without a file of their own in the sandbox.
pub(super) fn capabilities(tree: &Tree) -> Vec<Problem> {
    let Some(text) = tree.get(CAPABILITIES) else { return Vec::new() };
    text.lines()
        .enumerate()
        .filter_map(|(at, line)| Some((at + 1, line.strip_prefix("interface ")?.split([' ', '{']).next()?)))
        .filter(|(_, name)| !tree.has(&format!("{CAPABILITY_FOLDER}/{}.rs", name.replace('-', "_"))))
        .map(|(line, name)| {
            let message =
                format!("`{name}` has no {CAPABILITY_FOLDER}/{name}.rs: one interface, one file in the host");
            Problem::at(CAPABILITIES, line, message)
        })
        .collect()
}
