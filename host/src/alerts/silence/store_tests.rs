//! Silences over a state in memory.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::state::MemoryTable;

const NOW: u64 = 1_700_000_000_000_000_000;
const HOUR: u64 = 3_600_000_000_000;

fn state() -> State {
    State::with_table(Arc::new(MemoryTable::new(0))).unwrap()
}

fn wanted(matcher: &str, starts_at: u64, ends_at: u64) -> NewSilence {
    let matchers = vec![matcher.parse().unwrap()];
    NewSilence { matchers, starts_at, ends_at, created_by: "me".into(), comment: "because".into() }
}

fn labels(name: &str) -> Vec<Label> {
    vec![Label { name: "alertname".into(), value: name.into() }]
}

fn silences(silences: &Silences, name: &str, now: u64) -> bool {
    silences.active(now).first_of(&labels(name)).is_some()
}

#[test]
fn a_silence_counts_from_its_beginning_to_its_end_also_after_a_restart() {
    let state = state();
    let kept = Silences::open(state.clone(), NOW).unwrap();
    let silence = kept.add(wanted("alertname=A", NOW + HOUR, NOW + 2 * HOUR), NOW).unwrap();
    assert_eq!(silence.id.len(), 16);
    for kept in [kept, Silences::open(state, NOW).unwrap()] {
        for (now, expected) in
            [(NOW, false), (NOW + HOUR, true), (NOW + 2 * HOUR - 1, true), (NOW + 2 * HOUR, false)]
        {
            assert_eq!(silences(&kept, "A", now), expected, "{now}");
        }
        assert!(!silences(&kept, "B", NOW + HOUR));
        assert_eq!(kept.list(), std::slice::from_ref(&silence));
    }
}

#[test]
fn of_several_the_one_that_ends_last_is_named() {
    let kept = Silences::open(state(), NOW).unwrap();
    let short = kept.add(wanted("alertname=A", NOW, NOW + HOUR), NOW).unwrap();
    let long = kept.add(wanted("alertname=~A|B", NOW, NOW + 2 * HOUR), NOW).unwrap();
    assert_eq!(kept.active(NOW).first_of(&labels("A")), Some(long.id.as_str()));
    assert_eq!(kept.list().iter().map(|it| &it.id).collect::<Vec<_>>(), [&long.id, &short.id]);
    assert_ne!(kept.add(wanted("alertname=A", NOW, NOW + HOUR), NOW).unwrap().id, short.id, "made twice");
}

#[test]
fn an_expired_silence_counts_no_more_and_is_forgotten_after_some_days() {
    let state = state();
    let kept = Silences::open(state.clone(), NOW).unwrap();
    let active = kept.add(wanted("alertname=A", NOW, NOW + 9 * HOUR), NOW).unwrap();
    let pending = kept.add(wanted("alertname=A", NOW + HOUR, NOW + 9 * HOUR), NOW).unwrap();
    for id in [&active.id, &pending.id] {
        let expired = kept.expire(id, NOW + 1).unwrap();
        assert_eq!((expired.what.ends_at, expired.what.phase(NOW + 1)), (NOW + 1, Phase::Expired));
        assert_eq!(kept.expire(id, NOW + 7).unwrap(), expired, "it has ended already");
    }
    assert!(!silences(&kept, "A", NOW + HOUR));
    assert!(!silences(&kept, "A", NOW), "nor when the clock is set back");
    assert_eq!(kept.expire("x", NOW), Err(SilenceError::Unknown("x".into())));
    assert_eq!(kept.sweep(NOW + 1 + KEPT).unwrap(), 0);
    assert_eq!(Silences::open(state.clone(), NOW).unwrap().list().len(), 2);
    assert_eq!(kept.sweep(NOW + 2 + KEPT).unwrap(), 2);
    assert!(kept.list().is_empty() && Silences::open(state, NOW).unwrap().list().is_empty());
}

#[test]
fn beyond_the_bound_ended_ones_make_room_and_others_do_not() {
    let kept = Silences::open(state(), NOW).unwrap();
    let first = kept.add(wanted("alertname=A", NOW, NOW + HOUR), NOW).unwrap();
    for number in 1..MAX_SILENCES {
        kept.add(wanted(&format!("alertname=A{number}"), NOW, NOW + 9 * HOUR), NOW).unwrap();
    }
    let one_more = || kept.add(wanted("alertname=B", NOW, NOW + 9 * HOUR), NOW);
    assert_eq!(one_more(), Err(SilenceError::Full));
    kept.expire(&first.id, NOW).unwrap();
    one_more().unwrap();
    assert_eq!(kept.list().len(), MAX_SILENCES);
    assert_eq!(kept.expire(&first.id, NOW), Err(SilenceError::Unknown(first.id)));
}

#[test]
fn regular_expressions_are_bounded_together() {
    let kept = Silences::open(state(), NOW).unwrap();
    let pattern = |number: usize| wanted(&format!("alertname=~A{number}"), NOW, NOW + HOUR);
    let first = kept.add(pattern(0), NOW).unwrap();
    (1..MAX_PATTERNS).for_each(|number| drop(kept.add(pattern(number), NOW).unwrap()));
    assert_eq!(kept.add(pattern(7), NOW), Err(SilenceError::TooManyPatterns));
    assert!(kept.add(wanted("alertname=A", NOW, NOW + HOUR), NOW).is_ok());
    kept.expire(&first.id, NOW).unwrap();
    assert!(kept.add(pattern(7), NOW).is_ok());
}

#[test]
fn what_cannot_be_read_does_not_count_and_keeps_no_other_from_counting() {
    let state = state();
    let kept = Silences::open(state.clone(), NOW).unwrap();
    kept.add(wanted("alertname=A", NOW, NOW + HOUR), NOW).unwrap();
    state.meta_put("silence/damaged", vec![1, 0xc1]).unwrap();
    state.meta_put("silence/newer", vec![2, 1]).unwrap();
    let kept = Silences::open(state.clone(), NOW).unwrap();
    assert!(silences(&kept, "A", NOW));
    assert_eq!(kept.list().len(), 1);
    let stored: Vec<String> =
        state.meta_scan("silence/").unwrap().into_iter().map(|(name, _)| name).collect();
    assert!(stored.contains(&"silence/newer".to_owned()) && !stored.contains(&"silence/damaged".to_owned()));
}

#[test]
fn what_the_state_does_not_take_is_not_said_to_be_silent() {
    let table = Arc::new(MemoryTable::new(0));
    let kept = Silences::open(State::with_table(table.clone()).unwrap(), NOW).unwrap();
    table.set_full(true);
    let refused = kept.add(wanted("alertname=A", NOW, NOW + HOUR), NOW);
    assert!(matches!(refused, Err(SilenceError::NotStored(_))), "{refused:?}");
    assert!(!silences(&kept, "A", NOW));
}
