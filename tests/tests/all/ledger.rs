//! The ledger plugin (`tests/plugins`), fed from a log of numbers: which generation processed which record,
//! and how often.

use std::collections::BTreeMap;

use picket_tests::findings;
use serde_json::Value;

/// One ledger that reads `logs/*.log` from the beginning.
pub(crate) const LEDGER: &str = r#"
[sources.numbers]
kind = "file"
include = ["{dir}/logs/*.log"]
start = "beginning"

[plugins.ledger]
sources = ["numbers"]
grants.state = "1MiB"
"#;

/// A number among a finding's attributes.
pub(crate) fn number(finding: &Value, name: &str) -> u64 {
    finding["attributes"][name].as_str().and_then(|text| text.parse().ok()).unwrap()
}

/// Checks that the batches partition the numbers from 1 to `last`: each processed once, in order.
pub(crate) fn check_accounts(rows: &[Value], last: u64) {
    let mut expected = 1;
    let mut sum = 0;
    for batch in findings(rows, "batch") {
        assert_eq!(number(&batch, "first"), expected, "a record is missing or came twice: {batch}");
        expected = number(&batch, "last") + 1;
        sum += number(&batch, "count");
        assert_eq!(number(&batch, "in_memory"), sum, "the plugin's memory was not carried over: {batch}");
        assert_eq!(number(&batch, "in_state"), sum, "the plugin's state disagrees: {batch}");
    }
    assert_eq!(expected, last + 1);
}

/// Checks that each number from 1 to `last` was processed once and that the plugin's state agrees. What it had
/// in memory may be gone in between.
pub(crate) fn check_once(rows: &[Value], last: u64) {
    let mut times: BTreeMap<u64, u64> = BTreeMap::new();
    let batches = findings(rows, "batch");
    for batch in &batches {
        for record in number(batch, "first")..=number(batch, "last") {
            *times.entry(record).or_default() += 1;
        }
    }
    assert_eq!(times.len() as u64, last, "records without a result");
    let repeated: Vec<_> = times.iter().filter(|(_, times)| **times != 1).take(5).collect();
    assert!(repeated.is_empty(), "records with several results: {repeated:?}");
    assert_eq!(number(batches.last().unwrap(), "in_state"), last, "the state disagrees with the records");
}

/// The last number that has been processed.
pub(crate) fn done(rows: &[Value]) -> u64 {
    findings(rows, "batch").last().map_or(0, |batch| number(batch, "last"))
}
