//! Reads web server access logs: counts requests, measures latencies, and reports 5xx bursts and
//! scanning clients.
//!
//! The parsers are written by hand and allocate nothing for a line. What they do not: decode URLs,
//! judge user agents, or look at bodies.
#![forbid(unsafe_code)]

mod burst;
mod clients;
mod config;
mod json;
mod request;
mod tally;
mod text;
mod time;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use picket_sdk::{Analyzer, Batch, ConfigError, Finding, Plugin, Report, Result, Setup, Snapshot};
use serde::{Deserialize, Serialize};

pub use config::{Burst, Config, Format, JsonKeys, Scan, StatusLabel, Suffix, Unit};
pub use request::{METHODS, Request};

use burst::{Bursts, Window};
use clients::{Client, Clients};
use json::Json;
use tally::Tally;
use text::Text;

/// The plugin.
#[derive(Debug)]
pub struct AccessLog {
    parser: Parser,
    tally: Tally,
    bursts: Bursts,
    clients: Clients,
}

/// Parses lines as the configuration says.
#[derive(Debug)]
pub struct Parser {
    format: Format,
    text: Text,
    json: Json,
}

/// What one instance hands to the next: what the windows hold.
#[derive(Serialize, Deserialize)]
struct Memory {
    streams: HashMap<String, Window>,
    clients: Vec<Client>,
}

/// A line may be this many seconds ahead of the time it was read; what is further ahead comes from a
/// broken clock and must not empty the windows.
const AHEAD_SECONDS: u64 = 300;

/// Findings of one call, well below the host's bound. Beyond it a scan by thousands of addresses is
/// told by the counters.
const FINDINGS: usize = 200;

impl Parser {
    /// A parser for this configuration.
    pub fn new(config: &Config) -> Self {
        let (text, json) = (Text::new(config.suffix.clone()), Json::new(&config.json));
        Self { format: config.format, text, json }
    }

    /// The request that a line tells of; none when it is no access log line.
    #[inline]
    pub fn parse<'a>(&mut self, line: &'a [u8]) -> Option<Request<'a>> {
        match self.format {
            Format::Text => self.text.parse(line),
            Format::Json => self.json.parse(line),
            Format::Auto if line.first() == Some(&b'{') => self.json.parse(line),
            Format::Auto => self.text.parse(line),
        }
    }
}

impl Plugin for AccessLog {
    type Config = Config;

    fn new(config: Config, _setup: &mut Setup) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            parser: Parser::new(&config),
            tally: Tally::new(config.status_label, config.latency_bounds),
            bursts: Bursts::new(config.burst),
            clients: Clients::new(config.scan),
        })
    }

    fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::of(&Memory { streams: self.bursts.save(), clients: self.clients.save() })
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<()> {
        let memory: Memory = snapshot.get()?;
        self.bursts.load(memory.streams);
        self.clients.load(memory.clients);
        Ok(())
    }
}

impl Analyzer for AccessLog {
    fn analyze(&mut self, batch: &Batch, report: &mut Report) -> Result<()> {
        let latencies = self.tally.latencies(batch.source(), report);
        let mut stream = self.bursts.stream(batch.stream());
        for record in batch {
            let Some(request) = self.parser.parse(record.bytes) else {
                self.tally.add_unparsed();
                continue;
            };
            self.tally.add(&request);
            latencies.observe(&request, report);
            let read = record.time / 1_000_000_000;
            let second = request.time.map_or(read, |time| time.min(read + AHEAD_SECONDS));
            let burst = stream.add(second, (500..600).contains(&request.status));
            let scan = self.clients.add(&request, second);
            for finding in burst.into_iter().chain(scan) {
                if report.findings() < FINDINGS {
                    report.finding(place(finding, batch).at(second * 1_000_000_000).of(&record));
                }
            }
        }
        self.tally.flush(batch.source(), report);
        Ok(())
    }
}

/// Adds what the stream is known by, so that the finding says which site it is about.
fn place(finding: Finding, batch: &Batch) -> Finding {
    let labels = batch.labels().iter();
    labels.fold(finding.attribute("stream", batch.stream()), |finding, label| {
        finding.attribute(label.name.as_str(), &label.value)
    })
}

picket_sdk::register!(AccessLog: Analyzer);
