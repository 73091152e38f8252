//! The rows that the `file` forwarder wrote.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// Rows by their event id, with how often each stands in the file.
pub type Rows = BTreeMap<String, (Value, usize)>;

/// All whole rows of an NDJSON file, each parsed; an unfinished last one is left out.
pub(crate) fn rows(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}")))
        .collect()
}

/// The rows of one kind: `finding`, `verdict`, `alert`, `evidence`, `notice`.
pub fn of_kind(rows: &[Value], kind: &str) -> Vec<Value> {
    rows.iter().filter(|row| row["kind"] == kind).cloned().collect()
}

/// Findings of one rule.
pub fn findings(rows: &[Value], rule: &str) -> Vec<Value> {
    of_kind(rows, "finding").into_iter().filter(|row| row["rule"] == rule).collect()
}
