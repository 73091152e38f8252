//! A complete analyzer, as the README shows it. As an example it runs natively, against the test host.
#![allow(missing_docs, reason = "an example has no API")]

use picket_sdk::{
    Analyzer, Batch, ConfigError, Counter, Finding, Plugin, Report, Result, Setup, Severity, state,
};
use serde::Deserialize;

/// The plugin's section `config`; a key that is not here is an error that names it.
#[derive(Deserialize)]
#[serde(default)]
struct Config {
    limit: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { limit: 3 }
    }
}

struct OutOfMemory {
    config: Config,
    kills: Counter,
}

impl Plugin for OutOfMemory {
    type Config = Config;

    fn new(config: Config, setup: &mut Setup) -> Result<Self, ConfigError> {
        if config.limit == 0 {
            return Err(ConfigError::key("limit", "must be at least 1"));
        }
        setup.interest(["Out of memory: Killed process"]);
        Ok(Self { config, kills: setup.counter("kills_total", &[]) })
    }
}

impl Analyzer for OutOfMemory {
    fn analyze(&mut self, batch: &Batch, report: &mut Report) -> Result<()> {
        for record in batch {
            report.add(self.kills, 1);
            // Durable, and written together with the report or not at all.
            let kills = state::get::<u64>("kills")?.unwrap_or(0) + 1;
            state::set("kills", &kills)?;
            if kills % self.config.limit == 0 {
                let message = format!("The kernel has killed {kills} processes for want of memory.");
                report.finding(Finding::new("oom", Severity::High, message).of(&record));
            }
        }
        Ok(())
    }
}

picket_sdk::register!(OutOfMemory: Analyzer);

fn main() {
    // What a unit test would do: the SDK's test host stands in for the agent.
    let host = picket_sdk::testing::Host::new();
    let mut plugin = host.start::<OutOfMemory>(r#"{"limit": 2}"#).expect("the configuration is right");
    let lines = [
        "kernel: Out of memory: Killed process 4242 (java)",
        "systemd: Started something else.",
        "kernel: Out of memory: Killed process 4243 (java)",
    ];
    let output = plugin.analyze(picket_sdk::testing::batch(&lines)).expect("it analyzes");
    assert_eq!(output.rules(), ["oom"]);
    assert_eq!(output.counter("kills_total", &[]), 2.0);
}
