//! Reports records that hold one of a list of words.
#![forbid(unsafe_code)]

use picket_sdk::{Analyzer, Batch, ConfigError, Finding, Plugin, Report, Result, Setup, Severity};
use serde::Deserialize;

/// The section `[plugins.{{name}}.config]`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The words to look for; upper and lower case are the same.
    pub words: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            words: vec!["panic".to_owned(), "segfault".to_owned()],
        }
    }
}

/// The plugin.
#[derive(Debug)]
pub struct Words {
    words: Vec<String>,
}

impl Plugin for Words {
    type Config = Config;

    fn new(config: Config, setup: &mut Setup) -> Result<Self, ConfigError> {
        if config.words.is_empty() {
            return Err(ConfigError::key("words", "must hold at least one word"));
        }
        // The host hands over only records that hold one of these.
        setup.interest(&config.words).ignore_ascii_case();
        Ok(Self {
            words: config.words,
        })
    }
}

impl Analyzer for Words {
    fn analyze(&mut self, batch: &Batch, report: &mut Report) -> Result<()> {
        for record in batch {
            for hit in record.hits() {
                let word = &self.words[hit as usize];
                report.counter("matches_total", &[("word", word)]).add(1);
                let finding = Finding::new(
                    "word",
                    Severity::Medium,
                    format!("A record holds `{word}`."),
                );
                report.finding(finding.attribute("word", word).of(&record));
            }
        }
        Ok(())
    }
}

picket_sdk::register!(Words: Analyzer);

#[cfg(test)]
mod tests {
    use super::*;
    use picket_sdk::testing::{self, Host};

    #[test]
    fn a_record_with_a_word_is_reported() {
        let mut plugin = Host::new()
            .start::<Words>("{}")
            .expect("the defaults are a configuration");
        let output = plugin
            .analyze(testing::batch(&["all is well", "kernel: PANIC"]))
            .expect("it analyzes");
        assert_eq!(output.rules(), ["word"]);
        assert_eq!(output.findings[0].get("word"), "panic");
        assert_eq!(output.counter("matches_total", &[("word", "panic")]), 1.0);
    }

    #[test]
    fn a_wrong_configuration_names_its_key() {
        let error = Host::new()
            .start::<Words>(r#"{"words": []}"#)
            .expect_err("it needs a word");
        assert_eq!(error.key, "words");
    }
}
