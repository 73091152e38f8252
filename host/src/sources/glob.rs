//! Finds files by patterns with `*`, `?`, `[…]`, `{…}` and `**`.
//!
//! A pattern is walked name by name, so that only folders which can hold a match are listed. This
//! reads folders and file metadata; it opens no file.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};

/// Folders in folders are followed this deep; no log folder is deeper, and a cycle of bind mounts
/// ends here.
const MAX_DEPTH: usize = 64;

/// A pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// There is nothing to include.
    #[error("`include` is empty: name at least one file or pattern, such as `/var/log/app/*.log`")]
    Nothing,
    /// A pattern depends on the folder the agent was started in.
    #[error("`{pattern}` is not absolute: begin it with `/`")]
    Relative {
        /// As configured.
        pattern: String,
    },
    /// A pattern has a mistake.
    #[error("`{pattern}` is not a pattern: {reason}")]
    Syntax {
        /// As configured.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Which files to take and which of them to leave out.
#[derive(Debug, Clone)]
pub struct Globs {
    include: Vec<Vec<Step>>,
    /// The same as whole patterns.
    include_paths: GlobSet,
    /// Of whole paths.
    exclude_paths: GlobSet,
    /// Of names: patterns without a slash.
    exclude_names: GlobSet,
}

#[derive(Debug, Clone)]
enum Step {
    Name(String),
    Pattern(GlobMatcher),
    /// `**`: any folders, also none.
    Deep,
}

/// What a walk comes across.
pub trait Visit {
    /// A regular file that is included and not excluded.
    fn file(&mut self, path: PathBuf, metadata: Metadata);
    /// A folder in which files may appear.
    fn folder(&mut self, path: &Path);
    /// Something that could not be read.
    fn problem(&mut self, path: &Path, error: io::Error);
    /// Whether to stop before the walk is over.
    fn stop(&self) -> bool {
        false
    }
}

/// What to do with symbolic links behind the literal start of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Take the file that a link names; folders behind links only where the pattern names them.
    Follow,
    /// Take none.
    Ignore,
}

impl Globs {
    /// Checks the patterns. Those of `exclude` without a slash are compared with file names only.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, GlobError> {
        if include.is_empty() {
            return Err(GlobError::Nothing);
        }
        let (mut paths, mut names) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for pattern in exclude {
            let set = if pattern.contains('/') { &mut paths } else { &mut names };
            set.add(glob(pattern)?);
        }
        let build = |set: GlobSetBuilder| set.build().map_err(|error| syntax("patterns", &error));
        let steps = include.iter().map(|pattern| steps(pattern)).collect::<Result<_, _>>()?;
        let mut whole = GlobSetBuilder::new();
        for pattern in include {
            whole.add(glob(pattern)?);
        }
        Ok(Self {
            include: steps,
            include_paths: build(whole)?,
            exclude_paths: build(paths)?,
            exclude_names: build(names)?,
        })
    }

    /// Visits all files that are there now. A file that several patterns match is visited for each.
    pub fn walk(&self, links: Links, visit: &mut dyn Visit) {
        for steps in &self.include {
            let base = literal_start(steps);
            // A file that is named itself is fine: `/a` and everything below it may both be wanted.
            let is_wanted = self.include_paths.is_match(&base);
            if !is_wanted && fs::metadata(&base).is_ok_and(|metadata| !metadata.is_dir()) {
                visit.problem(&base, io::ErrorKind::NotADirectory.into());
            }
            Walk { globs: self, links, within: None, visit: &mut *visit }.walk(Path::new("/"), steps, 0);
        }
    }

    /// As [`walk`](Self::walk), but only for what is in one folder. Nothing above it is listed.
    pub fn walk_in(&self, folder: &Path, links: Links, visit: &mut dyn Visit) {
        for steps in &self.include {
            Walk { globs: self, links, within: Some(folder), visit: &mut *visit }.walk(
                Path::new("/"),
                steps,
                0,
            );
        }
    }

    /// Whether a path is included and not excluded.
    pub fn matches(&self, path: &Path) -> bool {
        self.include_paths.is_match(path) && !self.excludes(path)
    }

    /// The folders that the patterns begin with.
    pub fn bases(&self) -> impl Iterator<Item = PathBuf> {
        self.include.iter().map(|steps| literal_start(steps))
    }

    /// The folder above a path that a pattern names without wildcards; the longest, if several do.
    pub fn base(&self, path: &Path) -> PathBuf {
        self.bases()
            .filter(|base| path.starts_with(base))
            .max_by_key(|base| base.as_os_str().len())
            .unwrap_or_else(|| PathBuf::from("/"))
    }

    /// Whether a path is left out.
    pub fn excludes(&self, path: &Path) -> bool {
        self.exclude_paths.is_match(path)
            || path.file_name().is_some_and(|name| self.exclude_names.is_match(name))
    }
}

fn syntax(pattern: &str, error: &globset::Error) -> GlobError {
    GlobError::Syntax { pattern: pattern.to_owned(), reason: error.kind().to_string() }
}

fn glob(pattern: &str) -> Result<globset::Glob, GlobError> {
    GlobBuilder::new(pattern).literal_separator(true).build().map_err(|error| syntax(pattern, &error))
}

fn steps(pattern: &str) -> Result<Vec<Step>, GlobError> {
    let relative = || GlobError::Relative { pattern: pattern.to_owned() };
    let rest = pattern.strip_prefix('/').ok_or_else(relative)?;
    let mut steps = Vec::new();
    for name in rest.split('/').filter(|name| !name.is_empty()) {
        steps.push(match name {
            "**" => Step::Deep,
            _ if name.contains(['*', '?', '[', '{', '\\']) => Step::Pattern(glob(name)?.compile_matcher()),
            _ => Step::Name(name.to_owned()),
        });
    }
    if matches!(steps.last(), Some(Step::Deep)) {
        steps.push(Step::Pattern(glob("*")?.compile_matcher()));
    }
    Ok(steps)
}

fn literal_start(steps: &[Step]) -> PathBuf {
    let folders = &steps[..steps.len().saturating_sub(1)];
    let names = folders.iter().map_while(|step| match step {
        Step::Name(name) => Some(name),
        _ => None,
    });
    names.fold(PathBuf::from("/"), |base, name| base.join(name))
}

struct Walk<'a> {
    globs: &'a Globs,
    links: Links,
    /// The folder that is walked, if it is not everything.
    within: Option<&'a Path>,
    visit: &'a mut dyn Visit,
}

impl Walk<'_> {
    fn walk(&mut self, folder: &Path, steps: &[Step], depth: usize) {
        let Some((step, rest)) = steps.split_first() else { return };
        if depth > MAX_DEPTH || self.visit.stop() || self.is_aside(folder) {
            return;
        }
        match step {
            Step::Name(name) if rest.is_empty() => {
                self.visit.folder(folder);
                self.file(folder.join(name));
            }
            Step::Name(name) => self.walk(&folder.join(name), rest, depth + 1),
            Step::Pattern(pattern) => {
                self.visit.folder(folder);
                for (name, kind) in self.list(folder) {
                    if !pattern.is_match(&name) || self.visit.stop() {
                        continue;
                    }
                    if rest.is_empty() {
                        self.file(folder.join(name));
                    } else if kind.is_dir() || (kind.is_symlink() && self.links == Links::Follow) {
                        self.walk(&folder.join(name), rest, depth + 1);
                    }
                }
            }
            Step::Deep => {
                self.walk(folder, rest, depth);
                for (name, kind) in self.list(folder) {
                    if kind.is_dir() {
                        self.walk(&folder.join(name), steps, depth + 1);
                    }
                }
            }
        }
    }

    /// Whether a folder neither is or holds the walked one nor lies in it.
    fn is_aside(&self, folder: &Path) -> bool {
        self.within.is_some_and(|within| !folder.starts_with(within) && !within.starts_with(folder))
    }

    /// Names in a folder with their types, sorted, so that a walk comes across files in a fixed order.
    /// Above the walked folder this is the one that leads there.
    fn list(&mut self, folder: &Path) -> Vec<(std::ffi::OsString, fs::FileType)> {
        let way = self.within.and_then(|within| within.strip_prefix(folder).ok()?.iter().next());
        if let Some(next) = way {
            let kind = fs::symlink_metadata(folder.join(next)).map(|metadata| metadata.file_type());
            return kind.into_iter().map(|kind| (next.to_owned(), kind)).collect();
        }
        let listed = fs::read_dir(folder).and_then(|entries| {
            entries.map(|entry| entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?)))).collect()
        });
        match listed {
            Ok(names) => {
                let mut names: Vec<_> = names;
                names.sort_by(|a, b| a.0.cmp(&b.0));
                names
            }
            Err(error) => {
                // A name where a folder could stand may just as well be a file, or be gone by now.
                if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
                    self.visit.problem(folder, error);
                }
                Vec::new()
            }
        }
    }

    fn file(&mut self, path: PathBuf) {
        if self.globs.excludes(&path) || self.within.is_some_and(|within| !path.starts_with(within)) {
            return;
        }
        let metadata = match self.links {
            Links::Follow => fs::metadata(&path),
            Links::Ignore => fs::symlink_metadata(&path),
        };
        match metadata {
            Ok(metadata) if metadata.is_file() => self.visit.file(path, metadata),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.visit.problem(&path, error),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[derive(Default)]
    struct Seen(Vec<String>);

    impl Visit for Seen {
        fn file(&mut self, path: PathBuf, _: Metadata) {
            self.0.push(path.to_str().unwrap().to_owned());
        }
        fn folder(&mut self, _: &Path) {}
        fn problem(&mut self, path: &Path, error: io::Error) {
            panic!("{}: {error}", path.display());
        }
    }

    fn check(include: &[&str], exclude: &[&str], links: Links, expected: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        for path in ["a.log", "a.log.1", "b.log.gz", "d/c.log", "d/e/f.log", "d/e/g.txt"] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink(folder.path().join("d"), folder.path().join("link")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("a.log"), folder.path().join("link.log")).unwrap();
        let owned = |patterns: &[&str]| -> Vec<String> {
            patterns.iter().map(|pattern| pattern.replace('$', root)).collect()
        };
        let mut seen = Seen::default();
        Globs::new(&owned(include), &owned(exclude)).unwrap().walk(links, &mut seen);
        let seen: Vec<&str> = seen.0.iter().map(|path| &path[root.len() + 1..]).collect();
        assert_eq!(seen, expected, "{include:?} without {exclude:?}");
    }

    #[test]
    fn patterns_find_their_files() {
        check(&["$/*.log"], &[], Links::Follow, &["a.log", "link.log"]);
        check(&["$/*.log"], &[], Links::Ignore, &["a.log"]);
        check(&["$/*.log*"], &["*.gz", "$/link*"], Links::Follow, &["a.log", "a.log.1"]);
        check(&["$/**/*.log"], &[], Links::Ignore, &["a.log", "d/c.log", "d/e/f.log"]);
        check(&["$/d/**"], &["$/d/*.log"], Links::Ignore, &["d/e/f.log", "d/e/g.txt"]);
        check(&["$/{link,d}/?.log"], &[], Links::Follow, &["d/c.log", "link/c.log"]);
        check(&["$/{link,d}/?.log"], &[], Links::Ignore, &["d/c.log"]);
        check(&["$/a.log", "$/none.log", "$/none/*/x"], &[], Links::Ignore, &["a.log"]);
    }

    #[test]
    fn a_walk_in_a_folder_leaves_the_rest_alone() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        for path in ["a.log", "d/b.log", "d/e/c.log", "d/e/f/g.log", "d/e/x", "d/ee/h.log"] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let check = |include: &str, walked: &str, expected: &[&str]| {
            let globs = Globs::new(&[format!("{root}/{include}")], &[]).unwrap();
            let mut seen = Seen::default();
            globs.walk_in(&folder.path().join(walked), Links::Ignore, &mut seen);
            let seen: Vec<&str> = seen.0.iter().map(|path| &path[root.len() + 1..]).collect();
            assert_eq!(seen, expected, "{include} in {walked}");
        };
        check("**/*.log", "d/e", &["d/e/c.log", "d/e/f/g.log"]);
        check("**", "d/e/f", &["d/e/f/g.log"]);
        check("d/*/*.log", "d/e", &["d/e/c.log"]);
        check("d/b.log", "d/e", &[]);
        check("d/b.log", "d", &["d/b.log"]);
        check("**/*.log", "none", &[]);
    }

    #[test]
    fn paths_are_matched_without_a_walk() {
        let include = ["/a/b/*.log".to_owned(), "/a/**/x?".to_owned(), "/f".to_owned()];
        let globs = Globs::new(&include, &["*.1.log".to_owned()]).unwrap();
        let check = |path: &str, matches: bool, base: &str| {
            let path = Path::new(path);
            assert_eq!(globs.matches(path), matches, "{}", path.display());
            assert_eq!(globs.base(path), Path::new(base), "{}", path.display());
        };
        check("/a/b/1.log", true, "/a/b");
        check("/a/b/1.1.log", false, "/a/b");
        check("/a/c/d/x1", true, "/a");
        check("/a/c/d/y1", false, "/a");
        check("/f", true, "/");
    }

    #[test]
    fn mistakes_are_named() {
        let error = |include: &[&str]| {
            let include: Vec<String> = include.iter().map(|pattern| (*pattern).to_owned()).collect();
            Globs::new(&include, &[]).unwrap_err().to_string()
        };
        assert!(error(&[]).contains("include"));
        assert!(error(&["*.log"]).contains("begin it with `/`"));
        assert!(error(&["/a/[x"]).contains("`[x`"));
    }
}
