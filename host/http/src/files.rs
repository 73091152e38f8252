//! Whether what was read from files may have changed since: a receiver that always refuses is no reason to read
//! passwords and certificates, and to make a connection, for each request.
//!
//! Looks at what the file system says of the files only; what is in them others read.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use super::Config;

/// Files that look as they did are read again at most this often: for what does not show in them, such as the system's
/// authorities. Soon enough for a certificate that somebody has just installed, and too seldom to be felt.
const UNSEEN: Duration = Duration::from_secs(60);

/// A file that was so young when it was looked at may have been written again without looking different: file systems
/// count time in ticks of the kernel, some in steps of two seconds.
const YOUNG: Duration = Duration::from_secs(3);

/// The files of a configuration as they were before they were read.
pub(super) struct Files {
    at: Instant,
    stamps: Vec<Option<Stamp>>,
    /// One of them had just been written.
    is_young: bool,
}

/// What changes when a file is written or replaced.
#[derive(PartialEq, Eq)]
struct Stamp([i64; 7]);

impl Stamp {
    fn of(file: &Metadata) -> Self {
        let (device, inode, size) = (file.dev(), file.ino(), file.size());
        let [device, inode, size] = [device, inode, size].map(u64::cast_signed);
        Self([device, inode, size, file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()])
    }
}

impl Files {
    /// As they are now: to be called before they are read.
    pub(super) fn look(config: &Config) -> Self {
        let found = look(config);
        let is_young = found.iter().flatten().any(is_young);
        Self { at: Instant::now(), stamps: stamps(&found), is_young }
    }

    /// Whether it is worth reading them again at a moment.
    pub(super) fn may_have_changed(&self, config: &Config, now: Instant) -> bool {
        self.is_young || now.duration_since(self.at) >= UNSEEN || stamps(&look(config)) != self.stamps
    }
}

fn look(config: &Config) -> Vec<Option<Metadata>> {
    let password = config.basic_auth.as_ref().and_then(|basic| basic.password_file.as_ref());
    let token = config.bearer_token_file.as_ref();
    let tls = [&config.tls.ca_file, &config.tls.cert_file, &config.tls.key_file];
    let files = [password, token].into_iter().chain(tls.map(Option::as_ref));
    files.map(|file: Option<&PathBuf>| fs::metadata(file?).ok()).collect()
}

fn stamps(found: &[Option<Metadata>]) -> Vec<Option<Stamp>> {
    found.iter().map(|file| file.as_ref().map(Stamp::of)).collect()
}

/// A time that lies ahead counts as young: one of the clocks is wrong.
fn is_young(file: &Metadata) -> bool {
    let age = file.modified().ok().and_then(|written| SystemTime::now().duration_since(written).ok());
    age.is_none_or(|age| age < YOUNG)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::fs::File;

    use super::*;

    /// A file that was written so long ago.
    fn write(file: &PathBuf, text: &str, age: Duration) {
        fs::write(file, text).unwrap();
        File::options().write(true).open(file).unwrap().set_modified(SystemTime::now() - age).unwrap();
    }

    #[test]
    fn old_files_are_worth_reading_once_a_minute_and_changed_ones_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let config = Config { bearer_token_file: Some(file.clone()), ..Config::default() };
        write(&file, "one", Duration::from_secs(3600));
        let files = Files::look(&config);
        let (now, soon) = (files.at, files.at + Duration::from_secs(59));
        assert!(!files.may_have_changed(&config, now) && !files.may_have_changed(&config, soon));
        assert!(files.may_have_changed(&config, now + UNSEEN));
        write(&file, "two", Duration::from_secs(1800));
        assert!(files.may_have_changed(&config, now));
        fs::remove_file(&file).unwrap();
        assert!(files.may_have_changed(&config, now));
        assert!(!Files::look(&config).may_have_changed(&config, now), "it is missing as before");
    }

    #[test]
    fn a_file_that_was_just_written_may_be_written_again_within_the_same_tick() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        fs::write(&file, "one").unwrap();
        let mut config = Config::default();
        config.tls.key_file = Some(file);
        let files = Files::look(&config);
        assert!(files.may_have_changed(&config, files.at));
    }

    #[test]
    fn without_files_there_is_nothing_to_read_more_often() {
        let files = Files::look(&Config::default());
        assert!(!files.may_have_changed(&Config::default(), files.at));
        assert!(files.may_have_changed(&Config::default(), files.at + UNSEEN));
    }
}
