//! Prometheus' `.test` files against the built rules component in the real sandbox, and what to print of it.
//!
//! What a case means and when it passes is `picket::rules::script`'s; here files are found, and results counted.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use picket::agent::StoreReader;
use picket::rules::RulesComponent;
use picket::rules::script::{self, Outcome, Tried};
use picket_sandbox::{Compiler, CompilerConfig, Engine, EngineConfig};

/// The end of the files' names.
const EXTENSION: &str = "test";

/// A program that compiles a component on its standard input.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its absolute path.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// A file and its cases.
#[derive(Debug)]
pub struct File {
    /// Without its folder.
    pub name: String,
    /// In the order of the file.
    pub tried: Vec<Tried>,
}

/// Compiles and links a component. The cache is a folder for this user alone.
pub fn component(file: &Path, cache: &Path, program: Program) -> Result<RulesComponent> {
    let shown = || format!("{}: build it with `cargo xtask build-plugins`", file.display());
    let bytes = std::fs::read(file).with_context(shown)?;
    let engine = Engine::new(EngineConfig::default())?;
    let config = CompilerConfig::new(cache.to_owned(), program.path, program.args);
    let component =
        Compiler::new(engine, config)?.compile(&bytes).with_context(|| file.display().to_string())?;
    Ok(RulesComponent::new(&component, |store| Arc::new(StoreReader(store)))?)
}

/// Runs all files of a folder, by their names; one at least has to be there.
pub fn folder(component: &RulesComponent, folder: &Path) -> Result<Vec<File>> {
    let entries = folder.read_dir().and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let entries = entries.with_context(|| format!("the folder {} cannot be read", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == EXTENSION));
    paths.sort();
    ensure!(!paths.is_empty(), "{} holds no file *.{EXTENSION}", folder.display());
    paths.iter().map(|path| file(component, path)).collect()
}

fn file(component: &RulesComponent, path: &Path) -> Result<File> {
    let shown = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(shown)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(File { name, tried: script::run(component, &text).with_context(shown)? })
}

/// How many of some cases passed, failed and were left out.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Count {
    passed: usize,
    failed: usize,
    left_out: usize,
}

impl Count {
    fn of<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> Self {
        let mut count = Self::default();
        for outcome in outcomes {
            match outcome {
                Outcome::Passed => count.passed += 1,
                Outcome::Failed(_) => count.failed += 1,
                Outcome::LeftOut(_) => count.left_out += 1,
            }
        }
        count
    }

    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.left_out += other.left_out;
    }

    /// Passed of those that ran.
    fn share(self) -> String {
        format!("{}/{}", self.passed, self.passed + self.failed)
    }
}

impl File {
    fn counts(&self) -> [Count; 2] {
        let written = Count::of(self.tried.iter().map(|tried| &tried.outcome));
        [written, Count::of(self.tried.iter().filter_map(|tried| tried.as_range.as_ref()))]
    }
}

/// Whether no case failed, neither as it is written nor as a range.
pub fn passed(files: &[File]) -> bool {
    files.iter().flat_map(File::counts).all(|count| count.failed == 0)
}

/// Each failure and each case left out with its line, and a table of passes by file.
pub fn report(files: &[File]) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail, here and below.
    for File { name, tried } in files {
        for Tried { line, expression, outcome, as_range } in tried {
            let _ = match outcome {
                Outcome::Passed => Ok(()),
                Outcome::Failed(why) => writeln!(text, "{name}:{line}: FAILED: {expression}: {why}"),
                Outcome::LeftOut(why) => writeln!(text, "{name}:{line}: left out: {expression}: {why}"),
            };
            if let Some(Outcome::Failed(why)) = as_range {
                let _ = writeln!(text, "{name}:{line}: FAILED as a range: {expression}: {why}");
            }
        }
    }
    let _ = writeln!(text, "\n{:32} {:>12} {:>12} {:>9}", "file", "as written", "as a range", "left out");
    let mut total = [Count::default(); 2];
    for file in files {
        let [written, range] = file.counts();
        total[0].add(written);
        total[1].add(range);
        line(&mut text, &file.name, written, range);
    }
    line(&mut text, "all", total[0], total[1]);
    text
}

fn line(text: &mut String, name: &str, written: Count, range: Count) {
    let left_out = written.left_out;
    let _ = writeln!(text, "{name:32} {:>12} {:>12} {left_out:>9}", written.share(), range.share());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_every_failure_and_every_case_left_out_with_its_line() {
        let tried =
            |line, outcome, as_range| Tried { line, expression: format!("x{line}"), outcome, as_range };
        let files = [File {
            name: "a.test".into(),
            tried: vec![
                tried(3, Outcome::Passed, Some(Outcome::Passed)),
                tried(5, Outcome::Failed("no".into()), None),
                tried(7, Outcome::LeftOut("why".into()), None),
                tried(9, Outcome::Passed, Some(Outcome::Failed("so".into()))),
            ],
        }];
        let text = report(&files);
        for part in [
            "a.test:5: FAILED: x5: no\n",
            "a.test:7: left out: x7: why\n",
            "a.test:9: FAILED as a range: x9: so\n",
            "2/3          1/2         1\n",
        ] {
            assert!(text.contains(part), "`{part}` is missing in\n{text}");
        }
        assert!(!text.contains("x3") && !passed(&files));
    }
}
