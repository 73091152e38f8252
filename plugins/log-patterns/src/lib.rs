//! Mines templates from any text log with the Drain algorithm, counts them, and finds patterns that are
//! new and patterns that come more often than they used to.
//!
//! `mask` makes tokens of a line (with `time` for the times in it), `tree` finds the cluster they belong
//! to, `rate` keeps the history of each, `miner` puts these together, and `memory` is what outlives an
//! instance. See README.md for the configuration.
#![forbid(unsafe_code)]

pub mod cluster;
pub mod config;
pub mod hash;
pub mod mask;
pub mod memory;
pub mod miner;
pub mod rate;
pub mod time;
pub mod tree;

use picket_sdk::{Analyzer, Batch, ConfigError, Counter, Plugin, Report, Result, Setup, Snapshot};

use config::Config;
use memory::Saved;
use miner::Miner;

/// The plugin.
#[derive(Debug)]
pub struct LogPatterns {
    miner: Miner,
    state_refused: Counter,
}

impl LogPatterns {
    /// What it has mined.
    pub fn miner(&self) -> &Miner {
        &self.miner
    }
}

impl Plugin for LogPatterns {
    type Config = Config;

    fn new(config: Config, setup: &mut Setup) -> Result<Self, ConfigError> {
        config.check()?;
        let state_refused = setup.counter("log_patterns_state_refused_total", &[]);
        Ok(Self { miner: Miner::new(config), state_refused })
    }

    fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::of(&self.miner.save())
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<()> {
        self.miner.restore(snapshot.get::<Saved>()?);
        Ok(())
    }
}

impl Analyzer for LogPatterns {
    fn analyze(&mut self, batch: &Batch, report: &mut Report) -> Result<()> {
        let mut refused = self.miner.begin();
        for record in batch {
            refused += self.miner.read(&record, batch.stream(), report);
        }
        refused += self.miner.end(report);
        report.add(self.state_refused, refused);
        Ok(())
    }
}

picket_sdk::register!(LogPatterns: Analyzer);
