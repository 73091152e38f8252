//! Watches logins and privilege changes: sshd, sudo, su, login, PAM and the tools that change accounts.
//!
//! A line goes through three steps, each a module that knows nothing of the next: `parse` makes an event
//! of it, `detect` weighs the event against what came before (`track`, kept in the plugin's state by
//! `store`), and `finding` says what is to be said. See README.md for the rules and the configuration.
#![forbid(unsafe_code)]

pub mod config;
pub mod detect;
pub mod finding;
pub mod interest;
pub mod parse;
pub mod rule;
pub mod store;
pub mod track;

use picket_sdk::{Analyzer, Batch, ConfigError, Counter, Plugin, Report, Result, Setup};

use config::Config;
use detect::Detector;
use parse::{Kind, parse_event, parse_line};

/// A time further ahead of the clock than a day is not believed: it would keep every window from moving.
/// The day allows for zones.
const MAX_AHEAD: u64 = 86_400_000_000_000;

/// The plugin.
#[derive(Debug)]
pub struct AuthGuard {
    detector: Detector,
    offset: i64,
    unmatched: Counter,
    state_refused: Counter,
}

impl Plugin for AuthGuard {
    type Config = Config;

    fn new(config: Config, setup: &mut Setup) -> Result<Self, ConfigError> {
        let config = config.check()?;
        setup.interest(interest::LITERALS);
        Ok(Self {
            offset: config.offset,
            detector: Detector::new(config),
            unmatched: setup.counter("auth_lines_unmatched_total", &[]),
            state_refused: setup.counter("auth_state_refused_total", &[]),
        })
    }
}

impl Analyzer for AuthGuard {
    fn analyze(&mut self, batch: &Batch, report: &mut Report) -> Result<()> {
        for record in batch {
            let text = record.text();
            let line = parse_line(&text, record.time, self.offset);
            let Some((line, event)) = line.and_then(|line| Some((line, parse_event(&line)?))) else {
                report.add(self.unmatched, 1);
                continue;
            };
            if event.kind != Kind::Echo {
                let labels = [
                    ("service", event.service.name()),
                    ("outcome", event.kind.outcome()),
                    ("method", event.method.name()),
                ];
                report.counter("auth_events_total", &labels).add(u64::from(event.count));
            }
            let time =
                if line.time > record.time.saturating_add(MAX_AHEAD) { record.time } else { line.time };
            self.detector.see(event, line.pid, time, &record, report);
        }
        report.add(self.state_refused, self.detector.flush());
        Ok(())
    }
}

picket_sdk::register!(AuthGuard: Analyzer);
