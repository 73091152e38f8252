//! What only the real database can show.

use std::fs;
use std::path::Path;

use super::*;
use crate::state::database::{Database, SUM};

/// In bytes.
const CACHE: u64 = 16 << 20;

fn open(dir: &Path) -> Result<State, StateError> {
    State::open(dir, CACHE)
}

#[test]
fn what_was_applied_is_there_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("a/state");
    let state = open(&dir).unwrap();
    apply(&state, &[set("a", &[7; 20_000], Some(5)), snapshot(vec![8; 70_000])]);
    state.meta_put("cursor/x", b"1:2".to_vec()).unwrap();
    state.sync().unwrap();
    drop(state);
    let state = open(&dir).unwrap();
    assert_eq!(state.applied().unwrap(), at(1));
    assert_eq!(state.plugin_get("p", b"a", 0).unwrap().unwrap(), [7; 20_000]);
    assert_eq!(state.snapshot("p").unwrap().unwrap().bytes, [8; 70_000]);
    assert_eq!(state.meta_get("cursor/x").unwrap().unwrap(), b"1:2");
    assert!(state.bytes() > 0);
}

#[test]
fn a_folder_in_use_is_refused_with_the_holder_and_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path()).unwrap();
    let error = open(folder.path()).err().unwrap();
    let text = error.to_string();
    assert!(
        matches!(error, StateError::Held { holder: Some(pid), .. } if pid == std::process::id()),
        "{text}"
    );
    assert!(text.contains("held by another agent") && text.contains("data_dir"), "{text}");
    drop(state);
    open(folder.path()).unwrap();
}

#[test]
fn a_state_of_an_older_version_is_changed_by_who_uses_it_and_not_by_who_looks() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path()).unwrap();
    apply(&state, &[set("a", b"1", None)]);
    drop(state);
    let database = Database::open_unchecked(folder.path(), CACHE).unwrap();
    database.db.remove(SUM).unwrap();
    database.db.insert(keys::format(), 1_u32.to_le_bytes().to_vec()).unwrap();
    database.close();
    let found = || {
        let database = Database::open_unchecked(folder.path(), CACHE).unwrap();
        let format = database.db.get(keys::format()).unwrap().unwrap().to_vec();
        let found = (database.db.get(SUM).unwrap().is_some(), format);
        database.close();
        found
    };
    State::inspect(folder.path(), CACHE).unwrap();
    assert_eq!(found(), (false, 1_u32.to_le_bytes().to_vec()));
    drop(open(folder.path()).unwrap());
    assert_eq!(found(), (true, FORMAT_VERSION.to_le_bytes().to_vec()));
}

#[test]
fn a_page_table_that_was_being_written_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path()).unwrap();
    apply(&state, &[set("a", b"1", None)]);
    drop(state);
    fs::write(folder.path().join("db/snap.FFFFFFFFFFFFFFFF.generating"), b"half").unwrap();
    let state = open(folder.path()).unwrap();
    assert_eq!(state.plugin_get("p", b"a", 0).unwrap().unwrap(), b"1");
}

#[test]
fn no_value_is_long_enough_for_the_files_that_sled_does_not_sync() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path()).unwrap();
    let noise = |seed: u64, length: usize| {
        let mut rng = picket_journal::sim::Rng::new(seed);
        (0..length).map(|_| rng.number() as u8).collect::<Vec<_>>()
    };
    for round in 0..5 {
        apply(&state, &[snapshot(noise(round, 3 << 20))]);
        let values: Vec<_> = (0..40).map(|n| set(&format!("{n}"), &noise(n, 256 << 10), None)).collect();
        apply(&state, &values);
        let key = |n: u64| "k".repeat(MAX_KEY_BYTES - 10) + &format!("{n:010}");
        apply(&state, &(0..400).map(|n| set(&key(n), &noise(n, 3900), None)).collect::<Vec<_>>());
        state.sync().unwrap();
        assert_eq!(fs::read_dir(folder.path().join("db/blobs")).unwrap().count(), 0);
    }
    assert_eq!(state.snapshot("p").unwrap().unwrap().bytes, noise(4, 3 << 20));
}

#[test]
fn the_ballast_is_there_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path()).unwrap();
    let ballast = folder.path().join("ballast");
    assert_eq!(fs::metadata(&ballast).unwrap().len(), 16 << 20);
    fs::remove_file(&ballast).unwrap();
    state.check_room().unwrap();
    assert!(ballast.exists());
}

#[test]
fn opening_again_under_running_readers_loses_nothing_that_was_synced() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path()).unwrap();
    apply(&state, &[set("a", b"1", None)]);
    state.sync().unwrap();
    std::thread::scope(|scope| {
        let reader = state.clone();
        let reads = scope.spawn(move || {
            (0..2000).filter(|_| reader.plugin_get("p", b"a", 0).is_ok_and(|found| found.is_some())).count()
        });
        for _ in 0..3 {
            state.reopen().unwrap();
            assert_eq!(state.plugin_get("p", b"a", 0).unwrap().unwrap(), b"1");
        }
        assert!(reads.join().unwrap() > 0);
    });
}
