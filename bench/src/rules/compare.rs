//! Whether both sides came to the same: the same number of series and the same alerts. A measure of two programs
//! that do different things would be none.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

use super::subject::Subject;
use super::targets::rack;
use crate::web::escaped;

/// What was found, alike on both sides.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Series with a present value of all racks: scraped ones, those of targets, recorded ones, those of alerts.
    pub(super) series: u64,
    /// The labels of the alerts that fire.
    pub(super) firing: BTreeSet<String>,
}

/// Compares all of them with the first.
pub(super) fn same(subjects: &[&Subject], racks: u32) -> Result<Found> {
    let mut all = subjects.iter().map(|subject| -> Result<(&str, Found)> {
        let failures = subject.metric(subject.side.failures_metric())?;
        ensure!(failures == 0.0, "{}: {failures} rules could not be evaluated", subject.side.name());
        Ok((subject.side.name(), found(subject, racks)?))
    });
    let (name, first) = all.next().context("nobody evaluates rules")??;
    ensure!(!first.firing.is_empty(), "{name}: no alert fires, so that nothing can be compared");
    for other in all {
        let (other_name, other) = other?;
        let differing: Vec<_> = first.firing.symmetric_difference(&other.firing).take(3).collect();
        ensure!(
            first == other,
            "{name} has {} series and {} firing alerts, {other_name} {} and {}; not on both sides fire {differing:?}",
            first.series,
            first.firing.len(),
            other.series,
            other.firing.len(),
        );
    }
    Ok(first)
}

fn found(subject: &Subject, racks: u32) -> Result<Found> {
    let count = |number| {
        let expression = escaped(&format!("count({{rack=\"{}\"}})", rack(number)));
        count(&subject.api(&format!("query?query={expression}"))?)
    };
    // Rack by rack, so that no answer of the store is large.
    let series = (0..racks).map(count).sum::<Result<u64>>()?;
    Ok(Found { series, firing: firing(&subject.api("alerts")?)? })
}

/// The one value of a query's answer.
fn count(data: &serde_json::Value) -> Result<u64> {
    let value = data["result"][0]["value"][1].as_str().and_then(|value| value.parse().ok());
    value.with_context(|| format!("a count is answered with {data}"))
}

/// The labels of those that fire, in the order of their names.
fn firing(data: &serde_json::Value) -> Result<BTreeSet<String>> {
    let alerts = data["alerts"].as_array().with_context(|| format!("alerts are answered with {data}"))?;
    let fires = alerts.iter().filter(|alert| alert["state"] == "firing");
    Ok(fires.map(|alert| alert["labels"].to_string()).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_are_read_in_the_shape_of_prometheus() {
        let data = json!({"resultType": "vector", "result": [{"metric": {}, "value": [1.5, "10055"]}]});
        assert_eq!(count(&data).unwrap(), 10_055);
        assert!(count(&json!({"result": []})).is_err());
        let alert = |state: &str| json!({"labels": {"b": "2", "a": state}, "state": state});
        let found = firing(&json!({"alerts": [alert("firing"), alert("pending")]})).unwrap();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["{\"a\":\"firing\",\"b\":\"2\"}"]);
    }
}
