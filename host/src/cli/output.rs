//! How results look: as text for people or as JSON for programs.

use std::io::{self, IsTerminal as _, Write};

use serde::Serialize;

use crate::model::{AlertState, Severity, VerdictKind};

/// The form of results on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(in crate::cli) enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs: one document, or one object a line where results come one by one.
    Json,
}

/// Writes a document in JSON, with a line end.
pub(super) fn json(value: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    out.write_all(b"\n")
}

/// Writes text whose outside parts were escaped already.
pub(super) fn text(text: &str) -> io::Result<()> {
    io::stdout().lock().write_all(text.as_bytes())
}

/// Colours, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Paint {
    on: bool,
}

impl Paint {
    /// Colours only for a terminal, and not when somebody wants none (<https://no-color.org>).
    pub(super) fn for_stdout(no_color: bool) -> Self {
        let unwanted = no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { on: !unwanted && io::stdout().is_terminal() }
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Text that stands back.
    pub(super) fn faint(self, text: &str) -> String {
        self.with("2", text)
    }

    /// Text that stands out.
    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// Something is wrong.
    pub(super) fn bad(self, text: &str) -> String {
        self.with("31", text)
    }

    /// Something is as it should be.
    pub(super) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    /// A severity, eight characters wide.
    pub(super) fn severity(self, severity: Severity) -> String {
        let code = match severity {
            Severity::Info => "2",
            Severity::Low => "36",
            Severity::Medium => "33",
            Severity::High => "31",
            Severity::Critical => "1;31",
        };
        self.with(code, &format!("{:8}", severity.word()))
    }

    /// A verdict, ten characters wide.
    pub(super) fn verdict(self, verdict: VerdictKind) -> String {
        let code = match verdict {
            VerdictKind::Clean => "32",
            VerdictKind::Skipped => "2",
            VerdictKind::Suspicious => "33",
            VerdictKind::Malicious => "1;31",
        };
        self.with(code, &format!("{:10}", verdict.word()))
    }

    /// An alert's state, eight characters wide.
    pub(super) fn alert(self, state: AlertState) -> String {
        let code = match state {
            AlertState::Pending => "33",
            AlertState::Firing => "31",
            AlertState::Resolved => "32",
        };
        self.with(code, &format!("{:8}", state.word()))
    }
}

/// A number of bytes in three digits and a unit, for reading only.
pub(super) fn bytes(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes} B"),
        _ if value < 9.995 => format!("{value:.2} {}", units[unit]),
        _ if value < 99.95 => format!("{value:.1} {}", units[unit]),
        _ => format!("{value:.0} {}", units[unit]),
    }
}

/// How long ago, in one unit or two.
pub(super) fn ago(nanos: u64, now: u64) -> String {
    let seconds = now.saturating_sub(nanos) / 1_000_000_000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_digits() {
        for (number, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (12_345, "12.3 kB"),
            (999_499, "999 kB"),
            (999_999, "1.00 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(number), expected);
        }
    }

    #[test]
    fn time_passed_has_two_units_at_most() {
        let second = 1_000_000_000;
        for (passed, expected) in [(5, "5 s"), (61, "1 min"), (7260, "2 h 1 min"), (90_000, "1 d 1 h")] {
            assert_eq!(ago(0, passed * second), expected);
        }
        assert_eq!(ago(5 * second, 0), "0 s");
    }
}
