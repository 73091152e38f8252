//! Where inputs come from: the target's folder in `fuzz/corpus/`, sample files, built-in seeds.
//!
//! The folder is committed. It holds what once broke something, and what a mutation would not find.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::Target;

/// How many lines of a sample file make one input.
const LINES: usize = 8;

/// How many inputs are taken of one sample file, spread over it.
const INPUTS: usize = 12;

/// The target's committed inputs.
pub fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

/// All inputs to start from. Fails on files that cannot be read: a missing sample would be a silent
/// loss.
pub fn load(target: &Target) -> Result<Vec<Vec<u8>>> {
    let mut inputs = (target.seeds)();
    let folder = folder(target);
    if folder.is_dir() {
        let mut paths: Vec<PathBuf> =
            fs::read_dir(&folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
        paths.sort();
        for path in paths {
            inputs.push(fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for sample in target.samples {
        let path = root.join(sample);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        inputs.extend(windows(&bytes));
    }
    Ok(inputs)
}

/// Runs of lines, spread evenly over a file.
fn windows(bytes: &[u8]) -> Vec<Vec<u8>> {
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let runs: Vec<&[&[u8]]> = lines.chunks(LINES).collect();
    let step = runs.len().div_ceil(INPUTS).max(1);
    runs.iter().step_by(step).map(|run| run.concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_spread_over_the_file() {
        let text: String = (0..1000).map(|line| format!("line {line}\n")).collect();
        let windows = windows(text.as_bytes());
        assert!(windows.len() <= INPUTS);
        assert!(windows[0].starts_with(b"line 0\nline 1\n"));
        assert!(windows.last().is_some_and(|last| last.starts_with(b"line 9")));
    }
}
