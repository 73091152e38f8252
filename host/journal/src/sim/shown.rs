//! The row that a long model test adds to the soak table once it has passed. It decides nothing and counts
//! nothing.

use std::fs::OpenOptions;
use std::io::Write as _;

/// Adds `{"name": …, "figures": {"seeds": …}}` to the file that `PICKET_SOAK_RESULTS` names; does nothing when
/// it names none. `name` is plain text without quotes.
///
/// # Panics
///
/// When the file cannot be written: a row that is missing would pass for a test that did not run.
pub fn shown(name: &str, seeds: usize) {
    let Some(path) = std::env::var_os("PICKET_SOAK_RESULTS") else { return };
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("the soak results open");
    writeln!(file, r#"{{"name":"{name}","figures":{{"seeds":"{seeds}"}}}}"#)
        .expect("the soak row is written");
}
