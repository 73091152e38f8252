//! A scanner that finds a word in files.

use std::io::Read;

use picket_sdk::{ConfigError, Finding, Object, Plugin, Report, Result, Scanner, Setup, Severity, Verdict};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    word: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { word: "evil".to_owned() }
    }
}

struct Needle(Config);

impl Plugin for Needle {
    type Config = Config;

    fn new(config: Config, _setup: &mut Setup) -> Result<Self, ConfigError> {
        Ok(Self(config))
    }
}

impl Scanner for Needle {
    fn scan(&mut self, object: &Object<'_>, report: &mut Report) -> Result<Verdict> {
        let mut text = Vec::new();
        object.reader().take(64 << 10).read_to_end(&mut text)?;
        // An archive holds the words of its members; this one looks at what is in it.
        let is_archive = text.starts_with(b"!");
        if is_archive || !String::from_utf8_lossy(&text).contains(&self.0.word) {
            return Ok(Verdict::Clean);
        }
        let depth = object.info().depth;
        report.finding(Finding::new("needle", Severity::High, "the word is there").attribute("depth", depth));
        Ok(Verdict::Malicious("It holds the word.".to_owned()))
    }
}

picket_sdk::register!(Needle: Scanner);
