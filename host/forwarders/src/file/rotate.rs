//! Puts a full file aside: `<path>` becomes `<path>.1`, that `<path>.2`, and so on.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file that was put aside `number` turns ago.
pub(super) fn aside(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// Puts the file aside and keeps `keep` such files. May be stopped at any point and called again:
/// a place that is free already is filled, and nothing beyond it moves a second time.
pub(super) fn put_aside(path: &Path, keep: u32) -> io::Result<()> {
    if keep == 0 {
        return fs::remove_file(path);
    }
    let free = (1..=keep).find(|number| !aside(path, *number).exists()).unwrap_or(keep);
    for number in (1..free).rev() {
        fs::rename(aside(path, number), aside(path, number + 1))?;
    }
    fs::rename(path, aside(path, 1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// Files are named by their content; `-` is a missing one.
    fn check(before: &str, keep: u32, after: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let name = |number: usize| if number == 0 { path.clone() } else { aside(&path, number as u32) };
        for (number, content) in before.split(' ').enumerate().filter(|(_, content)| *content != "-") {
            fs::write(name(number), content).unwrap();
        }
        put_aside(&path, keep).unwrap();
        let count = after.split(' ').count();
        let content = |number| fs::read_to_string(name(number)).unwrap_or_else(|_| "-".to_owned());
        assert_eq!((0..count).map(content).collect::<Vec<_>>().join(" "), after);
        let left = after.split(' ').filter(|content| *content != "-").count();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), left, "{before}");
    }

    #[test]
    fn the_newest_is_number_one_and_the_oldest_goes() {
        check("a", 2, "- a -");
        check("b a", 2, "- b a");
        check("c b a", 2, "- c b");
        check("c b a", 3, "- c b a");
        check("b", 0, "- -");
    }

    #[test]
    fn what_was_stopped_half_way_goes_on_from_there() {
        check("c - b a", 3, "- c b a");
        check("c b - a", 3, "- c b a");
    }
}
