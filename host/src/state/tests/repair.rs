//! Real folders that something has damaged.

use std::fs;
use std::path::{Path, PathBuf};

use picket_journal::sim::Rng;

use super::*;

/// In bytes.
const CACHE: u64 = 16 << 20;

fn open(dir: &Path) -> Result<State, StateError> {
    State::open(dir, CACHE)
}

fn value(number: u64) -> Vec<u8> {
    number.to_string().repeat(50).into_bytes()
}

/// A state with entries of two sessions: some in sled's page table, some in its log behind it; backed up in
/// between and synced at the end. Returns how many commits it has, and up to which they are in the backup.
fn make(dir: &Path) -> (u64, u64) {
    let (commits, backed_up) = (60, 40);
    let mut state = open(dir).unwrap();
    for number in 1..=commits {
        state.apply(&[set(&format!("{number:03}"), &value(number), None)], at(number)).unwrap();
        state.meta_put("cursor/x", value(number)).unwrap();
        if number == backed_up {
            state.sync().unwrap();
            assert_eq!(state.back_up().unwrap().unwrap().at, at(backed_up));
            drop(state);
            state = open(dir).unwrap();
        }
    }
    state.sync().unwrap();
    drop(state);
    // sled's own threads end a little later.
    assert!(database::wait_until_closed(&dir.join("db")));
    (commits, backed_up)
}

/// The state must be that of a moment: all commits up to the applied one, and none behind it.
fn check_moment(state: &State, least: u64, commits: u64) {
    let applied = state.applied().unwrap().offset;
    assert!((least..=commits).contains(&applied), "{applied} of {least}..={commits}");
    let found = state.plugin_scan("p", b"", None, 1000, 0).unwrap();
    let expected: Vec<_> = (1..=applied).map(|n| (format!("{n:03}").into_bytes(), value(n))).collect();
    assert!(found == expected, "{} entries and not the first {applied}", found.len());
}

/// The files of sled in the folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("db")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("db/blobs")).unwrap();
    for file in files(from) {
        fs::copy(&file, to.join("db").join(file.file_name().unwrap())).unwrap();
    }
    for name in ["backup", "facts"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

fn aside(folder: &Path) -> usize {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with("db.damaged-")).count()
}

#[test]
fn whatever_is_flipped_or_cut_the_state_opens_and_shows_a_moment_no_older_than_its_backup() {
    let made = tempfile::tempdir().unwrap();
    let (commits, backed_up) = make(made.path());
    let mut repaired = 0;
    for seed in 0..40 {
        let mut rng = Rng::new(seed);
        let folder = tempfile::tempdir().unwrap();
        copy(made.path(), folder.path());
        let files = files(folder.path());
        let file = &files[rng.below(files.len() as u64) as usize];
        let mut bytes = fs::read(file).unwrap();
        if rng.one_in(3) {
            bytes.truncate(rng.below(bytes.len() as u64) as usize);
        } else {
            // Most of a segment is empty; where something stands is where it hurts.
            let full = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last as u64 + 1);
            for _ in 0..=rng.below(4) {
                bytes[rng.below(full) as usize] ^= 1u8 << rng.below(8);
            }
        }
        fs::write(file, bytes).unwrap();
        let state = open(folder.path()).unwrap();
        check_moment(&state, backed_up, commits);
        let repairs = state.repairs();
        assert_eq!((repairs.without_backup, repairs.without_facts), (0, 0), "seed {seed}");
        assert_eq!(aside(folder.path()) as u64, repairs.repairs, "seed {seed}");
        if repairs.repairs > 0 {
            // The facts are those of the last sync.
            assert_eq!(state.meta_get("cursor/x").unwrap().unwrap(), value(commits), "seed {seed}");
        }
        repaired += repairs.repairs;
        // It goes on working, and the next start finds nothing to do.
        state.apply(&[], at(commits + 1)).unwrap();
        state.sync().unwrap();
        drop(state);
        assert_eq!(open(folder.path()).unwrap().repairs(), Repairs::default(), "seed {seed}");
    }
    assert!(repaired > 0, "no damage was met");
}

#[test]
fn without_a_whole_backup_a_new_state_is_begun_and_that_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path());
    fs::write(folder.path().join("db/conf"), b"this is no configuration of sled").unwrap();
    fs::write(folder.path().join("backup"), b"nor is this a backup").unwrap();
    let state = open(folder.path()).unwrap();
    assert_eq!(state.repairs(), Repairs { repairs: 1, without_backup: 1, without_facts: 0 });
    assert_eq!(state.applied().unwrap(), Position::ZERO);
    assert_eq!(state.meta_get("cursor/x").unwrap().unwrap(), value(60));
    assert_eq!(aside(folder.path()), 1);
}

#[test]
fn a_database_that_is_missing_is_filled_again() {
    let folder = tempfile::tempdir().unwrap();
    let (_, backed_up) = make(folder.path());
    fs::remove_dir_all(folder.path().join("db")).unwrap();
    let state = open(folder.path()).unwrap();
    check_moment(&state, backed_up, backed_up);
    assert_eq!(state.repairs(), Repairs { repairs: 1, ..Repairs::default() });
}

#[test]
fn an_older_database_than_the_backup_is_not_believed() {
    let (old, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(open(old.path()).unwrap());
    let (_, backed_up) = make(folder.path());
    fs::remove_dir_all(folder.path().join("db")).unwrap();
    fs::rename(old.path().join("db"), folder.path().join("db")).unwrap();
    let state = open(folder.path()).unwrap();
    check_moment(&state, backed_up, backed_up);
}

#[test]
fn what_is_remembered_of_files_is_not_backed_up() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path()).unwrap();
    let digest = Write::FileDigest { key: b"file".to_vec(), value: Some(vec![0; 9000]), used: Day(1) };
    apply(&state, &[digest, set("a", &[1; 9000], None)]);
    state.sync().unwrap();
    state.back_up().unwrap();
    drop(state);
    fs::remove_dir_all(folder.path().join("db")).unwrap();
    let state = open(folder.path()).unwrap();
    assert_eq!(state.plugin_get("p", b"a", 0).unwrap().unwrap(), [1; 9000]);
    assert!(keys(&state).iter().all(|key| !keys::is_cache(key)));
}
