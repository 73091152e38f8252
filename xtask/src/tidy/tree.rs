//! The files that tidy looks at: the repository's text, by path from the root.
//!
//! Sample input and corpora are data, not text of ours, and are left out; so is what git ignores.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::rust::Source;

/// Folders that hold no text of ours.
const LEFT_OUT: &[&str] = &[".git", "target", "node_modules", "tests/samples", "fuzz/corpus"];

/// What counts as text of ours; files without a dot in their name count too.
const ENDINGS: &[&str] = &["rs", "toml", "md", "wit", "sh", "yml", "yaml", "json", "txt", "service"];

/// A file larger than this is data, not text that anybody wrote (cargo's lock file is above it).
const MAX_BYTES: u64 = 512 * 1024;

/// All files, and the Rust ones as tokens.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
    sources: BTreeMap<String, Source>,
    /// Paths that must not appear in any file: this checkout's and this user's.
    pub machine_paths: Vec<String>,
}

impl Tree {
    /// Reads the files below a folder.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        collect(root, "", &mut files).with_context(|| format!("cannot read {}", root.display()))?;
        let mut tree = Self::of(files);
        tree.machine_paths.push(root.display().to_string());
        for variable in ["CARGO_HOME", "CARGO_TARGET_DIR"] {
            tree.machine_paths.extend(std::env::var(variable).ok().filter(|path| path.starts_with('/')));
        }
        Ok(tree)
    }

    /// A tree of given files.
    pub(crate) fn of(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let files: BTreeMap<_, _> = files.into_iter().collect();
        let sources = files
            .iter()
            .filter(|(path, _)| path.ends_with(".rs"))
            .map(|(path, text)| (path.clone(), Source::parse(path, text)))
            .collect();
        Self { files, sources, machine_paths: Vec::new() }
    }

    /// How many files there are.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// All files, by path.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The Rust files, by path.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.sources.iter().map(|(path, source)| (path.as_str(), source))
    }

    /// One file's text.
    pub(crate) fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether there is a file of this path, or a folder.
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let folder = format!("{path}/");
        self.files.contains_key(path)
            || self.files.range(folder.clone()..).next().is_some_and(|(file, _)| file.starts_with(&folder))
    }

    /// The folders that hold a crate, from the root: those with a Cargo.toml that names a package.
    pub(crate) fn crates(&self) -> impl Iterator<Item = &str> {
        self.files().filter_map(|(path, text)| {
            let folder = path.strip_suffix("/Cargo.toml")?;
            text.lines().any(|line| line.trim() == "[package]").then_some(folder)
        })
    }
}

fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        let left_out = LEFT_OUT.contains(&path.as_str()) || matches!(name.as_str(), "target" | ".git");
        if left_out {
            continue;
        }
        if kind.is_dir() {
            collect(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file() && is_ours(&name) && entry.metadata()?.len() <= MAX_BYTES {
            // What is not UTF-8 is data.
            if let Ok(text) = fs::read_to_string(entry.path()) {
                files.insert(path, text);
            }
        }
    }
    Ok(())
}

fn is_ours(name: &str) -> bool {
    match name.rsplit_once('.') {
        None => true,
        // `.gitignore` and the like.
        Some(("", _)) => true,
        Some((_, ending)) => ENDINGS.contains(&ending),
    }
}
