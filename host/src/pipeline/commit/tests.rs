//! The commit thread over a simulated disk, and a model of plugins, crashes and restarts.
#![allow(clippy::unwrap_used, reason = "tests")]

mod failures;
mod full_disk;
mod kill;
mod model;
mod panic;
mod repair;
mod thread;
mod upgrade;

use std::path::Path;
use std::sync::Arc;

use picket_journal::sim::SimFs;
use picket_journal::{Journal, Reader};

use super::*;
use crate::model::{Digest, Sample};
use crate::state::{MemoryTable, State};

/// A machine: what survives a restart of the agent.
struct Machine {
    disk: SimFs,
    table: Arc<MemoryTable>,
    segment_bytes: u64,
}

impl Machine {
    fn new(seed: u64) -> Self {
        Self { disk: SimFs::new(seed), table: Arc::new(MemoryTable::new(!seed)), segment_bytes: 4096 }
    }

    fn power_cut(&self) {
        self.disk.power_cut();
        self.table.power_cut();
    }

    fn parts(&self) -> (Journal, State) {
        let config = picket_journal::Config { segment_bytes: self.segment_bytes, max_record_bytes: 1 << 20 };
        let (journal, _) = Journal::open(Arc::new(self.disk.clone()), Path::new("/journal"), config).unwrap();
        (journal, State::with_table(self.table.clone()).unwrap())
    }

    fn start(&self, config: Config) -> (Committer, CommitThread, State) {
        let (journal, state) = self.parts();
        let (committer, thread) = start(journal, state.clone(), config, metrics()).unwrap();
        (committer, thread, state)
    }
}

fn metrics() -> Metrics {
    Metrics::new(&prometheus::Registry::new()).unwrap()
}

fn sample(name: &str, time: u64) -> Frame {
    Frame::Sample(Sample { name: name.into(), labels: vec![], time, value: 0.0 })
}

/// A commit of one plugin: results for the records `from..to`, the counter in its state, and the
/// checkpoint.
fn batch(plugin: &str, from: u64, to: u64) -> Commit {
    Commit {
        frames: (from..to).map(|record| sample(plugin, record)).collect(),
        writes: vec![
            Write::PluginSet {
                plugin: plugin.into(),
                key: b"count".to_vec(),
                value: to.to_string().into_bytes(),
                expires: None,
            },
            Write::Checkpoint {
                plugin: plugin.into(),
                source: "s".into(),
                stream: Digest::of(b"stream"),
                value: to.to_string().into_bytes(),
            },
        ],
    }
}

fn number(bytes: Option<Vec<u8>>) -> u64 {
    bytes.map_or(0, |bytes| String::from_utf8(bytes).unwrap().parse().unwrap())
}

fn checkpoint(state: &State, plugin: &str) -> u64 {
    number(state.checkpoint(plugin, "s", &Digest::of(b"stream")).unwrap())
}

fn counter(state: &State, plugin: &str) -> u64 {
    number(state.plugin_get(plugin, b"count", 0).unwrap())
}

/// The records of all frames behind the reader, as `(plugin, record)`.
fn records(reader: &mut Reader) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    while let Some(entry) = reader.next().unwrap() {
        for frame in frames(&entry.payload).unwrap() {
            match frame {
                Frame::Sample(sample) => found.push((sample.name, sample.time)),
                other => panic!("no such frame was committed: {other:?}"),
            }
        }
    }
    found
}
