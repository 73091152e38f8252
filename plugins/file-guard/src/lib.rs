//! Checks files for what does not belong: types that are not what the name says, programs and scripts
//! where there should be none, dangerous modes, deceptive names, and files within files.
//!
//! `kind` tells the type by the first bytes, `name` what the name promises, `embed` what else is within;
//! `check` applies the rules of `rule`. Knows no signatures of particular malware. See README.md for the
//! rules and the configuration.
#![forbid(unsafe_code)]

pub mod check;
pub mod config;
pub mod embed;
pub mod kind;
pub mod name;
pub mod rule;

use picket_sdk::{ConfigError, Finding, Object, Plugin, Report, Result, Scanner, Setup, Verdict};

use check::{Reason, check};
use config::{Checked, Config};
use rule::{Action, action};

/// The most bytes of a verdict's reason; the findings say the rest.
const MAX_REASON: usize = 900;

/// The plugin.
#[derive(Debug)]
pub struct FileGuard {
    config: Checked,
}

impl Plugin for FileGuard {
    type Config = Config;

    fn new(config: Config, _setup: &mut Setup) -> Result<Self, ConfigError> {
        Ok(Self { config: config.check()? })
    }
}

impl Scanner for FileGuard {
    fn scan(&mut self, object: &Object<'_>, report: &mut Report) -> Result<Verdict> {
        let path = object.info().path.clone();
        if self.config.ignore.matches(&path) {
            return Ok(Verdict::Skipped("the configuration ignores this path".to_owned()));
        }
        let seen = check(object, &self.config)?;
        let mut gravest = Action::Off;
        for Reason { rule, text } in &seen.reasons {
            gravest = gravest.max(action(*rule, &self.config.actions));
            report.counter("file_guard_findings_total", &[("rule", rule.name())]).add(1);
            let name = object.file_name();
            let shown = &name[..name.floor_char_boundary(255)];
            let finding = Finding::new(rule.name(), rule.severity(), format!("`{shown}` {text}"))
                .attribute("path", &path)
                .attribute("type", seen.kind.name())
                .attribute("size", object.info().size)
                .attribute("mode", format!("{:04o}", object.info().mode & 0o7777));
            report.finding(finding);
        }
        Ok(verdict(gravest, &seen.reasons, |reason| action(reason.rule, &self.config.actions)))
    }
}

/// The verdict of the gravest action, with the reasons that lead to it.
fn verdict(gravest: Action, reasons: &[Reason], action: impl Fn(&Reason) -> Action) -> Verdict {
    if gravest < Action::Suspicious {
        return Verdict::Clean;
    }
    let chosen = reasons.iter().filter(|reason| action(reason) >= Action::Suspicious);
    let texts: Vec<&str> = chosen.map(|reason| reason.text.as_str()).collect();
    let mut reason = format!("the file {}", texts.join("; it "));
    reason.truncate(reason.floor_char_boundary(MAX_REASON));
    match gravest {
        Action::Malicious => Verdict::Malicious(reason),
        _ => Verdict::Suspicious(reason),
    }
}

picket_sdk::register!(FileGuard: Scanner);
