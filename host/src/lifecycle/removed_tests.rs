//! Alerts and state of plugins that were removed, over a simulated disk.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use picket_journal::Journal;
use picket_journal::sim::{Operation, SimFs};
use prometheus::Registry;

use super::*;
use crate::alerts::{self, ActiveAlerts, Evaluation, HeldAlert, RuleResult};
use crate::model::{AlertState, Day, Digest, Frame, Label, Span};
use crate::pipeline::commit::{self, CommitThread, Position};
use crate::state::{MemoryTable, Write};

const NOW: u64 = 1_700_000_000_000_000_000;

struct Scene {
    disk: SimFs,
    table: Arc<MemoryTable>,
    state: State,
    committer: Committer,
    removed: Removed,
    _commit_thread: CommitThread,
}

impl Scene {
    fn new() -> Self {
        let (disk, table) = (SimFs::new(0), Arc::new(MemoryTable::new(0)));
        let state = State::with_table(table.clone()).unwrap();
        // What fails in a test is the commit that it is about, and not the sync of the state beside it.
        let config = commit::Config { state_sync_interval: Span::seconds(3600), ..Default::default() };
        let (journal, _) =
            Journal::open(Arc::new(disk.clone()), Path::new("/journal"), config.journal()).unwrap();
        let metrics = commit::Metrics::new(&Registry::new()).unwrap();
        let (committer, commit_thread) = commit::start(journal, state.clone(), config, metrics).unwrap();
        let deps = AlertDeps {
            config: alerts::Config::default(),
            active: ActiveAlerts::default(),
            silences: alerts::Silences::open(state.clone(), NOW).unwrap(),
            metrics: alerts::Metrics::new(&Registry::new()).unwrap(),
        };
        let mut removed = Removed::new(state.clone(), committer.clone(), deps);
        removed.patience = Duration::from_secs(60);
        removed.configured = Some(BTreeSet::new());
        Self { disk, table, state, committer, removed, _commit_thread: commit_thread }
    }

    fn configured(&mut self, plugins: &[&str]) {
        self.removed.configured = Some(plugins.iter().map(|plugin| (*plugin).to_owned()).collect());
    }

    /// As its worker would, before it is gone without a word.
    fn fires(&self, plugin: &str) {
        let AlertDeps { config, active, silences, metrics } = &self.removed.alerts;
        let (mut alerts, _) = Alerts::restore(plugin, Vec::new(), *config, active, silences, metrics);
        let label = Label { name: "alertname".into(), value: "A".into() };
        let held = HeldAlert {
            labels: vec![label],
            annotations: vec![],
            value: 1.0,
            hold_for: 0,
            keep_firing_for: 0,
        };
        let results = vec![RuleResult { rule: "r".into(), outcome: Ok(vec![held]) }];
        let instant = Instant::now();
        let evaluation = Evaluation { group: "g".into(), time: NOW, instant, interval: 1, results };
        let change = alerts.evaluate(&Digest::of(plugin.as_bytes()), &evaluation);
        self.committer.commit(Commit { frames: change.frames, writes: change.writes }).unwrap();
        alerts.accept(change.accept);
    }

    /// The plugins whose alert was resolved, as often as it was.
    fn resolved(&self) -> Vec<String> {
        let mut drain = self.committer.drain(Position::ZERO);
        let mut resolved = Vec::new();
        while let Some((_, frames)) = drain.next_frames(Duration::ZERO).unwrap() {
            for frame in frames {
                match frame {
                    Frame::Alert(event) if event.state == AlertState::Resolved => {
                        assert_eq!(event.origin.generation, Digest::of(event.origin.plugin.as_bytes()));
                        resolved.push(event.origin.plugin);
                    }
                    _ => {}
                }
            }
        }
        resolved
    }

    fn alerts(&self) -> Vec<String> {
        self.state.plugins_with_alerts().unwrap().into_iter().collect()
    }

    fn remembers(&self, plugin: &str) {
        let (plugin, key, value) = (plugin.to_owned(), b"k".to_vec(), b"v".to_vec());
        let write = Write::PluginSet { plugin, key, value, expires: None };
        self.committer.commit(Commit { frames: vec![], writes: vec![write] }).unwrap();
    }

    fn kept(&self) -> Vec<String> {
        self.state.plugins().unwrap().into_iter().collect()
    }
}

#[test]
fn alerts_of_plugins_that_are_not_configured_end_and_those_of_others_do_not() {
    let mut scene = Scene::new();
    ["a", "b", "c"].iter().for_each(|plugin| scene.fires(plugin));
    scene.configured(&["b"]);
    scene.removed.look(NOW);
    assert_eq!(scene.resolved(), ["a", "c"]);
    assert_eq!(scene.alerts(), ["b"]);
    assert!(scene.removed.alerts.active.list().is_empty(), "the view shows none of them");
    scene.removed.look(NOW);
    assert_eq!(scene.resolved(), ["a", "c"], "once");
}

#[test]
fn an_end_that_cannot_be_committed_is_tried_again() {
    let mut scene = Scene::new();
    scene.fires("a");
    for operation in [Operation::Sync, Operation::Write] {
        scene.disk.fail_next(operation, ErrorKind::Other);
        scene.removed.look(NOW);
        assert_eq!((scene.resolved(), scene.alerts()), (vec![], vec!["a".to_owned()]));
    }
    scene.removed.look(NOW);
    assert_eq!((scene.resolved(), scene.alerts()), (vec!["a".to_owned()], vec![]));
}

#[test]
fn a_commit_without_an_answer_holds_up_the_plugin_and_nobody_else() {
    let mut scene = Scene::new();
    scene.fires("a");
    // The commit becomes durable, and is answered when the state can take it.
    scene.table.set_faults(1000);
    scene.removed.patience = Duration::ZERO;
    scene.removed.look(NOW);
    assert!(matches!(scene.removed.settle("a", Instant::now()), Answer::Waits));
    scene.table.set_faults(0);
    let hopeless = Instant::now() + Duration::from_secs(60);
    assert!(matches!(scene.removed.settle("a", hopeless), Answer::Done));
    assert_eq!((scene.resolved(), scene.alerts()), (vec!["a".to_owned()], vec![]));
}

#[test]
fn what_is_kept_of_a_removed_plugin_is_forgotten_after_the_grace() {
    let mut scene = Scene::new();
    scene.remembers("gone");
    scene.remembers("stays");
    scene.configured(&["stays"]);
    let keep = u64::try_from(KEEP.as_nanos()).unwrap();
    scene.removed.look(NOW);
    scene.removed.look(NOW + keep - 1);
    assert_eq!(scene.kept(), ["gone", "stays"]);
    scene.removed.look(NOW + keep);
    assert_eq!(scene.kept(), ["stays"]);
    scene.removed.look(NOW + keep);
    assert_eq!(scene.state.meta_scan(SINCE).unwrap(), [], "no note of it either");
}

#[test]
fn a_plugin_that_is_put_back_keeps_its_state_and_has_the_whole_grace_again() {
    let mut scene = Scene::new();
    scene.remembers("p");
    let keep = u64::try_from(KEEP.as_nanos()).unwrap();
    scene.removed.look(NOW);
    scene.configured(&["p"]);
    scene.removed.look(NOW + keep - 1);
    scene.configured(&[]);
    // A clock that was set back makes the grace no shorter.
    for now in [NOW + keep, NOW + keep + 1, NOW, NOW + keep - 1] {
        scene.removed.look(now);
        assert_eq!(scene.kept(), ["p"]);
    }
    scene.removed.look(NOW + keep);
    assert!(scene.kept().is_empty());
}

#[test]
fn much_that_is_kept_is_forgotten_piece_by_piece() {
    let mut scene = Scene::new();
    let scanned = |number: u64| Write::Scanned {
        plugin: "p".into(),
        generation: Digest::of(b"g"),
        content: Digest::of(&number.to_le_bytes()),
        value: Some(vec![]),
        used: Day(1),
    };
    let many = (PIECE * PIECES + 1) as u64;
    scene.committer.commit(Commit { frames: vec![], writes: (0..many).map(scanned).collect() }).unwrap();
    let keep = u64::try_from(KEEP.as_nanos()).unwrap();
    scene.removed.look(NOW);
    scene.removed.look(NOW + keep);
    assert_eq!(scene.kept(), ["p"]);
    scene.removed.look(NOW + keep);
    assert!(scene.kept().is_empty());
}
