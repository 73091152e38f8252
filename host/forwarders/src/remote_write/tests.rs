//! What is sent, byte for byte, and what becomes of a batch with receivers that are away, slow, wrong and picky.
#![allow(clippy::unwrap_used, reason = "tests")]

mod encoded;
mod receiver;
mod sent;

use picket_model::{Frame, Label, Sample};

/// A sample of a series that its labels name.
fn sample(name: &str, labels: &[(&str, &str)], time_ms: i64, value: f64) -> Frame {
    let labels =
        labels.iter().map(|(name, value)| Label { name: (*name).into(), value: (*value).into() }).collect();
    Frame::Sample(Sample { name: name.into(), labels, time: time_ms as u64 * 1_000_000, value })
}
