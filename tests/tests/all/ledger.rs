//! The ledger plugin (`tests/plugins`), fed from a log of numbers: which generation processed which record,
//! and how often.

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

/// The same without the plugin's memory, of which a crash takes what was not stored.
pub(crate) fn check_entries(rows: &[Value], last: u64) {
    let mut entered = 0;
    for batch in findings(rows, "batch") {
        assert_eq!(number(&batch, "first"), entered + 1, "a record is missing or came twice: {batch}");
        entered = number(&batch, "last");
        assert_eq!(number(&batch, "in_state"), entered, "the plugin's state disagrees: {batch}");
    }
    assert_eq!(entered, last);
}

/// The last number that has been processed.
pub(crate) fn done(rows: &[Value]) -> u64 {
    findings(rows, "batch").last().map_or(0, |batch| number(batch, "last"))
}
