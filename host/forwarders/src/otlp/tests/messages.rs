//! What frames become.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, number_data_point};
use picket_model::{AlertState, Severity};
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::otlp::encode::{Context, Signal};
use crate::{Description, MetricType};

fn logs(frames: &[Frame]) -> ResourceLogs {
    let frames: Vec<&Frame> = frames.iter().collect();
    let body = Context::new("node-7", &BTreeMap::new()).request(Signal::Logs, &frames, &[]);
    let mut request = ExportLogsServiceRequest::decode(&*body).unwrap();
    assert_eq!(request.resource_logs.len(), 1);
    request.resource_logs.remove(0)
}

fn record(frame: &Frame) -> LogRecord {
    logs(std::slice::from_ref(frame)).scope_logs.remove(0).log_records.remove(0)
}

fn metrics(frames: &[Frame], descriptions: &[Description]) -> Vec<Metric> {
    let frames: Vec<&Frame> = frames.iter().collect();
    let body = Context::new("node-7", &BTreeMap::new()).request(Signal::Metrics, &frames, descriptions);
    let mut request = ExportMetricsServiceRequest::decode(&*body).unwrap();
    request.resource_metrics.remove(0).scope_metrics.remove(0).metrics
}

/// Attributes as `name=value`.
fn shown(attributes: &[KeyValue]) -> Vec<String> {
    let value = |attribute: &KeyValue| match attribute.value.clone().unwrap().value.unwrap() {
        Value::StringValue(text) => format!("{text:?}"),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => format!("{number:?}"),
        Value::ArrayValue(list) => {
            let texts = list.values.iter().map(|value| match value.value.clone().unwrap() {
                Value::StringValue(text) => text,
                other => panic!("{other:?}"),
            });
            format!("[{}]", texts.collect::<Vec<_>>().join(" "))
        }
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|attribute| format!("{}={}", attribute.key, value(attribute))).collect()
}

fn body(record: &LogRecord) -> String {
    match record.body.clone().unwrap().value.unwrap() {
        Value::StringValue(text) => text,
        other => panic!("{other:?}"),
    }
}

const ID: &str = r#"log.record.uid="000102030405060708090a0b0c0d0e0f""#;
const TIME: u64 = 1_763_654_940_250_000_000;

#[test]
fn a_retraction_names_what_it_takes_back_as_that_named_itself() {
    let record = record(examples().last().unwrap());
    assert_eq!((record.event_name.as_str(), record.severity_number), ("picket.retraction", 9));
    assert_eq!(body(&record), "The rule took the backup for an attack.");
    let uids = format!("picket.retraction.uids=[{} {}]", "1".repeat(32), "2".repeat(32));
    let expected = [ID, &uids, "picket.retraction.count=2", r#"picket.retraction.by="operator""#];
    assert_eq!(shown(&record.attributes), expected);
}

#[test]
fn a_finding_has_the_attributes_that_are_documented() {
    let record = record(&examples()[0]);
    assert_eq!(record.time_unix_nano, TIME);
    assert_eq!(record.observed_time_unix_nano, TIME);
    assert_eq!((record.event_name.as_str(), record.severity_number), ("picket.finding", 17));
    assert_eq!(record.severity_text, "high");
    assert_eq!(body(&record), "20 failed logins for root from 192.0.2.7 within 1 minute.");
    let expected = [
        ID,
        r#"security_rule.name="ssh-brute-force""#,
        r#"security_rule.ruleset.name="auth-guard""#,
        r#"picket.severity="high""#,
        r#"picket.source="auth""#,
        r#"log.file.path="/var/log/auth.log""#,
        r#"log.file.name="auth.log""#,
        "picket.offset=4096",
        r#"log.record.original="Nov 20 16:09:00 host sshd[7]: Failed password for root from 192.0.2.7""#,
        r#"picket.finding.attributes.address="192.0.2.7""#,
        r#"picket.finding.attributes.user="root""#,
        r#"picket.finding.attributes.user#2="admin""#,
    ];
    assert_eq!(shown(&record.attributes), expected);
}

#[test]
fn the_other_events_have_theirs() {
    let examples = examples();
    let [verdict, alert, evidence, notice] = [2, 3, 4, 5].map(|at| record(&examples[at]));
    assert_eq!((verdict.event_name.as_str(), verdict.severity_number), ("picket.verdict", 13));
    assert_eq!(body(&verdict), "It is an executable with the name of a picture.");
    assert_eq!(
        shown(&verdict.attributes)[1..5],
        [
            r#"picket.verdict="suspicious""#,
            r#"file.path="/srv/uploads/cat.zip!/cat.jpg""#,
            r#"file.name="cat.jpg""#,
            "file.size=8192",
        ]
    );
    assert_eq!((alert.event_name.as_str(), alert.severity_number), ("picket.alert", 17));
    assert_eq!(body(&alert), "/ is 97 % full.");
    assert_eq!(
        shown(&alert.attributes)[1..],
        [
            r#"security_rule.name="disk-full""#,
            r#"security_rule.ruleset.name="disk""#,
            r#"picket.alert.state="firing""#,
            "picket.alert.value=0.97",
            r#"picket.alert.active_since="2025-11-20T16:04:00Z""#,
            r#"picket.alert.labels.alertname="DiskFull""#,
            r#"picket.alert.labels.mountpoint="/""#,
            r#"picket.alert.annotations.summary="/ is 97 % full.""#,
        ]
    );
    assert_eq!((evidence.event_name.as_str(), evidence.severity_number), ("picket.evidence", 13));
    assert_eq!(shown(&evidence.attributes).last().unwrap(), "log.record.original=\"GET /\\0\u{fffd}\"");
    assert_eq!((notice.event_name.as_str(), notice.severity_number), ("picket.plugin.rejected", 17));
    assert_eq!(shown(&notice.attributes), [ID]);
}

#[test]
fn every_attribute_stands_in_the_document() {
    let document = include_str!("../../../../../docs/forwarders.md");
    for frame in examples().iter().filter(|frame| !matches!(frame, Frame::Sample(_))) {
        for attribute in record(frame).attributes {
            let groups = ["picket.finding.attributes.", "picket.alert.labels.", "picket.alert.annotations."];
            let name = groups.iter().find(|group| attribute.key.starts_with(**group)).copied();
            let name = name.map_or(attribute.key.clone(), |group| format!("{group}*"));
            assert!(document.contains(&format!("`{name}`")), "{name} is not documented");
        }
    }
}

#[test]
fn severities_are_those_of_the_data_model() {
    let Frame::Finding(finding) = examples().remove(0) else { panic!() };
    let number = |severity| {
        record(&Frame::Finding(picket_model::Finding { severity, ..finding.clone() })).severity_number
    };
    use Severity::{Critical, High, Info, Low, Medium};
    assert_eq!([Info, Low, Medium, High, Critical].map(number), [9, 10, 13, 17, 18]);
    let Frame::Alert(alert) = examples().remove(3) else { panic!() };
    let number = |state, severity: &str| {
        let mut alert = alert.clone();
        alert.state = state;
        alert.labels.push(Label { name: "severity".into(), value: severity.into() });
        record(&Frame::Alert(alert)).severity_number
    };
    assert_eq!(
        ["info", "warning", "error", "page", "critical", "?"].map(|word| number(AlertState::Firing, word)),
        [9, 13, 17, 18, 18, 17]
    );
    assert_eq!(number(AlertState::Pending, "critical"), 9);
    assert_eq!(number(AlertState::Resolved, "critical"), 9);
}

#[test]
fn each_generation_of_a_plugin_is_a_scope() {
    let frames: Vec<Frame> = examples().into_iter().chain(examples()).collect();
    let logs = logs(&frames);
    let scopes: Vec<_> = logs
        .scope_logs
        .iter()
        .map(|scope| (&*scope.scope.as_ref().unwrap().name, scope.log_records.len()))
        .collect();
    assert_eq!(scopes, [("auth-guard", 6), ("file-guard", 2), ("thresholds", 2), ("access-log", 4)]);
    assert_eq!(logs.scope_logs[0].scope.as_ref().unwrap().version, "2a".repeat(32));
}

#[test]
fn the_resource_is_the_agent_as_the_operator_describes_it() {
    let resource = |set: &[(&str, &str)]| {
        let set = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let body = Context::new("node-7", &set).request(Signal::Logs, &[], &[]);
        let request = ExportLogsServiceRequest::decode(&*body).unwrap();
        shown(&request.resource_logs[0].resource.as_ref().unwrap().attributes)
    };
    let version = format!("service.version={:?}", env!("CARGO_PKG_VERSION"));
    let [host, instance, name, system] = [
        "host.name=\"node-7\"",
        "service.instance.id=\"node-7\"",
        "service.name=\"picket\"",
        "os.type=\"linux\"",
    ];
    assert_eq!(resource(&[]), [host, system, instance, name, &version]);
    let set = [("host.name", ""), ("service.name", "edge"), ("deployment.environment.name", "test")];
    let edge = ["deployment.environment.name=\"test\"", system, instance, "service.name=\"edge\"", &version];
    assert_eq!(resource(&set), edge);
}

#[test]
fn samples_are_grouped_and_typed_by_what_is_known_of_them() {
    let describe = |name: &str, kind| Description { name: name.into(), kind, help: format!("About {name}.") };
    let known = [
        describe("c_total", MetricType::Counter),
        describe("g", MetricType::Gauge),
        describe("h", MetricType::Histogram),
    ];
    let names = ["c_total", "g", "c_total", "h_bucket", "x", "g_sum"];
    let frames: Vec<Frame> = names.iter().map(|name| sample(name, 1.5)).collect();
    let metrics = metrics(&frames, &known);
    let kind = |metric: &Metric| match metric.data.clone().unwrap() {
        Data::Sum(sum) => (sum.aggregation_temporality, sum.is_monotonic, sum.data_points.len()),
        Data::Gauge(gauge) => (0, false, gauge.data_points.len()),
        other => panic!("{other:?}"),
    };
    let found: Vec<_> = metrics
        .iter()
        .map(|metric| (&*metric.name, &*metric.description, shown(&metric.metadata).remove(0), kind(metric)))
        .collect();
    let typed = |word: &str| format!("prometheus.type={word:?}");
    assert_eq!(
        found,
        [
            ("c_total", "About c_total.", typed("counter"), (2, true, 2)),
            ("g", "About g.", typed("gauge"), (0, false, 1)),
            ("h_bucket", "About h.", typed("histogram"), (0, false, 1)),
            ("x", "", typed("unknown"), (0, false, 1)),
            ("g_sum", "", typed("unknown"), (0, false, 1)),
        ]
    );
}

#[test]
fn the_end_of_a_series_is_a_point_without_a_value_and_nan_is_a_value() {
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let frames = [sample("a", stale), sample("a", f64::NAN), sample("a", f64::INFINITY)];
    let Some(Data::Gauge(gauge)) = metrics(&frames, &[]).remove(0).data else { panic!() };
    let [ended, nan, infinite] = &gauge.data_points[..] else { panic!() };
    assert_eq!((ended.flags, ended.value, ended.time_unix_nano), (1, None, 7));
    assert_eq!(shown(&ended.attributes), [r#"cpu="0""#]);
    assert!(matches!(nan.value, Some(number_data_point::Value::AsDouble(value)) if value.is_nan()));
    assert_eq!(
        (infinite.flags, infinite.value),
        (0, Some(number_data_point::Value::AsDouble(f64::INFINITY)))
    );
}

#[test]
fn thousands_of_equal_names_are_told_apart_at_once() {
    let Frame::Finding(mut finding) = examples().remove(0) else { panic!() };
    finding.attributes = vec![Label { name: "a".into(), value: "v".into() }; 20_000];
    let begun = std::time::Instant::now();
    let attributes = record(&Frame::Finding(finding)).attributes;
    assert_eq!(attributes.last().unwrap().key, "picket.finding.attributes.a#20000");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

proptest! {
    #[test]
    fn no_attribute_stands_there_twice(names in prop::collection::vec("[ab#2]{0,4}", 0..12)) {
        let Frame::Finding(mut finding) = examples().remove(0) else { panic!() };
        finding.attributes = names.iter().map(|name| Label { name: name.clone(), value: "v".into() }).collect();
        let attributes = record(&Frame::Finding(finding)).attributes;
        let unique: BTreeSet<&str> = attributes.iter().map(|attribute| attribute.key.as_str()).collect();
        prop_assert_eq!(unique.len(), attributes.len());
        prop_assert_eq!(attributes.len(), 9 + names.len());
    }

    #[test]
    fn no_request_is_smaller_than_was_said(names in prop::collection::vec("[ab#2]{0,4}", 0..12)) {
        let mut frames = examples();
        if let Frame::Finding(finding) = &mut frames[0] {
            finding.attributes = names.iter().map(|name| Label { name: name.clone(), value: "v".into() }).collect();
        }
        for signal in [Signal::Logs, Signal::Metrics] {
            let frames: Vec<&Frame> = frames.iter().filter(|frame| Signal::of(frame.kind()) == signal).collect();
            let body = Context::new("node-7", &BTreeMap::new()).request(signal, &frames, &[]);
            prop_assert!(encode::least_size(&frames) <= body.len());
        }
    }

    #[test]
    fn any_answer_has_a_meaning(status in 100..999_u16, body in prop::collection::vec(any::<u8>(), 0..64)) {
        let answer = picket_http::Answer {
            status, retry_after: None, content_type: "application/x-protobuf".into(), body,
        };
        for signal in [Signal::Logs, Signal::Metrics] {
            let meaning = answer::meaning(signal, &answer);
            let is_accepted = matches!(meaning, answer::Meaning::Accepted { .. });
            prop_assert_eq!(is_accepted, (200..300).contains(&status));
        }
    }
}
