//! Which targets there are now: those of the configuration, and those of the targets file as it was when it could be
//! used last.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use picket_scrape::Target;
use picket_scrape::targets::{Defaults, FileError, Group, TargetError, read, resolve};

use super::config::Checked;
use crate::sources::Problem;

/// The targets of a source.
pub(super) struct List {
    defaults: Defaults,
    fixed: Group,
    file: Option<Watched>,
}

struct Watched {
    path: PathBuf,
    /// As it was at the last look; none before the first.
    seen: Option<Option<Stamp>>,
    groups: Vec<Group>,
    /// The file was good at the last look at its content.
    is_good: bool,
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp([i64; 5]);

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        let (device, inode, size) = (metadata.dev(), metadata.ino(), metadata.size());
        let times = [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime_nsec()];
        Self([
            (device ^ inode.rotate_left(32)).cast_signed(),
            size.cast_signed(),
            times[0],
            times[1],
            times[2],
        ])
    }
}

/// A targets file that cannot be used: its former targets stay.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Target(#[from] TargetError),
}

impl List {
    pub(super) fn new(config: &Checked) -> Self {
        let watched =
            |path: &PathBuf| Watched { path: path.clone(), seen: None, groups: Vec::new(), is_good: false };
        Self {
            defaults: config.defaults.clone(),
            fixed: config.fixed.clone(),
            file: config.targets_file.as_ref().map(watched),
        }
    }

    /// Reads the targets file if it has changed since the last look. None when nothing has; at the first look there is
    /// always something.
    pub(super) fn look(&mut self) -> Option<Result<(), Unfit>> {
        let Some(file) = &mut self.file else { return None };
        let stamp = std::fs::metadata(&file.path).ok().as_ref().map(Stamp::of);
        if file.seen == Some(stamp) {
            return None;
        }
        file.seen = Some(stamp);
        file.is_good = false;
        let read = read(&file.path).map_err(Unfit::from).and_then(|groups| {
            let all: Vec<Group> = [self.fixed.clone()].into_iter().chain(groups.clone()).collect();
            resolve(&self.defaults, &all)?;
            Ok(groups)
        });
        Some(read.map(|groups| {
            file.groups = groups;
            file.is_good = true;
        }))
    }

    /// Whether all targets are known: there is no file, or it was read.
    pub(super) fn is_whole(&self) -> bool {
        self.file.as_ref().is_none_or(|file| file.is_good)
    }

    /// All targets.
    pub(super) fn targets(&self) -> Vec<Target> {
        let of_file = self.file.iter().flat_map(|file| file.groups.clone());
        let all: Vec<Group> = [self.fixed.clone()].into_iter().chain(of_file).collect();
        // Checked when the configuration and the file were read.
        resolve(&self.defaults, &all).unwrap_or_default()
    }

    /// How the operator is told.
    pub(super) fn problem(&self, unfit: &Unfit) -> Problem {
        let path = self.file.as_ref().map(|file| file.path.clone()).unwrap_or_default();
        let remedy = match unfit {
            Unfit::File(error) => error.remedy(),
            Unfit::Target(_) => "Mend the entry; until then the former targets are scraped.",
        };
        Problem { path, error: unfit.to_string(), remedy: remedy.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::sources::prometheus::Config;

    #[test]
    fn a_bad_file_is_told_once_and_its_former_targets_stay() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("targets.json");
        let config =
            Config { targets: vec!["a:1".into()], targets_file: Some(file.clone()), ..Config::default() };
        let mut list = List::new(&config.check().unwrap());
        let hosts = |list: &List| -> Vec<String> {
            list.targets().iter().map(|target| target.url.host().to_owned()).collect()
        };
        assert!(list.look().unwrap().is_err());
        assert!(list.look().is_none());
        assert_eq!((hosts(&list), list.is_whole()), (vec!["a".to_owned()], false));
        std::fs::write(&file, "[{\"targets\": [\"b:1\"]}]").unwrap();
        list.look().unwrap().unwrap();
        assert_eq!((hosts(&list), list.is_whole()), (vec!["a".to_owned(), "b".to_owned()], true));
        for bad in ["[{\"targets\"", "[{\"targets\": [\"http://b\"]}]", ""] {
            std::fs::write(&file, bad).unwrap();
            let unfit = list.look().unwrap().unwrap_err();
            assert_eq!(list.problem(&unfit).path, file);
            assert!(list.look().is_none());
            assert_eq!(hosts(&list).len(), 2, "{bad}");
        }
    }
}
