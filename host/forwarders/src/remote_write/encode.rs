//! Samples as a receiver wants them: labels sorted and valid, times in milliseconds that ascend within a series.
//! Pure: no network, no clock.

use std::collections::HashMap;

use picket_model::{Frame, Sample};
use prost::Message as _;

use super::message::{self, Label, MetricMetadata, MetricType, TimeSeries, WriteRequest};
use crate::{Description, Refused};

/// Prometheus' stale marker: the series ends here.
pub const STALE: u64 = picket_model::STALE_NAN;
/// Every other NaN goes as Prometheus' own.
const NAN: u64 = 0x7ff8_0000_0000_0001;
/// A sample whose time is further ahead of this machine's clock is not sent: Prometheus would take it, and nothing
/// of any other series for as long. Its scrapes have the same bound.
pub const MAX_AHEAD_MS: i64 = 10 * 60 * 1000;
/// A help text is one sentence; what is longer is cut.
const MAX_HELP_BYTES: usize = 1024;

/// A sample of one of the series in a [`Table`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The place of its series in the table.
    pub series: usize,
    /// Unix time in milliseconds.
    pub time: i64,
    /// Its value, bit by bit.
    pub value: f64,
    /// The place of its frame in the batch.
    pub frame: usize,
}

/// The samples of a batch.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// The labels of each series, with the name; no two are the same.
    pub series: Vec<Vec<Label>>,
    /// Sorted by time, and by series within a time; no two have both the same.
    pub points: Vec<Point>,
    /// What no receiver may be sent.
    pub refused: Vec<Refused>,
}

/// Sorts the samples of a batch. Of several of one series in the same millisecond the last is kept: receivers
/// have room for one. The others are refused, unless they have the same value.
pub fn table(frames: &[Frame], now_ms: i64) -> Table {
    let mut table = Table::default();
    let mut known: HashMap<Vec<Label>, usize> = HashMap::new();
    for (frame, content) in frames.iter().enumerate() {
        let point = match content {
            Frame::Sample(sample) => point(sample, now_ms),
            _ => Err("it is no sample".to_owned()),
        };
        match point {
            Ok((labels, time, value)) => {
                let series = *known.entry(labels).or_insert_with_key(|labels| {
                    table.series.push(labels.clone());
                    table.series.len() - 1
                });
                table.points.push(Point { series, time, value, frame });
            }
            Err(reason) => table.refused.push(Refused { frame, reason }),
        }
    }
    // Stable: what is equal stays in the order of the journal.
    table.points.sort_by_key(|point| (point.time, point.series));
    let mut superseded = Vec::new();
    table.points.dedup_by(|later, kept| {
        if (later.time, later.series) != (kept.time, kept.series) {
            return false;
        }
        if later.value.to_bits() != kept.value.to_bits() {
            superseded.push(kept.frame);
        }
        *kept = *later;
        true
    });
    let reason = "a later sample of its series has the same millisecond, and receivers keep one";
    table.refused.extend(superseded.into_iter().map(|frame| Refused { frame, reason: reason.to_owned() }));
    table
}

fn point(sample: &Sample, now_ms: i64) -> Result<(Vec<Label>, i64, f64), String> {
    let time = i64::try_from(sample.time / 1_000_000).unwrap_or(i64::MAX);
    if time > now_ms.saturating_add(MAX_AHEAD_MS) {
        return Err("its time is more than ten minutes ahead of this machine's clock".to_owned());
    }
    let value = match sample.value.to_bits() {
        STALE => sample.value,
        _ if sample.value.is_nan() => f64::from_bits(NAN),
        // Minus zero goes as zero: protobuf leaves both out.
        _ => sample.value + 0.0,
    };
    Ok((labels(sample)?, time, value))
}

/// All labels, sorted by the bytes of their names. Those without a value, and those that begin with `__`, are none.
fn labels(sample: &Sample) -> Result<Vec<Label>, String> {
    let shown = |name: &str| name.chars().take(80).flat_map(char::escape_debug).collect::<String>();
    let mut labels = Vec::with_capacity(sample.labels.len() + 1);
    if !sample.name.is_empty() {
        if !is_metric_name(&sample.name) {
            return Err(format!("`{}` is no name of a metric", shown(&sample.name)));
        }
        labels.push(Label { name: "__name__".to_owned(), value: sample.name.clone() });
    }
    for label in sample.labels.iter().filter(|label| !label.value.is_empty() && !label.name.starts_with("__"))
    {
        if !picket_relabel::is_label_name(&label.name) {
            return Err(format!("`{}` is no name of a label", shown(&label.name)));
        }
        labels.push(Label { name: label.name.clone(), value: label.value.clone() });
    }
    labels.sort();
    if let Some(pair) = labels.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(format!("it has the label `{}` twice", shown(&pair[0].name)));
    }
    match labels.is_empty() {
        true => Err("it has no label at all".to_owned()),
        false => Ok(labels),
    }
}

/// `[a-zA-Z_:][a-zA-Z0-9_:]*`.
fn is_metric_name(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
}

/// The body of a request: points sorted by series and time, compressed.
pub fn body(series: &[Vec<Label>], points: &[Point]) -> Vec<u8> {
    let timeseries = points.chunk_by(|left, right| left.series == right.series).map(|points| TimeSeries {
        labels: series[points[0].series].clone(),
        samples: points
            .iter()
            .map(|point| message::Sample { value: point.value, timestamp: point.time })
            .collect(),
    });
    compressed(&WriteRequest { timeseries: timeseries.collect(), metadata: Vec::new() })
}

/// The body of a request that says what metrics are, compressed.
pub fn metadata(descriptions: &[Description]) -> Vec<u8> {
    let metadata = descriptions.iter().map(|description| {
        let kind = match description.kind {
            crate::MetricType::Counter => MetricType::Counter,
            crate::MetricType::Gauge => MetricType::Gauge,
            crate::MetricType::Histogram => MetricType::Histogram,
        };
        let help = &description.help[..description.help.floor_char_boundary(MAX_HELP_BYTES)];
        MetricMetadata {
            r#type: kind.into(),
            metric_family_name: description.name.clone(),
            help: help.to_owned(),
            unit: String::new(),
        }
    });
    compressed(&WriteRequest { timeseries: Vec::new(), metadata: metadata.collect() })
}

/// The block format of Snappy.
fn compressed(request: &WriteRequest) -> Vec<u8> {
    let plain = request.encode_to_vec();
    snap::raw::Encoder::new().compress_vec(&plain).expect("a request is far below Snappy's bound of 4 GiB")
}
