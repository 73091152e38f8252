//! A real state that is damaged between two runs: backup and journal together bring it back.

use std::fs;

use picket_journal::sim::SimFs;
use prometheus::Registry;

use super::*;

/// A state in a real folder over a simulated journal.
struct Node {
    folder: tempfile::TempDir,
    disk: SimFs,
}

impl Node {
    fn start(&self) -> (Committer, CommitThread, State, Registry) {
        let config = picket_journal::Config { segment_bytes: 4096, max_record_bytes: 1 << 20 };
        let (journal, _) = Journal::open(Arc::new(self.disk.clone()), Path::new("/journal"), config).unwrap();
        let state = State::open(self.folder.path(), 16 << 20).unwrap();
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let (committer, thread) = start(journal, state.clone(), Config::default(), metrics).unwrap();
        // Nobody keeps the journal but the state's backup.
        committer.set_readers(&[]);
        (committer, thread, state, registry)
    }

    /// Cuts sled's log in half.
    fn damage(&self) {
        let path = self.folder.path().join("db/db");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        fs::write(self.folder.path().join("db/conf"), "no configuration of sled").unwrap();
    }
}

fn counted(registry: &Registry, name: &str) -> f64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == name).unwrap();
    family.get_metric().iter().map(|metric| metric.get_counter().get_value()).sum()
}

#[test]
fn a_damaged_state_has_all_commits_again_and_nothing_counts_as_lost() {
    let node = Node { folder: tempfile::tempdir().unwrap(), disk: SimFs::new(1) };
    for round in 0..3 {
        let (committer, thread, state, registry) = node.start();
        assert_eq!((counter(&state, "p"), checkpoint(&state, "p")), (round * 100, round * 100));
        assert_eq!(counted(&registry, "picket_state_repairs_total"), if round == 0 { 0.0 } else { 1.0 });
        assert_eq!(counted(&registry, "picket_state_lost_total"), 0.0);
        for number in round * 100..round * 100 + 100 {
            committer.commit(batch("p", number, number + 1)).unwrap();
        }
        state.meta_put("fact", vec![round as u8]).unwrap();
        thread.stop().unwrap();
        drop((committer, state));
        node.damage();
    }
    let (_committer, _thread, state, _registry) = node.start();
    assert_eq!(state.meta_get("fact").unwrap().unwrap(), [2]);
}

#[test]
fn what_a_repair_lacks_is_counted() {
    let node = Node { folder: tempfile::tempdir().unwrap(), disk: SimFs::new(2) };
    let (committer, thread, state, _) = node.start();
    committer.commit(batch("p", 0, 1)).unwrap();
    thread.stop().unwrap();
    drop((committer, state));
    node.damage();
    for name in ["backup", "facts"] {
        fs::write(node.folder.path().join(name), "damaged").unwrap();
    }
    let (_committer, _thread, state, registry) = node.start();
    assert_eq!(counted(&registry, "picket_state_lost_total"), 2.0);
    // The journal still has the commit.
    assert_eq!(counter(&state, "p"), 1);
}
