//! Tries what a source names, for `picket check`: whether it is there and can be read now.
//!
//! It reads no record and follows nothing; what appears later is the running source's business.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::glob::{Globs, Links, Visit};
use super::{Problem, SourceConfig, open};

/// Files that are opened to see whether that works; a mistake shows in the first ones.
const MAX_FILES: usize = 10_000;

/// What a source would find if it started now.
#[derive(Debug, Default)]
pub struct Probed {
    /// What cannot be read, and what to do.
    pub unreadable: Vec<Problem>,
    /// Files that can be read, or targets. Zero is no mistake: a log may begin to exist later.
    pub readable: usize,
    /// Folders that patterns begin with and that do not exist: often a misspelt path.
    pub missing: Vec<PathBuf>,
}

impl SourceConfig {
    /// Looks at the machine. A source whose settings cannot be used finds nothing.
    pub fn probe(&self) -> Probed {
        let mut probed = Probed::default();
        match self {
            Self::File(config) => {
                if let Ok(checked) = config.check() {
                    probed.globs(&checked.globs, Links::Follow);
                }
            }
            Self::Directory(config) => {
                if let Ok(checked) = config.check() {
                    probed.globs(&checked.globs, Links::Ignore);
                }
            }
            Self::Host(config) => probed.open(&config.proc.join("stat")),
            Self::Prometheus(config) => {
                // Whether targets answer is only tried where the network may be used.
                let tried = super::prometheus::probe::tried(config, false);
                probed.unreadable = tried.problems;
                probed.readable = tried.targets;
            }
        }
        probed
    }
}

impl Probed {
    fn globs(&mut self, globs: &Globs, links: Links) {
        for base in globs.bases() {
            match fs::metadata(&base) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.missing.push(base),
                Err(error) => self.problem(&base, error),
                Ok(_) => {}
            }
        }
        globs.walk(links, self);
    }

    fn open(&mut self, path: &Path) {
        match open::regular(path) {
            Ok(_) => self.readable += 1,
            // It was there a moment ago; files come and go.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.unreadable.push(Problem::new(path, &error)),
        }
    }
}

impl Visit for Probed {
    fn file(&mut self, path: PathBuf, _: Metadata) {
        self.open(&path);
    }

    fn folder(&mut self, _: &Path) {}

    fn problem(&mut self, path: &Path, error: io::Error) {
        if self.unreadable.iter().all(|known| known.path != path) {
            self.unreadable.push(Problem::new(path, &error));
        }
    }

    fn stop(&self) -> bool {
        self.readable + self.unreadable.len() >= MAX_FILES
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::sources::{file, prometheus};

    fn probe(pattern: String) -> Probed {
        SourceConfig::File(file::Config::new(vec![pattern])).probe()
    }

    #[test]
    fn what_is_there_what_is_missing_and_what_cannot_be_read_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        fs::write(folder.path().join("a.log"), "").unwrap();
        std::os::unix::fs::symlink("loop.log", folder.path().join("loop.log")).unwrap();

        let good = probe(format!("{root}/a*.log"));
        assert_eq!((good.readable, good.unreadable.len(), good.missing.len()), (1, 0, 0));
        let nothing = probe(format!("{root}/b*.log"));
        assert_eq!((nothing.readable, nothing.unreadable.len(), nothing.missing.len()), (0, 0, 0));
        let missing = probe(format!("{root}/none/*.log"));
        assert_eq!(missing.missing, [folder.path().join("none")]);
        for (pattern, path) in [("a.log/*.log", "a.log"), ("loop.log", "loop.log")] {
            let bad = probe(format!("{root}/{pattern}"));
            let paths: Vec<&Path> = bad.unreadable.iter().map(|problem| problem.path.as_path()).collect();
            assert_eq!(paths, [folder.path().join(path)], "{pattern}");
        }
        assert_eq!(SourceConfig::Host(Default::default()).probe().readable, 1);
    }

    #[test]
    fn a_targets_file_is_read_and_no_target_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("targets.json");
        let targets = vec!["127.0.0.1:1".to_owned()];
        let config = prometheus::Config { targets, targets_file: Some(file.clone()), ..Default::default() };
        let source = SourceConfig::Prometheus(Box::new(config));
        let probed = source.probe();
        assert_eq!((probed.readable, probed.unreadable.len()), (1, 1));
        assert_eq!(probed.unreadable[0].path, file);
        fs::write(&file, "[{\"targets\": [\"127.0.0.1:2\"]}]").unwrap();
        let probed = source.probe();
        assert_eq!((probed.readable, probed.unreadable.len()), (2, 0));
    }
}
