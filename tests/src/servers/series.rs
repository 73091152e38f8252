//! Samples as a server gives them back.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// One series with its raw samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// All labels, `__name__` among them.
    pub labels: BTreeMap<String, String>,
    /// Milliseconds since 1970 and the value, in the server's order, which is by time. What JSON cannot hold
    /// is NaN: in VictoriaMetrics a stale marker, too.
    pub samples: Vec<(i64, f64)>,
}

impl Series {
    /// A label's value, empty when there is none.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// How many samples have the time of the one before: repeats, or two of one millisecond.
    pub fn repeats(&self) -> usize {
        self.samples.windows(2).filter(|pair| pair[0].0 == pair[1].0).count()
    }
}

/// How far back the harness asks for samples.
pub(crate) const DAYS: u32 = 30;

/// The time to ask for, in seconds since 1970: a query shows no sample that is younger than its time.
pub(crate) fn tomorrow() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("the clock is right").as_secs() + 86_400
}

/// The labels of a series: a flat JSON object.
pub(crate) fn labels(json: &Value) -> BTreeMap<String, String> {
    let labels = json.as_object().expect("a series has labels");
    let text = |value: &Value| value.as_str().expect("a label's value is text").to_owned();
    labels.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}
