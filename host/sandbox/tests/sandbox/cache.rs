//! The cache of compiled code: what is reused, and what is never loaded.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use picket_sandbox::{CacheError, CompileError, Compiler, CompilerCounts};
use tempfile::TempDir;

use crate::harness;

struct Cached {
    folder: TempDir,
    bytes: Vec<u8>,
}

impl Cached {
    /// A cache that holds one component's code.
    fn new() -> Self {
        let cached =
            Self { folder: tempfile::tempdir().unwrap(), bytes: picket_guests_build::component("reaching") };
        let counts = cached.compile();
        assert_eq!((counts.compiled, counts.cached), (1, 0));
        cached
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// What a new agent does with the cache.
    fn compile(&self) -> CompilerCounts {
        let compiler = Compiler::new(harness::engine(), harness::config(self.cache())).unwrap();
        compiler.compile(&self.bytes).unwrap();
        compiler.counts()
    }

    fn file(&self) -> PathBuf {
        let mut files = fs::read_dir(self.cache()).unwrap().map(|entry| entry.unwrap().path());
        let file = files.next().unwrap();
        assert_eq!(files.next(), None);
        file
    }

    /// After `tamper` the code is not loaded but compiled anew, once.
    fn refuses(tamper: impl FnOnce(&Path)) {
        let cached = Self::new();
        tamper(&cached.file());
        let counts = cached.compile();
        assert_eq!((counts.compiled, counts.cached, counts.discarded), (1, 0, 1));
        let counts = cached.compile();
        assert_eq!((counts.compiled, counts.cached, counts.discarded), (0, 1, 0));
    }
}

#[test]
fn code_is_compiled_once() {
    let cached = Cached::new();
    let counts = cached.compile();
    assert_eq!((counts.compiled, counts.cached, counts.discarded), (0, 1, 0));
    assert_eq!(fs::metadata(cached.cache()).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(cached.file()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_changed_byte_is_noticed_wherever_it_is() {
    for place in [0, 100, 5000] {
        Cached::refuses(|file| {
            let mut bytes = fs::read(file).unwrap();
            bytes[place] ^= 1;
            fs::write(file, bytes).unwrap();
        });
    }
    Cached::refuses(|file| {
        let mut bytes = fs::read(file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(file, bytes).unwrap();
    });
}

#[test]
fn a_cut_file_is_noticed() {
    Cached::refuses(|file| {
        let bytes = fs::read(file).unwrap();
        fs::write(file, &bytes[..bytes.len() - 1]).unwrap();
    });
    Cached::refuses(|file| fs::write(file, b"").unwrap());
}

#[test]
fn a_file_that_others_can_write_is_not_loaded() {
    for mode in [0o620, 0o602] {
        Cached::refuses(|file| fs::set_permissions(file, Permissions::from_mode(mode)).unwrap());
    }
}

#[test]
fn a_link_is_not_followed() {
    Cached::refuses(|file| {
        let other = file.with_extension("moved");
        fs::rename(file, &other).unwrap();
        symlink(&other, file).unwrap();
    });
}

#[test]
fn a_file_with_a_second_name_is_not_loaded() {
    let aside = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let cached = Cached::new();
    let second = cached.folder.path().join("second");
    fs::hard_link(cached.file(), &second).unwrap();
    let counts = cached.compile();
    assert_eq!((counts.compiled, counts.discarded), (1, 1));
    drop(aside);
}

#[test]
fn a_folder_or_a_pipe_under_the_name_does_not_stop_the_agent() {
    Cached::refuses(|file| {
        fs::remove_file(file).unwrap();
        fs::create_dir(file).unwrap();
    });
    Cached::refuses(|file| {
        fs::remove_file(file).unwrap();
        let status = std::process::Command::new("mkfifo").arg(file).status().unwrap();
        assert!(status.success());
    });
}

#[test]
fn code_of_another_version_is_another_file() {
    let cached = Cached::new();
    let name = cached.file().file_name().unwrap().to_str().unwrap().to_owned();
    let (digest, compatibility) = name.strip_suffix(".cwasm").unwrap().split_once('-').unwrap();
    assert_eq!((digest.len(), compatibility.len()), (64, 16));
}

#[test]
fn a_folder_that_others_can_write_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    fs::create_dir(&cache).unwrap();
    fs::set_permissions(&cache, Permissions::from_mode(0o770)).unwrap();
    let error = Compiler::new(harness::engine(), harness::config(cache.clone())).err().unwrap();
    assert!(matches!(&error, CompileError::Cache(CacheError::NotOurs { mode: 0o770, .. })), "{error:?}");
    assert!(error.to_string().contains(cache.to_str().unwrap()), "{error}");
    let link = folder.path().join("link");
    fs::set_permissions(&cache, Permissions::from_mode(0o700)).unwrap();
    symlink(&cache, &link).unwrap();
    assert!(Compiler::new(harness::engine(), harness::config(link)).is_err());
}

#[test]
fn what_was_not_used_for_longest_leaves_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = harness::config(folder.path().join("cache"));
    config.cache_bytes = 0;
    let compiler = Compiler::new(harness::engine(), config).unwrap();
    for guest in ["reaching", "counting"] {
        compiler.compile(&picket_guests_build::component(guest)).unwrap();
    }
    let names: Vec<_> = fs::read_dir(folder.path().join("cache")).unwrap().collect();
    assert_eq!(names.len(), 1, "only the newest is left");
    compiler.compile(&picket_guests_build::component("counting")).unwrap();
    assert_eq!(compiler.counts().cached, 1);
}
