//! The state over both tables.
#![allow(clippy::unwrap_used, reason = "tests")]

mod model;
mod on_disk;
mod remembered;
mod repair;

use super::*;
use crate::model::{Day, Digest};

fn memory() -> State {
    State::with_table(Arc::new(MemoryTable::new(0))).unwrap()
}

fn at(offset: u64) -> Position {
    Position { segment: 1, offset }
}

fn apply(state: &State, writes: &[Write]) {
    let applied = state.applied().unwrap();
    state.apply(writes, at(applied.offset + 1)).unwrap();
}

fn set(key: &str, value: &[u8], expires: Option<u64>) -> Write {
    Write::PluginSet { plugin: "p".into(), key: key.into(), value: value.to_vec(), expires }
}

fn snapshot(bytes: Vec<u8>) -> Write {
    Write::Snapshot { plugin: "p".into(), version: "1".into(), generation: Digest::of(b"g"), bytes }
}

/// All keys of the table.
fn keys(state: &State) -> Vec<Vec<u8>> {
    state.table().scan(b"", None, usize::MAX).unwrap().into_iter().map(|(key, _)| key).collect()
}

#[test]
fn writes_and_the_applied_position_are_one_batch() {
    let state = memory();
    assert_eq!(state.applied().unwrap(), Position::ZERO);
    state.apply(&[set("a", b"1", None), set("a", b"2", None), set("b", b"3", None)], at(7)).unwrap();
    assert_eq!(state.applied().unwrap(), at(7));
    assert_eq!(state.plugin_get("p", b"a", 0).unwrap().unwrap(), b"2");
    assert_eq!(state.plugin_bytes("p").unwrap(), 4);
    assert_eq!(state.sync().unwrap(), at(7));
}

#[test]
fn an_expired_value_is_gone_before_it_is_swept_and_its_bytes_after() {
    let state = memory();
    apply(&state, &[set("a", b"1", Some(100)), set("b", b"22", Some(200)), set("c", b"3", None)]);
    assert_eq!(state.plugin_get("p", b"a", 99).unwrap().unwrap(), b"1");
    assert_eq!(state.plugin_get("p", b"a", 100).unwrap(), None);
    assert_eq!(state.plugin_scan("p", b"", None, 10, 100).unwrap().len(), 2);
    assert_eq!(state.plugin_bytes("p").unwrap(), 7);
    assert_eq!(state.purge_expired(150, 10).unwrap(), 1);
    assert_eq!(state.plugin_bytes("p").unwrap(), 5);
    // A new value takes the old expiry with it.
    apply(&state, &[set("b", b"22", None)]);
    assert_eq!(state.purge_expired(u64::MAX, 10).unwrap(), 0);
    assert_eq!(state.plugin_bytes("p").unwrap(), 5);
}

#[test]
fn plugins_do_not_see_each_other_even_when_their_names_begin_alike() {
    let state = memory();
    let other = |plugin: &str| Write::PluginSet {
        plugin: plugin.into(),
        key: b"k".to_vec(),
        value: plugin.as_bytes().to_vec(),
        expires: None,
    };
    apply(&state, &[other("p"), other("pp"), other("p\0")]);
    assert_eq!(state.plugin_scan("p", b"", None, 10, 0).unwrap(), [(b"k".to_vec(), b"p".to_vec())]);
    while state.forget_plugin("p", 1).unwrap() > 0 {}
    assert_eq!(state.plugin_bytes("p").unwrap(), 0);
    assert_eq!(state.plugin_get("pp", b"k", 0).unwrap().unwrap(), b"pp");
    assert_eq!(state.plugin_get("p\0", b"k", 0).unwrap().unwrap(), b"p\0");
}

#[test]
fn a_scan_goes_on_behind_a_key_and_ends() {
    let state = memory();
    let names: Vec<String> = (0..600).map(|n| format!("k{n:03}")).collect();
    apply(&state, &names.iter().map(|name| set(name, b"v", None)).collect::<Vec<_>>());
    apply(&state, &[set("j", b"v", None), set("l", b"v", None)]);
    let mut found = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = state.plugin_scan("p", b"k", after.as_deref(), 70, 0).unwrap();
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        found.extend(page.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()));
    }
    assert_eq!(found, names);
}

#[test]
fn long_values_are_stored_in_pieces_and_leave_none_behind() {
    let state = memory();
    let bytes = |length: usize| (0..length).map(|n| (n % 251) as u8).collect::<Vec<_>>();
    for length in [0, 1, 4000, 4096, 5000, 300_000, 8192, 12_289, 10] {
        apply(&state, &[snapshot(bytes(length)), set("a", &bytes(length), None)]);
        assert_eq!(state.snapshot("p").unwrap().unwrap().bytes, bytes(length));
        assert_eq!(state.plugin_get("p", b"a", 0).unwrap().unwrap(), bytes(length));
        let longest = state.table().scan(b"", None, usize::MAX).unwrap();
        assert!(longest.iter().all(|(_, value)| value.len() <= value::PIECE_BYTES + 1));
    }
    assert!(keys(&state).iter().all(|key| key[0] != b'x'));
    apply(&state, &[set("a", &bytes(100_000), None)]);
    apply(&state, &[Write::PluginDelete { plugin: "p".into(), key: b"a".to_vec() }]);
    assert!(keys(&state).iter().all(|key| key[0] != b'x'));
}

#[test]
fn a_damaged_checkpoint_costs_only_itself() {
    let state = memory();
    let streams = [Digest::of(b"1"), Digest::of(b"2")];
    for stream in streams {
        let (plugin, source) = ("p".into(), "s".into());
        apply(&state, &[Write::Checkpoint { plugin, source, stream, value: b"x".to_vec() }]);
    }
    let damaged = (keys::checkpoint("p", "s", &streams[0]), Some(vec![0, 1, 0xc1]));
    state.table().apply(vec![damaged]).unwrap();
    let (whole, damaged) = state.checkpoints("p", "s").unwrap();
    assert_eq!(whole, [(streams[1], b"x".to_vec())]);
    assert!(matches!(damaged[..], [StateError::Damaged { .. }]), "{damaged:?}");
    state.table().apply(vec![(keys::checkpoint("p", "s", &streams[0]), Some(vec![0, 200, 0]))]).unwrap();
    assert!(matches!(state.checkpoints("p", "s"), Err(StateError::NewerVersion { .. })));
}

#[test]
fn checkpoints_alerts_scans_digests_and_facts_are_kept_and_deleted() {
    let state = memory();
    let [one, two] = [Digest::of(b"1"), Digest::of(b"2")];
    let checkpoint = |stream, value: &[u8]| Write::Checkpoint {
        plugin: "p".into(),
        source: "s".into(),
        stream,
        value: value.to_vec(),
    };
    let alert = |value: Option<&[u8]>| Write::Alert {
        plugin: "p".into(),
        key: b"a".to_vec(),
        value: value.map(<[u8]>::to_vec),
    };
    let scanned = |generation, value: Option<&[u8]>| Write::Scanned {
        plugin: "p".into(),
        generation,
        content: two,
        value: value.map(<[u8]>::to_vec),
        used: Day(1),
    };
    let file = |value: Option<&[u8]>| Write::FileDigest {
        key: vec![b'/'; 5000],
        value: value.map(<[u8]>::to_vec),
        used: Day(1),
    };
    apply(&state, &[checkpoint(one, b"x"), checkpoint(two, b"y"), alert(Some(b"firing")), file(Some(b"d"))]);
    apply(&state, &[scanned(one, Some(b"clean")), scanned(two, Some(b"clean"))]);
    state.meta_put("cursor/a", b"1".to_vec()).unwrap();
    state.meta_put("cursor/b", b"2".to_vec()).unwrap();

    assert_eq!(state.checkpoint("p", "s", &one).unwrap().unwrap(), b"x");
    let mut both = vec![(one, b"x".to_vec()), (two, b"y".to_vec())];
    both.sort();
    let checkpoints = |source: &str| {
        let (whole, damaged) = state.checkpoints("p", source).unwrap();
        assert!(damaged.is_empty(), "{damaged:?}");
        whole
    };
    assert_eq!(checkpoints("s"), both);
    assert_eq!(checkpoints("other"), []);
    assert_eq!(state.alerts("p").unwrap(), [(b"a".to_vec(), b"firing".to_vec())]);
    assert_eq!(state.scanned("p", &one, &two).unwrap().unwrap().value, b"clean");
    assert_eq!(state.file_digest(&[b'/'; 5000]).unwrap().unwrap().value, b"d");
    assert_eq!(state.meta_scan("cursor/").unwrap().len(), 2);

    assert_eq!(state.purge_scanned("p", &[two], 10).unwrap(), 1);
    assert_eq!(state.scanned("p", &one, &two).unwrap(), None);
    assert!(state.scanned("p", &two, &two).unwrap().is_some());
    let delete = Write::CheckpointDelete { plugin: "p".into(), source: "s".into(), stream: one };
    apply(&state, &[delete, alert(None), file(None), scanned(two, None)]);
    assert_eq!(state.checkpoint("p", "s", &one).unwrap(), None);
    assert_eq!(state.alerts("p").unwrap(), []);
    assert_eq!(state.file_digest(&[b'/'; 5000]).unwrap(), None);
    assert_eq!(state.scanned("p", &two, &two).unwrap(), None);
    state.meta_delete("cursor/a").unwrap();
    assert_eq!(state.meta_get("cursor/a").unwrap(), None);
    assert_eq!(state.meta_get("cursor/b").unwrap().unwrap(), b"2");
}

#[test]
fn a_removed_plugin_leaves_nothing() {
    let state = memory();
    let before = keys(&state);
    apply(
        &state,
        &[
            set("a", &[1; 10_000], Some(5)),
            snapshot(vec![2; 50_000]),
            Write::Checkpoint {
                plugin: "p".into(),
                source: "s".into(),
                stream: Digest::of(b"1"),
                value: vec![],
            },
            Write::Alert { plugin: "p".into(), key: b"a".to_vec(), value: Some(vec![]) },
        ],
    );
    while state.forget_plugin("p", 2).unwrap() > 0 {}
    assert_eq!(keys(&state), [vec![keys::applied()], before].concat());
}

#[test]
fn the_plugins_of_which_anything_is_kept_are_found_wherever_it_is_kept() {
    let state = memory();
    assert!(state.plugins().unwrap().is_empty());
    let own = |plugin: &str, key: &[u8]| Write::PluginSet {
        plugin: plugin.into(),
        key: key.to_vec(),
        value: vec![],
        expires: Some(5),
    };
    let alert = |plugin: &str, key: &[u8]| Write::Alert {
        plugin: plugin.into(),
        key: key.to_vec(),
        value: Some(vec![]),
    };
    let (version, generation) = (String::new(), Digest::of(b"g"));
    apply(
        &state,
        &[
            own("own", &[0xff; MAX_KEY_BYTES]),
            own("own", b"a"),
            own("owner", b"a"),
            alert("firing", b"1"),
            alert("firing", &[0xff; MAX_KEY_BYTES]),
            alert("fiery", b"1"),
            Write::Snapshot { plugin: "snap".into(), version, generation, bytes: vec![1; 10_000] },
            Write::Scanned {
                plugin: "scan".into(),
                generation,
                content: generation,
                value: Some(vec![]),
                used: Day(1),
            },
            Write::Checkpoint {
                plugin: "file".into(),
                source: "s".into(),
                stream: generation,
                value: vec![],
            },
            Write::FileDigest { key: b"/".to_vec(), value: Some(vec![]), used: Day(1) },
        ],
    );
    let names = |found: std::collections::BTreeSet<String>| found.into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(names(state.plugins_with_alerts().unwrap()), "fiery firing");
    assert_eq!(names(state.plugins().unwrap()), "fiery file firing own owner scan snap");
    for plugin in state.plugins().unwrap() {
        while state.forget_plugin(&plugin, 10).unwrap() == 10 {}
    }
    assert!(state.plugins().unwrap().is_empty());
}

#[test]
fn a_newer_version_of_state_and_value_is_refused() {
    let table = Arc::new(MemoryTable::new(0));
    let state = State::with_table(table.clone()).unwrap();
    apply(&state, &[set("a", b"1", None)]);
    let key = keys::plugin("p", b"a");
    let mut stored = table.get(&key).unwrap().unwrap();
    stored[1] = 9;
    table.apply(vec![(key, Some(stored))]).unwrap();
    let error = state.plugin_get("p", b"a", 0).unwrap_err();
    assert!(matches!(error, StateError::NewerVersion { found: 9, known: 1, .. }), "{error}");
    // It does not keep commits from being applied.
    apply(&state, &[set("a", b"2", None)]);
    assert_eq!(state.plugin_get("p", b"a", 0).unwrap().unwrap(), b"2");

    table.apply(vec![(keys::format(), Some(7u32.to_le_bytes().to_vec()))]).unwrap();
    let error = State::with_table(table).err().unwrap();
    assert!(matches!(error, StateError::NewerVersion { found: 7, known: 2, .. }), "{error}");
}

#[test]
fn a_write_that_can_never_be_applied_is_told_before() {
    let long = |length: usize| "x".repeat(length);
    assert!(set(&long(MAX_KEY_BYTES), b"", None).check().is_ok());
    let error = set(&long(MAX_KEY_BYTES + 1), b"", None).check().unwrap_err();
    assert_eq!(error.to_string(), "the key in a plugin's state is 1025 bytes long, and the bound is 1024");
    let delete = Write::CheckpointDelete {
        plugin: "p".into(),
        source: long(MAX_NAME_BYTES + 1),
        stream: Digest::of(b""),
    };
    assert!(delete.check().is_err());
    let snapshot = Write::Snapshot {
        plugin: long(MAX_NAME_BYTES + 1),
        version: String::new(),
        generation: Digest::of(b""),
        bytes: vec![],
    };
    assert!(snapshot.check().is_err());
}
