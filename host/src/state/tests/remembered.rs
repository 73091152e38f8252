//! What is remembered of files: how long it stays, and how it goes.

use super::*;

fn digest(name: &str, used: Day) -> Write {
    Write::FileDigest { key: name.into(), value: Some(name.into()), used }
}

fn scanned(plugin: &str, name: &str, used: Day) -> Write {
    let (plugin, generation, content) = (plugin.to_owned(), Digest::of(b"g"), Digest::of(name.as_bytes()));
    Write::Scanned { plugin, generation, content, value: Some(Vec::new()), used }
}

/// Does a whole pass in pieces; says how many calls it took and how many entries it removed.
fn pass(state: &State, today: Day, limit: usize) -> (usize, usize) {
    let (mut place, mut calls, mut removed) = (Some(Place::default()), 0, 0);
    while let Some(from) = place {
        let (some, next) = state.purge_unused(&from, today, limit).unwrap();
        (place, calls, removed) = (next, calls + 1, removed + some);
    }
    (calls, removed)
}

fn known(state: &State, plugin: &str, name: &str) -> bool {
    state.scanned(plugin, &Digest::of(b"g"), &Digest::of(name.as_bytes())).unwrap().is_some()
}

#[test]
fn an_entry_is_due_after_a_week_and_unused_after_a_month_but_not_before_its_day() {
    let entry = Remembered { used: Day(100), value: Vec::new() };
    let at = |day: u32| (entry.is_due(Day(day)), entry.is_unused(Day(day)));
    assert_eq!(at(100 + DUE_DAYS), (false, false));
    assert_eq!(at(101 + DUE_DAYS), (true, false));
    assert_eq!(at(100 + KEPT_DAYS), (true, false));
    assert_eq!(at(101 + KEPT_DAYS), (true, true));
    assert_eq!(at(0), (false, false));
}

#[test]
fn what_is_used_stays_and_what_is_not_goes() {
    let state = memory();
    let (used, unused) = (Day(101), Day(100));
    apply(&state, &[digest("/used", used), digest("/unused", unused)]);
    apply(&state, &[scanned("p", "used", used), scanned("p", "unused", unused), scanned("q", "used", used)]);
    let before = [set("k", b"v", None), snapshot(vec![1; 10_000])];
    apply(&state, &before);
    assert_eq!(pass(&state, Day(100 + KEPT_DAYS), 10).1, 0);
    assert_eq!(pass(&state, Day(101 + KEPT_DAYS), 10).1, 2);
    assert_eq!(state.file_digest(b"/used").unwrap().unwrap(), Remembered { used, value: b"/used".to_vec() });
    assert_eq!(state.file_digest(b"/unused").unwrap(), None);
    assert!(known(&state, "p", "used") && known(&state, "q", "used") && !known(&state, "p", "unused"));
    // Everything goes when the clock jumps, and nothing else does.
    assert_eq!(pass(&state, Day(40_000), 10).1, 3);
    assert_eq!(state.plugin_get("p", b"k", 0).unwrap().unwrap(), b"v");
    assert_eq!(state.snapshot("p").unwrap().unwrap().bytes.len(), 10_000);
}

#[test]
fn a_pass_goes_on_where_it_stood_and_looks_at_each_entry_once() {
    for limit in [1, 2, 3, 7, 8, 100] {
        let state = memory();
        let used = |number: u32| Day(if number.is_multiple_of(2) { 1 } else { 100 });
        for number in 0..7 {
            let name = number.to_string();
            apply(&state, &[digest(&name, used(number)), scanned("p", &name, used(number))]);
        }
        let (calls, removed) = pass(&state, Day(100), limit);
        assert_eq!(removed, 8, "in pieces of {limit}");
        // One more each where the last piece was a full one.
        assert_eq!(calls, 2 * (7 / limit + 1), "in pieces of {limit}");
        assert_eq!(pass(&state, Day(100), limit).1, 0);
    }
}

#[test]
fn entries_that_come_and_go_between_two_pieces_do_not_disturb_a_pass() {
    let state = memory();
    let names: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    apply(&state, &names.iter().map(|name| digest(name, Day(1))).collect::<Vec<_>>());
    let (removed, place) = state.purge_unused(&Place::default(), Day(100), 5).unwrap();
    assert_eq!(removed, 5);
    // Two of those that are left are used, wherever they lie, and one is forgotten.
    let left = names.iter().filter(|name| state.file_digest(name.as_bytes()).unwrap().is_some());
    let left: Vec<_> = left.cloned().collect();
    let forget = Write::FileDigest { key: left[2].clone().into(), value: None, used: Day(100) };
    apply(&state, &[digest(&left[0], Day(100)), digest(&left[1], Day(100)), forget]);
    let (removed, place) = state.purge_unused(&place.unwrap(), Day(100), 50).unwrap();
    assert_eq!(removed, 12);
    // The verdicts are still to come.
    assert_eq!(state.purge_unused(&place.unwrap(), Day(100), 50).unwrap(), (0, None));
}

#[test]
fn a_damaged_value_counts_as_unknown_can_be_replaced_and_goes_with_the_next_pass() {
    let state = memory();
    let today = Day(100);
    let damage = || {
        for (name, stored) in [("a", vec![]), ("b", vec![0, 1, 0xc1]), ("c", vec![0, 200, 0]), ("d", vec![9])]
        {
            state.table().apply(vec![(keys::file_digest(name.as_bytes()), Some(stored))]).unwrap();
        }
        // The first layout: a value without a day.
        let key = keys::scanned("p", &Digest::of(b"g"), &Digest::of(b"e"));
        let undated = value::encode(&apply::Opaque { bytes: vec![7; 32] }).unwrap();
        state.table().apply(vec![(key, Some([vec![0], undated].concat()))]).unwrap();
    };
    damage();
    for name in ["a", "b", "c", "d"] {
        assert_eq!(state.file_digest(name.as_bytes()).unwrap(), None);
        apply(&state, &[digest(name, today)]);
        assert_eq!(state.file_digest(name.as_bytes()).unwrap().unwrap().value, name.as_bytes());
    }
    assert!(!known(&state, "p", "e"));
    apply(&state, &[scanned("p", "e", today)]);
    assert!(known(&state, "p", "e"));
    damage();
    assert_eq!(pass(&state, today, 2).1, 5);
    assert!(keys(&state).iter().all(|key| matches!(key[0], b'a' | b'f')));
}
