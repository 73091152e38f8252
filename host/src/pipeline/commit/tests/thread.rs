//! The thread itself: order, group commit, stopping, restart, floors.

use std::time::Duration;

use super::*;

fn all(committer: &Committer) -> Vec<(String, u64)> {
    records(&mut committer.tail().reader(Position::ZERO))
}

#[test]
fn a_commit_is_in_journal_and_state_when_it_returns() {
    let machine = Machine::new(0);
    let (committer, thread, state) = machine.start(Config::default());
    let first = committer.commit(batch("p", 0, 3)).unwrap();
    assert_eq!((checkpoint(&state, "p"), counter(&state, "p")), (3, 3));
    let second = committer.commit(batch("p", 3, 4)).unwrap();
    assert!(first < second);
    assert_eq!(committer.tail().durable_end(), second);
    assert_eq!(state.applied().unwrap(), second);
    assert_eq!(all(&committer), (0..4).map(|record| ("p".to_owned(), record)).collect::<Vec<_>>());
    thread.stop().unwrap();
    assert!(matches!(committer.commit(batch("p", 4, 5)), Err(CommitError::Stopped)));
    assert!(committer.tail().is_closed());
}

#[test]
fn commits_of_many_threads_share_syncs_and_keep_each_threads_order() {
    let machine = Machine::new(0);
    let (journal, state) = machine.parts();
    let registry = prometheus::Registry::new();
    let (committer, thread) =
        start(journal, state.clone(), Config::default(), Metrics::new(&registry).unwrap()).unwrap();
    std::thread::scope(|scope| {
        for plugin in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            let committer = committer.clone();
            scope.spawn(move || {
                for record in 0..100 {
                    committer.commit(batch(plugin, record, record + 1)).unwrap();
                }
            });
        }
    });
    let found = all(&committer);
    thread.stop().unwrap();
    assert_eq!(found.len(), 800);
    for plugin in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        let own: Vec<u64> =
            found.iter().filter(|(name, _)| name == plugin).map(|(_, record)| *record).collect();
        assert_eq!(own, (0..100).collect::<Vec<_>>());
        assert_eq!(checkpoint(&state, plugin), 100);
    }
    let syncs = registry.gather().into_iter().find(|family| family.name() == "picket_commit_sync_seconds");
    let syncs = syncs.unwrap().get_metric()[0].get_histogram().get_sample_count();
    assert!((100..=800).contains(&syncs), "{syncs}");
}

#[test]
fn requests_that_wait_together_share_one_sync() {
    let machine = Machine::new(0);
    let (journal, state) = machine.parts();
    let metrics = metrics();
    let mut core = core::Core::open(journal, state, Config::default(), metrics.clone()).unwrap();
    let (requests, replies): (Vec<_>, Vec<_>) =
        (0..5).map(|record| core::Request::new(batch("p", record, record + 1), 1000).unwrap()).unzip();
    core.group(requests);
    assert!(replies.iter().all(|reply| reply.try_recv().unwrap().is_ok()));
    assert_eq!(metrics.sync_seconds.get_sample_count(), 1);
    assert_eq!(metrics.commits.get(), 5);
}

#[test]
fn a_restart_applies_what_the_state_has_lost() {
    for seed in 0..50 {
        let machine = Machine::new(seed);
        let (committer, thread, state) = machine.start(Config::default());
        for record in 0..10 {
            committer.commit(batch("p", record, record + 1)).unwrap();
        }
        // The thread syncs the state when it stops; the power goes before that.
        machine.power_cut();
        let _ = thread.stop();
        drop(state);
        let (committer, _thread, state) = machine.start(Config::default());
        assert_eq!((checkpoint(&state, "p"), counter(&state, "p")), (10, 10));
        assert_eq!(all(&committer).len(), 10);
        assert_eq!(state.applied().unwrap(), committer.tail().durable_end());
    }
}

#[test]
fn segments_go_when_state_and_all_readers_have_passed_them() {
    let machine = Machine::new(0);
    let (journal, state) = machine.parts();
    let mut core = core::Core::open(journal, state.clone(), Config::default(), metrics()).unwrap();
    let floors = core.floors();
    let commit = |core: &mut core::Core, from: u64| {
        for record in from..from + 100 {
            let (request, reply) = core::Request::new(batch("p", record, record + 1), 1000).unwrap();
            core.group(vec![request]);
            reply.try_recv().unwrap().unwrap();
        }
        core.journal().durable_end()
    };
    let end = commit(&mut core, 0);
    let first = |core: &mut core::Core| {
        core.sync_state().unwrap();
        core.journal().first().segment
    };
    assert_eq!(first(&mut core), 1);
    floors.set_readers(&["slow".into(), "fast".into()]);
    assert_eq!(first(&mut core), 1);
    floors.set("slow", end);
    assert_eq!(first(&mut core), 1);
    floors.set("fast", commit(&mut core, 100));
    core.sync_state().unwrap();
    // All that the slow one still needs is there, and nothing of the segments before.
    let needed = |core: &core::Core| {
        assert!(core.journal().first().segment >= end.segment);
        records(&mut core.journal().tail().reader(end)).len()
    };
    assert_eq!(needed(&core), 100);
    // The floor holds over a restart too, before the reader has said a word, and until it is gone.
    drop(core);
    let (journal, state) = machine.parts();
    let mut core = core::Core::open(journal, state, Config::default(), metrics()).unwrap();
    let end_now = commit(&mut core, 200);
    core.sync_state().unwrap();
    assert_eq!(needed(&core), 200);
    core.floors().set_readers(&["slow".into(), "fast".into()]);
    core.floors().set("fast", end_now);
    core.sync_state().unwrap();
    assert_eq!(needed(&core), 200);
    core.floors().set_readers(&["fast".into()]);
    assert_eq!(first(&mut core), end_now.segment);
}

#[test]
fn beyond_the_bound_the_oldest_segments_go_and_are_counted() {
    let machine = Machine::new(0);
    let (journal, state) = machine.parts();
    let metrics = metrics();
    let config = Config { max_bytes: ByteSize(20_000), ..Config::default() };
    let mut core = core::Core::open(journal, state, config, metrics.clone()).unwrap();
    core.floors().set_readers(&["stuck".into()]);
    for record in 0..500 {
        let (request, _reply) = core::Request::new(batch("p", record, record + 1), 1000).unwrap();
        core.group(vec![request]);
    }
    let before = core.journal().bytes();
    core.sync_state().unwrap();
    let after = core.journal().bytes();
    assert!(after <= 20_000 && after > 20_000 - 2 * 4096, "{after}");
    assert_eq!(metrics.expelled_bytes.get(), before - after);
}

#[test]
fn a_drain_hands_out_frames_with_the_position_behind_them() {
    let machine = Machine::new(0);
    let (committer, thread, _state) = machine.start(Config::default());
    let mut drain = committer.drain(Position::ZERO);
    let writes_only = Commit { frames: vec![], ..batch("p", 0, 0) };
    committer.commit(writes_only).unwrap();
    let end = committer.commit(batch("p", 0, 2)).unwrap();
    let (position, found) = drain.next_frames(Duration::from_secs(60)).unwrap().unwrap();
    assert_eq!((position, found.len()), (end, 2));
    assert_eq!(drain.position(), end);
    assert!(drain.next_frames(Duration::ZERO).unwrap().is_none());
    assert!(!drain.is_done());
    let waiting =
        std::thread::spawn(move || (drain.next_frames(Duration::from_secs(60)).unwrap(), drain.is_done()));
    thread.stop().unwrap();
    assert_eq!(waiting.join().unwrap(), (None, true));
}

#[test]
fn a_commit_that_is_too_long_or_cannot_be_applied_is_refused_before_the_journal() {
    let machine = Machine::new(0);
    let (committer, _thread, _state) = machine.start(Config::default());
    let set = |key: usize, value: usize| Commit {
        frames: vec![],
        writes: vec![Write::PluginSet {
            plugin: "p".into(),
            key: vec![1; key],
            value: vec![2; value],
            expires: None,
        }],
    };
    let error = committer.commit(set(2000, 1)).unwrap_err();
    assert_eq!(error.reason(), "bad-write");
    let error = committer.commit(set(1, 33 << 20)).unwrap_err();
    assert!(matches!(error, CommitError::TooLarge { limit: 33_554_432, .. }), "{error}");
    assert_eq!(committer.tail().durable_end(), Position::ZERO);
}
