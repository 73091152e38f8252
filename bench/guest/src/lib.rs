//! A plugin to measure with. It does as little as can be done, so that what is measured is the way
//! to it and back. Of no use for anything else.
#![forbid(unsafe_code)]

use picket_sdk::{Analyzer, Batch, ConfigError, Finding, Plugin, Report, Result, Setup, Severity, clock};
use serde::Deserialize;

/// What it does with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing at all.
    #[default]
    Nothing,
    /// Asks the host for the time, `calls` times.
    Calls,
    /// Reports each record, as a log filter does. With `literals` those are only the ones that hold one.
    Match,
    /// Reports each batch with the time at which it saw it.
    Stamp,
}

/// The configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What to do.
    pub mode: Mode,
    /// How many host calls a batch costs.
    pub calls: u32,
    /// The interest.
    pub literals: Vec<String>,
    /// Stands in the message of each finding, to tell generations apart.
    pub tag: String,
}

/// The plugin.
#[derive(Debug)]
pub struct Guest {
    config: Config,
}

impl Plugin for Guest {
    type Config = Config;

    fn new(config: Config, setup: &mut Setup) -> Result<Self, ConfigError> {
        setup.interest(&config.literals);
        Ok(Self { config })
    }
}

impl Analyzer for Guest {
    fn analyze(&mut self, batch: &Batch, report: &mut Report) -> Result<()> {
        let finding = |rule: &str| Finding::new(rule, Severity::Info, self.config.tag.clone());
        match self.config.mode {
            Mode::Nothing => {}
            Mode::Calls => {
                for _ in 0..self.config.calls {
                    std::hint::black_box(clock::monotonic());
                }
            }
            Mode::Match => {
                for record in batch {
                    report.finding(finding("match").of(&record));
                }
            }
            Mode::Stamp => report.finding(finding("stamp").at(clock::now())),
        }
        Ok(())
    }
}

picket_sdk::register!(Guest: Analyzer);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use picket_sdk::testing::{Host, batch};

    #[test]
    fn it_reports_the_records_that_hold_a_literal() {
        let mut guest = Host::new().start::<Guest>(r#"{"mode":"match","literals":["needle"]}"#).unwrap();
        let output = guest.analyze(batch(&["hay", "a needle", "hay"])).unwrap();
        assert_eq!(output.findings.len(), 1);
        assert_eq!(output.findings[0].record, Some(0), "the record's place in what was handed over");
    }

    #[test]
    fn it_stamps_a_batch_once() {
        let host = Host::new();
        let mut guest = host.start::<Guest>(r#"{"mode":"stamp","tag":"b"}"#).unwrap();
        let output = guest.analyze(batch(&["x", "y"])).unwrap();
        let stamps: Vec<_> = output.findings.iter().map(|f| (f.message.as_str(), f.time)).collect();
        assert_eq!(stamps, [("b", Some(host.now()))]);
    }
}
