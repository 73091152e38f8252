//! What a process uses together with its children and theirs, as `/proc` says.

use std::fs;

use anyhow::{Context, Result};

use crate::process::{cpu_seconds_with_children, memory};

/// CPU time of a process and of all below it, in seconds: of those that live, and of those that were waited for.
pub(super) fn cpu(id: u32) -> Result<f64> {
    let used = |id| cpu_seconds_with_children(id).or_else(|error| unless_gone(id, error));
    below(id)?.into_iter().map(used).sum()
}

/// Their resident memory, in bytes.
pub(super) fn resident(id: u32) -> Result<f64> {
    let used = |id| memory(id, "VmRSS:").or_else(|error| unless_gone(id, error));
    below(id)?.into_iter().map(used).sum()
}

/// A child may end while it is looked at, and uses nothing then.
fn unless_gone(id: u32, error: anyhow::Error) -> Result<f64> {
    let lives = fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|text| !text.contains(") Z "));
    if lives { Err(error) } else { Ok(0.0) }
}

/// The process, which has to be there, and all below it.
fn below(id: u32) -> Result<Vec<u32>> {
    let lives = memory(id, "VmRSS:").map(|_| vec![id]);
    let mut tree = lives.with_context(|| format!("the process {id} has ended; its log says why"))?;
    let parents = parents()?;
    let mut next = 0;
    while let Some(parent) = tree.get(next).copied() {
        tree.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id));
        next += 1;
    }
    Ok(tree)
}

/// Each process with its parent.
fn parents() -> Result<Vec<(u32, u32)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may have ended meanwhile.
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        found.extend(parent(&stat).map(|parent| (id, parent)));
    }
    Ok(found)
}

/// Behind the name, which may hold blanks and parentheses, stand the state and the parent.
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_parent_stands_behind_the_name() {
        assert_eq!(parent("42 (a) b (c)) S 17 42 42 0"), Some(17));
        assert_eq!(parent("42 (x"), None);
    }

    #[test]
    fn a_child_counts_for_its_parent() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let own = std::process::id();
        assert!(below(own).unwrap().contains(&child.id()));
        assert!(resident(own).unwrap() > memory(child.id(), "VmRSS:").unwrap());
        assert!(cpu(own).unwrap() >= 0.0);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(resident(child.id()).is_err(), "it has ended");
    }
}
