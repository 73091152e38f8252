//! The ledger, an analyzer that keeps exact account of what it is given: the scenarios of hot reload
//! and of crashes read from its findings which generation processed which record, and how often.
//!
//! It is generic over a number, so that two components differ in nothing else.
#![forbid(unsafe_code)]

use std::time::Duration;

use picket_sdk::{
    Analyzer, Batch, ConfigError, Error, Finding, Plugin, Report, Result, Setup, Severity, Snapshot, clock,
    state,
};
use serde::Deserialize;

/// How the ledger is to fail, if at all.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `configure`, `restore` or `first-call`.
    pub fail: Option<String>,
    /// The number at which it logs a line.
    pub logs: Option<u64>,
    /// How long `configure` takes.
    pub configure_millis: u64,
}

/// Counts records in its memory and in its state; reports each batch as one finding.
#[derive(Debug)]
pub struct Ledger<const VERSION: u8> {
    config: Config,
    in_memory: u64,
    called: bool,
}

impl<const VERSION: u8> Plugin for Ledger<VERSION> {
    type Config = Config;

    fn new(config: Config, _setup: &mut Setup) -> Result<Self, ConfigError> {
        if config.fail.as_deref() == Some("configure") {
            return Err(ConfigError::key("fail", "configure was asked to fail"));
        }
        let until = clock::monotonic() + Duration::from_millis(config.configure_millis);
        while config.configure_millis > 0 && clock::monotonic() < until {}
        Ok(Self { config, in_memory: 0, called: false })
    }

    fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::of(&self.in_memory)
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<()> {
        if self.config.fail.as_deref() == Some("restore") {
            return Err(Error::new("restore was asked to fail"));
        }
        self.in_memory = snapshot.get()?;
        Ok(())
    }
}

impl<const VERSION: u8> Analyzer for Ledger<VERSION> {
    fn analyze(&mut self, batch: &Batch, report: &mut Report) -> Result<()> {
        if self.config.fail.as_deref() == Some("first-call") && !self.called {
            self.called = true;
            panic!("the first call was asked to fail");
        }
        let mut numbers = batch.iter().filter_map(|record| record.text().parse::<u64>().ok());
        let first = numbers.next().unwrap_or(0);
        let (mut last, mut count) = (first, 1);
        for number in numbers {
            if number != last + 1 {
                return Err(Error::new(format!("record {number} follows record {last}")));
            }
            last = number;
            count += 1;
        }
        if self.config.logs.is_some_and(|number| (first..=last).contains(&number)) {
            picket_sdk::info!("number {} is entered", self.config.logs.unwrap_or_default());
        }
        self.in_memory += count;
        let in_state = state::get::<u64>("count")?.unwrap_or(0) + count;
        state::set("count", &in_state)?;
        report.counter("ledger_records_total", &[]).add(count);
        report.finding(
            Finding::new("batch", Severity::Info, "a batch was entered")
                .attribute("version", VERSION)
                .attribute("first", first)
                .attribute("last", last)
                .attribute("count", count)
                .attribute("in_memory", self.in_memory)
                .attribute("in_state", in_state),
        );
        Ok(())
    }
}
