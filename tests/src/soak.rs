//! Counts of the long forms of tests, and the rows that they write for the soak table.

use std::io::Write as _;

/// `full` when the long forms are asked for (`PICKET_SOAK=1`), else `reduced`.
pub fn count(reduced: u64, full: u64) -> u64 {
    if std::env::var_os("PICKET_SOAK").is_some_and(|value| value == "1") { full } else { reduced }
}

/// Adds a row to the file that `PICKET_SOAK_RESULTS` names, if it does: what was shown and the figures.
pub fn report(name: &str, figures: &[(&str, String)]) {
    println!("{name}: {figures:?}");
    let Some(path) = std::env::var_os("PICKET_SOAK_RESULTS") else { return };
    let figures: serde_json::Map<String, serde_json::Value> =
        figures.iter().map(|(key, value)| ((*key).to_owned(), value.clone().into())).collect();
    let row = serde_json::json!({ "name": name, "figures": figures });
    let mut file =
        std::fs::OpenOptions::new().create(true).append(true).open(path).expect("the results file opens");
    writeln!(file, "{row}").expect("the results file can be written");
}
