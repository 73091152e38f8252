//! Checks the rules that the compiler does not: who may import whom, how a file opens, how long
//! it is, what the documents must name. Run by `cargo xtask tidy` and by `cargo test -p xtask`.
//!
//! The rules are data in `rules`; each check is a function from the [`Tree`] of files to
//! [`Problem`]s, so that tests can show a check a tree that breaks it. Nothing is repaired here.

mod checks;
mod rules;
mod rust;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};

pub(crate) use tree::Tree;

/// A broken rule, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    /// The file, from the workspace's root; empty when the problem is the whole's.
    pub file: String,
    /// Counted from 1; 0 when it is the whole file.
    pub line: usize,
    /// The rule's name; [`check`] fills it in.
    pub rule: &'static str,
    /// What is wrong, and why that is a rule.
    pub message: String,
}

impl Problem {
    /// A problem at a place.
    pub(crate) fn at(file: &str, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, rule: "", message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file.as_str(), self.line) {
            ("", _) => write!(f, "workspace: ")?,
            (file, 0) => write!(f, "{file}: ")?,
            (file, line) => write!(f, "{file}:{line}: ")?,
        }
        write!(f, "[{}] {}", self.rule, self.message)
    }
}

/// Checks the workspace and prints what is wrong.
pub(crate) fn run(root: &Path) -> Result<()> {
    let tree = Tree::read(root)?;
    let problems = check(&tree);
    for problem in &problems {
        eprintln!("{problem}");
    }
    if !problems.is_empty() {
        bail!("tidy: {} broken rule(s)", problems.len());
    }
    eprintln!("tidy: {} files, no rule broken", tree.len());
    Ok(())
}

/// Applies every check, and sorts what they say by place.
pub(crate) fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems: Vec<Problem> = checks::ALL
        .iter()
        .flat_map(|(rule, find)| find(tree).into_iter().map(|problem| Problem { rule, ..problem }))
        .collect();
    problems.sort();
    problems
}
