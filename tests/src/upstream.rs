//! What the scenarios about upstreams share: a node whose results are numbered, and what a receiver must have of
//! them in the end. The receivers themselves are in [`servers`](crate::servers).

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::binary;
use crate::node::{Node, NodeBuilder};
use crate::servers::Series;
use crate::wait::until;

/// The plugin `meter` (`tests/plugins`), fed from a log of numbers that begin at one: each becomes one finding and
/// some samples.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    /// Samples of each number.
    pub samples: u64,
    /// Series that they are spread over.
    pub series: u64,
    pad: u64,
    /// The time of the first samples, in milliseconds since 1970.
    base: u64,
}

impl Meter {
    /// Findings without padding; the samples begin now.
    pub fn new(samples: u64, series: u64) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right");
        let base = u64::try_from(now.as_millis()).expect("the clock is right");
        Self { samples, series, pad: 0, base }
    }

    /// The same with so many attributes of four kilobytes in each finding.
    #[must_use]
    pub fn padded(self, pad: u64) -> Self {
        Self { pad, ..self }
    }

    /// A node with the plugin and its log, which has no line yet.
    pub fn node(&self) -> NodeBuilder {
        Node::builder().install(&binary::guest("meter"), "meter").config(&self.config())
    }

    /// The configuration of both.
    pub fn config(&self) -> String {
        let Self { samples, series, pad, base } = self;
        format!(
            "[sources.numbers]\nkind = \"file\"\ninclude = [\"{{dir}}/logs/*.log\"]\nstart = \"beginning\"\n\
             [plugins.meter]\nsources = [\"numbers\"]\n\
             limits = {{ findings = 8000, output = \"4MiB\", call_deadline = \"30s\" }}\n\
             config = {{ samples = {samples}, series = {series}, pad = {pad}, base = {base} }}\n"
        )
    }

    /// Appends numbers to the log, so many at once, and waits each time until they are committed: each piece is a
    /// commit of its own.
    pub fn pour(&self, node: &Node, numbers: RangeInclusive<u64>, piece: u64) {
        let committed = || node.metric("picket_plugin_meter_records_total");
        let (mut next, last) = numbers.into_inner();
        while next <= last {
            let upto = (next + piece - 1).min(last);
            let wanted = committed() + (upto + 1 - next) as f64;
            let lines: String = (next..=upto).map(|number| format!("{number}\n")).collect();
            node.append("logs/numbers.log", lines.as_bytes());
            until("the numbers are committed", || (committed() >= wanted).then_some(()));
            next = upto + 1;
        }
    }

    /// Panics unless the series have every sample of the numbers up to `last`, each with its own value and time.
    /// Returns how many came more than once, counting each repeat.
    pub fn check_samples(&self, all: &[Series], last: u64) -> u64 {
        let mut times: BTreeMap<u64, u64> = BTreeMap::new();
        for series in all {
            let label: u64 = series.label("series").parse().expect("the label is a number");
            // A stale marker is the end of a series and no sample.
            for (time, value) in series.samples.iter().filter(|(_, value)| !value.is_nan()) {
                let value = *value as u64;
                let due = self.base + value / self.series;
                assert_eq!((value % self.series, u64::try_from(*time)), (label, Ok(due)), "sample {value}");
                *times.entry(value).or_default() += 1;
            }
        }
        check_all("samples", &times, 0..=(last * self.samples - 1));
        times.values().map(|times| times - 1).sum()
    }
}

/// Panics unless every number is there, and no other.
pub fn check_all(what: &str, times: &BTreeMap<u64, u64>, wanted: RangeInclusive<u64>) {
    let missing: Vec<_> = wanted.clone().filter(|number| !times.contains_key(number)).collect();
    let some: Vec<_> = missing.iter().take(5).collect();
    assert!(missing.is_empty(), "{} {what} are missing, such as {some:?}", missing.len());
    let strange: Vec<_> = times.keys().filter(|number| !wanted.contains(*number)).take(5).collect();
    assert!(strange.is_empty(), "{what} that nobody made: {strange:?}");
}

/// How often each number came, among log records of OTLP that are findings of the meter.
pub fn numbers_of_logs(logs: &[Value]) -> BTreeMap<u64, u64> {
    let number =
        |log: &Value| log["attributes"]["picket.finding.attributes.number"].as_str()?.parse::<u64>().ok();
    times(logs.iter().filter_map(number))
}

/// How often each id came, among log records of OTLP.
pub fn ids_of_logs(logs: &[Value]) -> BTreeMap<String, u64> {
    let id = |log: &Value| log["attributes"]["log.record.uid"].as_str().map(str::to_owned);
    times(logs.iter().filter_map(id))
}

/// How often each id stands in uncompressed OTLP requests.
pub fn ids_of_bodies(bodies: &[Vec<u8>]) -> BTreeMap<String, u64> {
    const KEY: &[u8] = b"log.record.uid";
    // Behind the key: the field `value`, its length, the field `string_value`, its length, 32 digits.
    const BEFORE: usize = 4;
    let ids_of = |body: &Vec<u8>| -> Vec<String> {
        let keys = body.windows(KEY.len()).enumerate().filter(|(_, window)| *window == KEY);
        let id = |(at, _): (usize, &[u8])| {
            let start = at + KEY.len() + BEFORE;
            String::from_utf8_lossy(&body[start..start + 32]).into_owned()
        };
        keys.map(id).collect()
    };
    times(bodies.iter().flat_map(ids_of))
}

/// How often each came.
pub fn times<T: Ord>(all: impl Iterator<Item = T>) -> BTreeMap<T, u64> {
    all.fold(BTreeMap::new(), |mut times, one| {
        *times.entry(one).or_default() += 1;
        times
    })
}

/// Waits until something that grows has reached a number: as long as it takes, while it grows at all.
pub fn until_reached(what: &str, wanted: u64, count: impl Fn() -> u64) {
    let mut seen = count();
    while seen < wanted {
        seen = until(&format!("{what}: {seen} of {wanted}"), || {
            let now = count();
            (now > seen || now >= wanted).then_some(now)
        });
    }
}

/// A metric of one forwarder: `sent_frames_total`, `queued_frames` and so on.
pub fn of_forwarder(node: &Node, name: &str, metric: &str) -> u64 {
    node.metric(&format!("picket_forwarder_{metric}{{forwarder=\"{name}\"}}")) as u64
}

/// Frames that a forwarder counts as never sent, whatever the reason.
pub fn dropped(node: &Node, name: &str) -> u64 {
    let reason = |reason: &str| {
        let labels = format!("forwarder=\"{name}\",reason=\"{reason}\"");
        node.metric(&format!("picket_forwarder_dropped_frames_total{{{labels}}}")) as u64
    };
    reason("expelled") + reason("damaged")
}

/// A forwarder as the API shows it.
pub fn forwarder_status(node: &Node, name: &str) -> Option<Value> {
    let status = node.get("/api/v1/status")?.json();
    status["forwarders"].as_array()?.iter().find(|forwarder| forwarder["name"] == name).cloned()
}

/// The bytes of all files below a folder. Files that vanish meanwhile count nothing.
pub fn folder_bytes(folder: &Path) -> u64 {
    files(folder).iter().filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum()
}

/// All files below a folder, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut found: Vec<_> =
        paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    found.sort();
    found
}
