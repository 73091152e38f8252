//! A program that ran to its end: what it printed, and how it ended. For verbs that do their work and stop; the
//! agent itself is a `Node`.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::binary;

/// What a run of the program came to.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it printed as its result.
    pub stdout: String,
    /// What it said to the person.
    pub stderr: String,
}

impl Ran {
    /// Runs a command to its end, with the cache of compiled components that all tests share.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command
            .env("XDG_CACHE_HOME", binary::cache())
            .stdin(Stdio::null())
            .output()
            .expect("the program starts");
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The result as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Panics unless it ended so and its result has all these parts.
    pub fn expect(&self, code: i32, parts: &[&str]) {
        let Self { stdout, stderr, .. } = self;
        let shown = format!("--- stdout\n{stdout}--- stderr\n{stderr}");
        assert_eq!(self.code, Some(code), "{shown}");
        for part in parts {
            assert!(stdout.contains(part), "`{part}` is missing in\n{shown}");
        }
    }
}
