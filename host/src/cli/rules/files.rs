//! Rule files by their paths and patterns.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, ensure};
use globset::GlobBuilder;

/// The largest file that is read: ten times the largest public collection of rules.
const MAX_BYTES: u64 = 16 << 20;
/// Files that a folder or a pattern may stand for.
const MAX_FILES: usize = 10_000;
/// How deep below a folder rule files are looked for.
const MAX_DEPTH: usize = 16;

/// Reads a file.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let shown = || format!("{} cannot be read", file.display());
    let size = file.metadata().with_context(shown)?.len();
    ensure!(size <= MAX_BYTES, "{} has {size} bytes; a rule file has at most {MAX_BYTES}", file.display());
    std::fs::read(file).with_context(shown)
}

/// The files themselves, and of folders those below them that are named like rule files.
pub(super) fn listed(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => below(path, MAX_DEPTH, &mut files)?,
            false => files.push(path.clone()),
        }
    }
    Ok(files)
}

fn below(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = folder.read_dir().and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let mut entries: Vec<PathBuf> = entries
        .with_context(|| format!("the folder {} cannot be read", folder.display()))?
        .into_iter()
        .filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
        .map(|entry| entry.path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() && depth > 0 {
            below(&path, depth - 1, files)?;
        } else if path.extension().is_some_and(|it| it == "yml" || it == "yaml" || it == "rules") {
            files.push(path);
        }
        ensure!(files.len() <= MAX_FILES, "{} holds more than {MAX_FILES} rule files", folder.display());
    }
    Ok(())
}

/// The files of a pattern with `*`, `?` and `[…]` within the parts of its path, sorted. Relative ones count from
/// the folder.
pub(super) fn matching(pattern: &str, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let pattern = Path::new(pattern);
    let mut found = vec![if pattern.is_absolute() { PathBuf::from("/") } else { folder.to_owned() }];
    for part in pattern.components() {
        let part = match part {
            Component::Normal(part) => part.to_string_lossy(),
            Component::ParentDir => "..".into(),
            _ => continue,
        };
        found = match part.contains(['*', '?', '[']) {
            false => found.into_iter().map(|path| path.join(&*part)).collect(),
            true => {
                let glob = GlobBuilder::new(&part).literal_separator(true).build();
                let glob =
                    glob.with_context(|| format!("`{}` is no pattern", pattern.display()))?.compile_matcher();
                let inside = found.iter().filter_map(|path| path.read_dir().ok()).flatten().flatten();
                inside.filter(|entry| glob.is_match(entry.file_name())).map(|entry| entry.path()).collect()
            }
        };
        ensure!(found.len() <= MAX_FILES, "`{}` stands for more than {MAX_FILES} files", pattern.display());
    }
    found.retain(|path| path.exists());
    found.sort();
    Ok(found)
}

/// Files as the component gets them, by their names in messages.
pub(super) fn assets(files: &[PathBuf]) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    files.iter().map(|file| Ok((file.to_string_lossy().into_owned(), read(file)?))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn folders_and_patterns_stand_for_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for file in ["a.yml", "b.yaml", "sub/c.yml", "sub/d.txt", "sub/.e.yml"] {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let names = |paths: Vec<PathBuf>| -> Vec<String> {
            paths.iter().map(|it| it.strip_prefix(root).unwrap().display().to_string()).collect()
        };
        assert_eq!(names(listed(&[root.to_owned()]).unwrap()), ["a.yml", "b.yaml", "sub/c.yml"]);
        for (pattern, expected) in [
            ("a.yml", &["a.yml"][..]),
            ("*.y*ml", &["a.yml", "b.yaml"]),
            ("*/[cd].yml", &["sub/c.yml"]),
            ("sub/../b.yaml", &["sub/../b.yaml"]),
            ("missing.yml", &[]),
            ("*/*/*", &[]),
        ] {
            assert_eq!(names(matching(pattern, root).unwrap()), expected, "{pattern}");
        }
        assert!(matching("[", root).is_err());
        assert_eq!(assets(&listed(&[root.join("a.yml")]).unwrap()).unwrap().len(), 1);
    }
}
