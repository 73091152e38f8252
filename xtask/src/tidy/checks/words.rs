//! What no text file may say: that something is unfinished, or where somebody's machine keeps it.

use crate::tidy::{Problem, Tree};

/// Cargo writes it, and a registry's address with it.
const LOCK_FILE: &str = "Cargo.lock";

/// Words for work that was put off. In two pieces each, or this file would break its own rule.
const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];

/// Beginnings of paths that exist on one machine only. The folders of users are not among them: log
/// lines are full of them.
const FOLDERS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/Us", "ers/")];

/// Hosts of package registries; cargo knows where to find crates, nothing else has to.
const REGISTRIES: &[&str] = &[
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("registry.npm", "js.org"),
    concat!("proxy.go", "lang.org"),
];

/// Lines that say something is unfinished.
pub(super) fn unfinished(tree: &Tree) -> Vec<Problem> {
    let says_so = |line: &str| UNFINISHED.iter().any(|word| holds_word(line, word));
    find(tree, says_so, "finish it, or open an issue and say there what is missing")
}

/// Lines that name a folder of one machine.
pub(super) fn machine_paths(tree: &Tree) -> Vec<Problem> {
    let names_one = |line: &str| {
        tree.machine_paths.iter().any(|path| line.contains(path.as_str()))
            || FOLDERS.iter().any(|folder| holds_path(line, folder))
    };
    find(tree, names_one, "it exists on one machine only")
}

/// Lines that name a registry's host.
pub(super) fn registry_hosts(tree: &Tree) -> Vec<Problem> {
    let names_one = |line: &str| REGISTRIES.iter().any(|host| line.contains(host));
    find(tree, names_one, "mirrors and air gaps are set up in the tools' own configuration")
}

fn find(tree: &Tree, bad: impl Fn(&str) -> bool, reason: &str) -> Vec<Problem> {
    tree.files()
        .filter(|(file, _)| *file != LOCK_FILE)
        .flat_map(|(file, text)| text.lines().enumerate().map(move |(at, line)| (file, at + 1, line)))
        .filter(|(_, _, line)| bad(line))
        .map(|(file, line, text)| {
            let start: String = text.trim().chars().take(60).collect();
            Problem::at(file, line, format!("`{start}`: {reason}"))
        })
        .collect()
}

fn holds_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

/// Whether a path begins in this folder; `tests/` + the folder's name within a path is another one.
fn holds_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        !line[..at]
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '*' | '_' | '-' | '}'))
    })
}
