//! Looks for scripts with a line too long for a person to have written it.
#![forbid(unsafe_code)]

use std::io::Read;

use picket_sdk::{
    ConfigError, Finding, Object, Plugin, Report, Result, Scanner, Setup, Severity, Verdict,
};
use serde::Deserialize;

/// The section `[plugins.{{name}}.config]`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Longer lines are suspicious, in bytes.
    pub max_line_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_line_bytes: 100_000,
        }
    }
}

/// The plugin.
#[derive(Debug)]
pub struct LongLines {
    config: Config,
}

impl Plugin for LongLines {
    type Config = Config;

    fn new(config: Config, _setup: &mut Setup) -> Result<Self, ConfigError> {
        if config.max_line_bytes == 0 {
            return Err(ConfigError::key("max_line_bytes", "must be at least 1"));
        }
        Ok(Self { config })
    }
}

impl Scanner for LongLines {
    fn scan(&mut self, object: &Object<'_>, report: &mut Report) -> Result<Verdict> {
        let mut reader = object.reader();
        let mut chunk = vec![0; 64 << 10];
        let (mut line, mut longest, mut first) = (0_u64, 0_u64, true);
        loop {
            let len = reader.read(&mut chunk)?;
            if len == 0 {
                break;
            }
            if std::mem::take(&mut first) && !chunk[..len].starts_with(b"#!") {
                return Ok(Verdict::Skipped("It is no script.".to_owned()));
            }
            for &byte in &chunk[..len] {
                line = if byte == b'\n' { 0 } else { line + 1 };
                longest = longest.max(line);
            }
        }
        report.counter("scripts_total", &[]).add(1);
        if longest <= self.config.max_line_bytes {
            return Ok(Verdict::Clean);
        }
        let message = format!("A script has a line of {longest} bytes.");
        report.finding(
            Finding::new("long-line", Severity::Low, message.as_str()).attribute("bytes", longest),
        );
        Ok(Verdict::Suspicious(message))
    }
}

picket_sdk::register!(LongLines: Scanner);

#[cfg(test)]
mod tests {
    use super::*;
    use picket_sdk::testing::{Host, Object};

    #[test]
    fn a_script_with_a_long_line_is_suspicious() {
        let mut plugin = Host::new()
            .start::<LongLines>(r#"{"max_line_bytes": 20}"#)
            .expect("it is configured");
        let mut scan = |content: &str| {
            plugin
                .scan(&Object::new("/srv/a", content))
                .expect("it scans")
                .0
        };
        assert!(matches!(scan("no script"), Verdict::Skipped(_)));
        assert_eq!(scan("#!/bin/sh\nls\n"), Verdict::Clean);
        let long = format!("#!/bin/sh\n{}\n", "x".repeat(21));
        assert_eq!(
            scan(&long),
            Verdict::Suspicious("A script has a line of 21 bytes.".to_owned())
        );
    }
}
