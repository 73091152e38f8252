//! What is printed: values of one subject in one case of a measure. `xtask/src/bench/report.rs` reads
//! it.

use std::time::Duration;

use serde::Serialize;

/// A series of values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Series {
    /// The measure.
    pub(crate) bench: &'static str,
    /// What is measured, in words.
    pub(crate) case: String,
    /// Who does it.
    pub(crate) subject: String,
    /// The unit of the values.
    pub(crate) unit: &'static str,
    /// Whether the others are set in relation to this one.
    pub(crate) reference: bool,
    /// One for each round.
    pub(crate) values: Vec<f64>,
    /// CPU time of each round, in seconds; empty where it makes no sense.
    pub(crate) cpu_seconds: Vec<f64>,
    /// Peak resident memory of each round, in bytes; empty where it makes no sense.
    pub(crate) peak_bytes: Vec<f64>,
    /// What was aimed at, in words.
    pub(crate) aim: &'static str,
    /// What to know about the values.
    pub(crate) note: String,
}

impl Series {
    /// Without values yet.
    pub(crate) fn new(
        bench: &'static str,
        case: impl Into<String>,
        subject: impl Into<String>,
        unit: &'static str,
    ) -> Self {
        Self {
            bench,
            case: case.into(),
            subject: subject.into(),
            unit,
            reference: false,
            values: Vec::new(),
            cpu_seconds: Vec::new(),
            peak_bytes: Vec::new(),
            aim: "",
            note: String::new(),
        }
    }

    /// What the others are set in relation to.
    pub(crate) fn reference(self) -> Self {
        Self { reference: true, ..self }
    }

    /// What is aimed at.
    pub(crate) fn aim(self, aim: &'static str) -> Self {
        Self { aim, ..self }
    }

    /// What to know.
    pub(crate) fn note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }
}

/// Megabytes a second.
pub(crate) fn throughput(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / 1e6 / time.as_secs_f64().max(1e-9)
}

/// The value below which this share of the values lies; they need not be sorted, and there is one at
/// least.
pub(crate) fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        for (share, expected) in [(50.0, 50.0), (99.0, 99.0), (100.0, 100.0), (0.0, 1.0)] {
            assert_eq!(percentile(&values, share), expected);
        }
        assert_eq!(percentile(&[7.0], 99.0), 7.0);
    }

    #[test]
    fn throughput_is_in_decimal_megabytes() {
        assert_eq!(throughput(5_000_000, Duration::from_secs(2)), 2.5);
    }
}
