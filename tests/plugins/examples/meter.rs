//! An analyzer that makes of each record a finding and samples that tell its number, so that whoever receives them
//! sees what is missing, what came twice and what came out of order.
//!
//! A record is `NUMBER` and maybe words behind it: `NUMBER level VALUE` adds a sample of `meter_level` with the
//! time of the call, `NUMBER old` one of `meter_old` that is two hours older than all others.

use picket_sdk::{Analyzer, Batch, ConfigError, Finding, Plugin, Report, Result, Setup, Severity};
use serde::Deserialize;

/// What is made of each record.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// How many samples.
    samples: u64,
    /// How many series they are spread over, in turn.
    series: u64,
    /// The time of each series' first sample, in milliseconds since 1970. The next ones are a millisecond apart.
    base: u64,
    /// How many attributes of four kilobytes each finding has beside its number.
    pad: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { samples: 0, series: 1, base: 0, pad: 0 }
    }
}

struct Meter(Config);

const MILLISECOND: u64 = 1_000_000;
const TWO_HOURS: u64 = 2 * 3600 * 1000;

impl Plugin for Meter {
    type Config = Config;

    fn new(config: Config, _setup: &mut Setup) -> Result<Self, ConfigError> {
        Ok(Self(config))
    }
}

impl Analyzer for Meter {
    fn analyze(&mut self, batch: &Batch, report: &mut Report) -> Result<()> {
        for record in batch {
            let text = record.text();
            let mut words = text.split_whitespace();
            let Some(number) = words.next().and_then(|word| word.parse::<u64>().ok()) else { continue };
            self.samples(number, report);
            match (words.next(), words.next().and_then(|word| word.parse::<f64>().ok())) {
                (Some("level"), Some(value)) => report.sample("meter_level", &[], value),
                (Some("old"), _) => {
                    let time = self.0.base.saturating_sub(TWO_HOURS) * MILLISECOND;
                    report.sample_at("meter_old", &[], number as f64, time);
                }
                _ => {}
            }
            let finding = Finding::new("number", Severity::High, format!("Number {number} came."));
            let mut finding = finding.attribute("number", number).of(&record);
            for pad in 0..self.0.pad {
                finding = finding.attribute(format!("pad{pad}"), "x".repeat(4096));
            }
            report.finding(finding);
            report.counter("meter_records_total", &[]).add(1u64);
        }
        Ok(())
    }
}

impl Meter {
    fn samples(&self, number: u64, report: &mut Report) {
        let Config { samples, series, base, .. } = self.0;
        let first = number.saturating_sub(1) * samples;
        for value in first..first + samples {
            let label = (value % series).to_string();
            let time = (base + value / series) * MILLISECOND;
            report.sample_at("meter", &[("series", &label)], value as f64, time);
        }
    }
}

picket_sdk::register!(Meter: Analyzer);
