//! Samples as metrics, after OpenTelemetry's "Prometheus and OpenMetrics Compatibility": names are kept, counters
//! are cumulative sums, and everything else is a gauge.
//!
//! Histograms stay what samples are: their `_bucket`, `_sum` and `_count` series are gauges of these names. A
//! histogram of OTLP needs all of them at once, which a batch's end may cut; and as sums they would get a `_total`
//! behind their names in Prometheus, where nothing would find them.

use std::collections::HashMap;

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, DataPointFlags, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
    Sum, metric::Data,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use picket_model::{Frame, Sample};

use super::VERSION;
use super::attributes::Attributes;
use crate::{Description, MetricType};

/// The metrics of samples, each metric with all its data points, in the order in which they come first.
pub(super) fn of(frames: &[&Frame], descriptions: &[Description], resource: Resource) -> ResourceMetrics {
    let described: Described = descriptions.iter().map(|known| (known.name.as_str(), known)).collect();
    let mut groups: Vec<(&str, Vec<NumberDataPoint>)> = Vec::new();
    let mut places = HashMap::new();
    for frame in frames {
        let Frame::Sample(sample) = frame else { continue };
        let place = *places.entry(&sample.name).or_insert_with(|| {
            groups.push((&sample.name, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(point(sample));
    }
    let metrics = groups.into_iter().map(|(name, points)| metric(name, points, &described)).collect();
    let (name, version) = ("picket".into(), VERSION.into());
    let scope = InstrumentationScope { name, version, ..InstrumentationScope::default() };
    let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics, schema_url: String::new() }];
    ResourceMetrics { resource: Some(resource), scope_metrics, schema_url: String::new() }
}

/// Descriptions by the names of their families.
type Described<'a> = HashMap<&'a str, &'a Description>;

fn metric(name: &str, data_points: Vec<NumberDataPoint>, described: &Described<'_>) -> Metric {
    let description = described.get(name).copied().or_else(|| family(name, described));
    let kind = description.map(|description| description.kind);
    let word = match kind {
        Some(MetricType::Counter) => "counter",
        Some(MetricType::Gauge) => "gauge",
        Some(MetricType::Histogram) => "histogram",
        None => "unknown",
    };
    let mut metadata = Attributes::default();
    metadata.text("prometheus.type", word);
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    let data = match kind {
        Some(MetricType::Counter) => {
            Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic: true })
        }
        _ => Data::Gauge(Gauge { data_points }),
    };
    Metric {
        name: name.to_owned(),
        description: description.map(|description| description.help.clone()).unwrap_or_default(),
        metadata: metadata.done(),
        data: Some(data),
        ..Metric::default()
    }
}

/// The histogram that a series is a part of.
fn family<'a>(name: &str, described: &Described<'a>) -> Option<&'a Description> {
    let suffixes = ["_bucket", "_sum", "_count"];
    let base = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix))?;
    described.get(base).copied().filter(|description| description.kind == MetricType::Histogram)
}

/// The start of a counter is not known, and OTLP has 0 for that.
fn point(sample: &Sample) -> NumberDataPoint {
    let mut attributes = Attributes::default();
    // To Prometheus a label without a value is none.
    for label in sample.labels.iter().filter(|label| !label.value.is_empty() && label.name != "__name__") {
        attributes.text(&label.name, &*label.value);
    }
    let is_stale = sample.is_stale();
    NumberDataPoint {
        attributes: attributes.done(),
        start_time_unix_nano: 0,
        time_unix_nano: sample.time,
        flags: if is_stale { DataPointFlags::NoRecordedValueMask as u32 } else { 0 },
        value: (!is_stale).then_some(Value::AsDouble(sample.value)),
        ..NumberDataPoint::default()
    }
}
