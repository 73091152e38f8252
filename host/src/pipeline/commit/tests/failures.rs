//! Full disks, failing syncs, failing state, journals that do not fit the state.

use std::io::ErrorKind;

use crossbeam_channel::{Receiver, TryRecvError};
use picket_journal::sim::Operation;

use super::core::{Core, Request};
use super::*;

fn open(machine: &Machine) -> (Core, State) {
    let (journal, state) = machine.parts();
    let core = Core::open(journal, state.clone(), Config::default(), metrics()).unwrap();
    core.floors().set_readers(&[]);
    (core, state)
}

type Reply = Receiver<Result<Position, CommitError>>;

fn commit(core: &mut Core, commits: impl IntoIterator<Item = Commit>) -> Vec<Reply> {
    let (requests, replies) =
        commits.into_iter().map(|commit| Request::new(commit, 100_000).unwrap()).unzip();
    core.group(requests);
    replies
}

fn result(replies: &[Reply]) -> Vec<Result<(), &'static str>> {
    let answer = |reply: &Reply| reply.try_recv().unwrap().map(drop).map_err(|error| error.reason());
    replies.iter().map(answer).collect()
}

fn all(core: &Core) -> Vec<u64> {
    let found = records(&mut core.journal().tail().reader(Position::ZERO));
    found.into_iter().map(|(_, record)| record).collect()
}

#[test]
fn a_full_disk_fails_commits_until_there_is_room_again() {
    let machine = Machine::new(0);
    let (mut core, state) = open(&machine);
    assert_eq!(result(&commit(&mut core, [batch("p", 0, 1)])), [Ok(())]);
    machine.disk.set_capacity(Some(machine.disk.used() + 300));
    let replies = commit(&mut core, [batch("p", 1, 2), batch("q", 0, 20), batch("r", 0, 20)]);
    assert_eq!(result(&replies), [Ok(()), Err("disk-full"), Err("disk-full")]);
    machine.disk.set_capacity(None);
    assert_eq!(result(&commit(&mut core, [batch("q", 0, 2)])), [Ok(())]);
    assert_eq!(all(&core), [0, 1, 0, 1]);
    assert_eq!((counter(&state, "p"), counter(&state, "q"), counter(&state, "r")), (2, 2, 0));
}

#[test]
fn a_disk_without_room_for_the_state_fails_commits_before_they_are_durable() {
    let machine = Machine::new(0);
    let (mut core, _state) = open(&machine);
    machine.table.set_full(true);
    assert_eq!(result(&commit(&mut core, [batch("p", 0, 1)])), [Err("disk-full")]);
    machine.table.set_full(false);
    assert_eq!(result(&commit(&mut core, [batch("p", 0, 1)])), [Ok(())]);
    assert_eq!(all(&core), [0]);
}

#[test]
fn a_failed_sync_fails_all_that_share_it_and_none_after_it() {
    let machine = Machine::new(0);
    let (mut core, state) = open(&machine);
    machine.disk.fail_next(Operation::Sync, ErrorKind::Other);
    let replies = commit(&mut core, [batch("p", 0, 1), batch("q", 0, 1)]);
    assert_eq!(result(&replies), [Err("journal"), Err("journal")]);
    assert_eq!(state.applied().unwrap(), Position::ZERO);
    assert!(core.health().trouble().is_some(), "readiness tells it");
    assert_eq!(result(&commit(&mut core, [batch("p", 0, 1)])), [Ok(())]);
    assert_eq!(core.health().trouble(), None);
    drop(core);
    machine.power_cut();
    let (core, state) = open(&machine);
    assert_eq!(all(&core), [0]);
    assert_eq!((counter(&state, "p"), counter(&state, "q")), (1, 0));
}

#[test]
fn a_journal_that_cannot_be_appended_to_is_told_to_readiness_until_a_commit_works() {
    let machine = Machine::new(0);
    let (mut core, _state) = open(&machine);
    assert_eq!(result(&commit(&mut core, [batch("p", 0, 1)])), [Ok(())]);
    machine.disk.fail_next(Operation::Write, ErrorKind::ReadOnlyFilesystem);
    let replies = commit(&mut core, [batch("p", 1, 2)]);
    assert_eq!(result(&replies), [Err("journal")]);
    let trouble = core.health().trouble().unwrap_or_default();
    assert!(trouble.contains("cannot write to the segment"), "{trouble}");
    assert_eq!(result(&commit(&mut core, [batch("p", 1, 2)])), [Ok(())]);
    assert_eq!(core.health().trouble(), None);
    // What is wrong with one commit is no trouble of the journal.
    let empty = Request { payload: Vec::new(), writes: Vec::new(), reply: crossbeam_channel::bounded(1).0 };
    core.group(vec![empty]);
    assert_eq!(core.health().trouble(), None);
}

#[test]
fn a_state_that_fails_is_opened_again_and_the_commit_succeeds() {
    for seed in 0..50 {
        let machine = Machine::new(seed);
        let (mut core, state) = open(&machine);
        result(&commit(&mut core, [batch("p", 0, 1)]));
        core.sync_state().unwrap();
        (1..5).for_each(|record| drop(commit(&mut core, [batch("p", record, record + 1)])));
        machine.table.set_faults(1000);
        let replies = commit(&mut core, [batch("p", 5, 6), batch("q", 0, 1)]);
        // It is durable, so it is neither failed nor acknowledged, and nobody reads an old checkpoint.
        assert!(replies.iter().all(|reply| matches!(reply.try_recv(), Err(TryRecvError::Empty))));
        assert!(state.checkpoint("p", "s", &Digest::of(b"stream")).is_err());
        assert_eq!(result(&commit(&mut core, [batch("r", 0, 1)])), [Err("state")]);
        assert!(core.health().trouble().is_some());
        machine.table.set_faults(0);
        core.recover().unwrap();
        assert_eq!(core.health().trouble(), None);
        assert_eq!(result(&replies), [Ok(()), Ok(())]);
        assert_eq!((counter(&state, "p"), counter(&state, "q"), counter(&state, "r")), (6, 1, 0));
        assert_eq!(all(&core), [0, 1, 2, 3, 4, 5, 0]);
    }
}

#[test]
fn stopping_while_the_state_fails_answers_who_waits_and_the_next_start_applies() {
    let machine = Machine::new(0);
    let (mut core, state) = open(&machine);
    machine.table.set_faults(1000);
    let replies = commit(&mut core, [batch("p", 0, 1)]);
    assert!(core.close().is_err());
    assert_eq!(result(&replies), [Err("not-applied")]);
    drop(state);
    machine.table.set_faults(0);
    machine.power_cut();
    let (_core, state) = open(&machine);
    assert_eq!(counter(&state, "p"), 1);
}

#[test]
fn segments_stay_as_long_as_the_state_cannot_be_synced() {
    let machine = Machine::new(0);
    let (mut core, _state) = open(&machine);
    (0..100).for_each(|record| drop(commit(&mut core, [batch("p", record, record + 1)])));
    machine.table.set_faults(1000);
    assert!(core.sync_state().is_err());
    assert_eq!(core.journal().first().segment, 1);
    machine.table.set_faults(0);
    core.recover().unwrap();
    core.sync_state().unwrap();
    assert!(core.journal().first().segment > 1);
}

#[test]
fn a_journal_that_ends_before_the_state_is_continued_behind_it() {
    let machine = Machine::new(0);
    let (mut core, _state) = open(&machine);
    (0..100).for_each(|record| drop(commit(&mut core, [batch("p", record, record + 1)])));
    core.close().unwrap();
    // Somebody has emptied the journal's folder.
    let emptied = Machine { disk: SimFs::new(1), ..machine };
    let (mut core, state) = open(&emptied);
    assert_eq!(counter(&state, "p"), 100);
    assert_eq!(result(&commit(&mut core, [batch("p", 100, 101)])), [Ok(())]);
    assert_eq!(state.applied().unwrap(), core.journal().durable_end());
    drop((core, state));
    emptied.power_cut();
    let (core, state) = open(&emptied);
    assert_eq!(counter(&state, "p"), 101);
    assert_eq!(all(&core), [100]);
}

#[test]
fn a_commit_of_a_newer_version_stops_the_start_with_its_place() {
    let machine = Machine::new(0);
    let (mut journal, state) = machine.parts();
    let mut payload = payload::encode(&batch("p", 0, 1)).unwrap();
    payload[0] = 3;
    journal.append(&payload).unwrap();
    journal.sync().unwrap();
    let error = Core::open(journal, state, Config::default(), metrics()).err().unwrap();
    assert!(matches!(error, CommitError::Replay { .. }), "{error}");
    assert!(error.to_string().contains("1:44"), "{error}");
}

#[test]
fn a_commit_that_does_not_unpack_is_passed_over_and_counted() {
    let machine = Machine::new(0);
    let (mut journal, state) = machine.parts();
    for payload in [&b"\x02junk"[..], &payload::encode(&batch("p", 0, 1)).unwrap()] {
        journal.append(payload).unwrap();
    }
    journal.sync().unwrap();
    let metrics = metrics();
    Core::open(journal, state.clone(), Config::default(), metrics.clone()).unwrap();
    assert_eq!((counter(&state, "p"), metrics.malformed.get()), (1, 1));
}
