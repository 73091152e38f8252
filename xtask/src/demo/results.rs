//! Reads the NDJSON that the agent's `file` forwarder writes, and keeps book of what was seen.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

/// Something that the demonstration waits for.
struct Expected {
    /// In words.
    what: &'static str,
    /// Whether a result is it.
    is: fn(&Value) -> bool,
}

const EXPECTED: &[Expected] = &[
    Expected { what: "a finding of access-log", is: |v| is_finding(v, "access-log") },
    Expected { what: "a finding of auth-guard", is: |v| is_finding(v, "auth-guard") },
    Expected { what: "a finding of log-patterns", is: |v| is_finding(v, "log-patterns") },
    Expected {
        what: "a verdict of file-guard that is not clean",
        is: |v| text(v, "kind") == "verdict" && matches!(text(v, "verdict"), "suspicious" | "malicious"),
    },
    Expected {
        what: "a firing alert of thresholds on a metric of this machine",
        is: |v| {
            text(v, "kind") == "alert" && text(v, "plugin") == "thresholds" && text(v, "state") == "firing"
        },
    },
];

fn is_finding(value: &Value, plugin: &str) -> bool {
    text(value, "kind") == "finding" && text(value, "plugin") == plugin
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The results so far.
pub(super) struct Results {
    path: PathBuf,
    /// Up to where the file was read.
    offset: u64,
    /// The first result for each of what is expected, as a line for people.
    seen: BTreeMap<usize, String>,
}

impl Results {
    /// Nothing read yet; the file need not exist.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf(), offset: 0, seen: BTreeMap::new() }
    }

    /// Reads what was added since the last time; a last line without its end waits.
    pub(super) fn read(&mut self) -> Result<()> {
        let Ok(mut file) = File::open(&self.path) else { return Ok(()) };
        file.seek(SeekFrom::Start(self.offset))?;
        let mut reader = BufReader::new(file);
        let mut line = String::new();
        while reader.read_line(&mut line)? > 0 && line.ends_with('\n') {
            self.offset += line.len() as u64;
            let value = serde_json::from_str(&line)
                .with_context(|| format!("{} holds a line that is no JSON: {line}", self.path.display()))?;
            self.take(&value);
            line.clear();
        }
        Ok(())
    }

    fn take(&mut self, value: &Value) {
        for (at, expected) in EXPECTED.iter().enumerate() {
            if (expected.is)(value) {
                self.seen.entry(at).or_insert_with(|| line_of(value));
            }
        }
    }

    /// What was not seen yet.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let at = |at: &usize| !self.seen.contains_key(at);
        (0..EXPECTED.len()).filter(at).map(|at| EXPECTED[at].what).collect()
    }

    /// One line for each that was seen.
    pub(super) fn shown(&self) -> impl Iterator<Item = &str> {
        self.seen.values().map(String::as_str)
    }
}

/// A result as one line for people, its control characters escaped: it quotes text from outside.
fn line_of(value: &Value) -> String {
    let plugin = text(value, "plugin");
    let line = match text(value, "kind") {
        "finding" => format!(
            "{plugin}: {} [{}] {}",
            text(value, "rule"),
            text(value, "severity"),
            text(value, "message")
        ),
        "verdict" => format!(
            "{plugin}: {} is {}: {}",
            text(value, "path"),
            text(value, "verdict"),
            text(value, "reason")
        ),
        "alert" => format!(
            "{plugin}: {} is {} with value {}",
            text(value, "rule"),
            text(value, "state"),
            value["value"]
        ),
        kind => format!("{plugin}: {kind}"),
    };
    line.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::io::Write;

    #[test]
    fn what_is_expected_is_seen_as_the_file_grows() {
        let path = std::env::temp_dir().join(format!("xtask-results-{}.ndjson", std::process::id()));
        let mut results = Results::new(&path);
        results.read().unwrap();
        assert_eq!(results.missing().len(), EXPECTED.len());

        let mut file = File::create(&path).unwrap();
        file.write_all(b"{\"kind\":\"sample\",\"plugin\":\"access-log\"}\n{\"kind\":\"finding\",").unwrap();
        results.read().unwrap();
        assert_eq!(results.missing().len(), EXPECTED.len());

        file.write_all(b"\"plugin\":\"access-log\",\"rule\":\"burst\",\"severity\":\"high\",\"message\":\"a\\u001bb\"}\n")
            .unwrap();
        results.read().unwrap();
        assert!(!results.missing().contains(&"a finding of access-log"));
        assert_eq!(results.shown().collect::<Vec<_>>(), ["access-log: burst [high] a\\u{1b}b"]);
        std::fs::remove_file(&path).unwrap();
    }
}
