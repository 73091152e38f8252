//! Findings, verdicts, alerts, evidence, notices and retractions as log records.
//!
//! Attributes have the names of OpenTelemetry's semantic conventions where these have one, and else stand under
//! `picket.`. The name of the event is the field `event_name`: the attribute of that name is deprecated.

use std::collections::HashMap;

use jiff::Timestamp;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use picket_model::{
    AlertEvent, AlertState, Evidence, Finding, Frame, Label, LifecycleEvent, Notice, Origin, Retraction,
    Severity, Verdict,
};

use super::attributes::Attributes;
use crate::severity;

// Numbers of the log data model ("SeverityNumber"). Picket's words stand where appendix B of the data model puts
// the words of Syslog.
const INFO: i32 = 9;
const INFO2: i32 = 10;
const WARN: i32 = 13;
const ERROR: i32 = 17;
const ERROR2: i32 = 18;

/// The records of frames, with a scope for each generation of a plugin, in the order in which they come first.
pub(super) fn of(frames: &[&Frame], resource: Resource) -> ResourceLogs {
    let mut scope_logs: Vec<ScopeLogs> = Vec::new();
    let mut places = HashMap::new();
    for frame in frames {
        let (Some(record), Some((_, origin))) = (record(frame), frame.origin()) else { continue };
        let place = *places.entry((&origin.plugin, origin.generation)).or_insert_with(|| {
            scope_logs.push(ScopeLogs { scope: Some(scope(origin)), ..ScopeLogs::default() });
            scope_logs.len() - 1
        });
        scope_logs[place].log_records.push(record);
    }
    ResourceLogs { resource: Some(resource), scope_logs, schema_url: String::new() }
}

/// The plugin is the scope, and its generation the version of it.
fn scope(origin: &Origin) -> InstrumentationScope {
    InstrumentationScope {
        name: origin.plugin.clone(),
        version: origin.generation.to_string(),
        ..InstrumentationScope::default()
    }
}

/// What is particular to a kind of frame.
struct Event {
    name: String,
    severity: i32,
    severity_text: String,
    body: String,
    attributes: Attributes,
}

/// A frame's record; samples have none.
fn record(frame: &Frame) -> Option<LogRecord> {
    let event = match frame {
        Frame::Finding(finding) => self::finding(finding),
        Frame::Verdict(verdict) => self::verdict(verdict),
        Frame::Alert(alert) => self::alert(alert),
        Frame::Evidence(evidence) => self::evidence(evidence),
        Frame::Notice(notice) => self::notice(notice),
        Frame::Retraction(retraction) => self::retraction(retraction),
        Frame::Sample(_) => return None,
    };
    Some(LogRecord {
        time_unix_nano: frame.time(),
        // The data model's rule for what the sender has made itself.
        observed_time_unix_nano: frame.time(),
        severity_number: event.severity,
        severity_text: event.severity_text,
        body: Some(AnyValue { value: Some(Value::StringValue(event.body)) }),
        attributes: event.attributes.done(),
        event_name: event.name,
        ..LogRecord::default()
    })
}

fn finding(finding: &Finding) -> Event {
    let word = finding.severity.word();
    let mut attributes = Attributes::of_event(finding.id);
    attributes.text("security_rule.name", &*finding.rule);
    attributes.text("security_rule.ruleset.name", &*finding.origin.plugin);
    attributes.text("picket.severity", word);
    attributes.text_unless_empty("picket.source", &finding.source);
    attributes.stream(&finding.stream);
    if let Some(offset) = finding.offset {
        attributes.number("picket.offset", offset);
    }
    if let Some(record) = &finding.record {
        attributes.text("log.record.original", &**record);
    }
    attributes.labels("picket.finding.attributes.", &finding.attributes);
    Event {
        name: "picket.finding".into(),
        severity: number(finding.severity),
        severity_text: word.into(),
        body: finding.message.clone(),
        attributes,
    }
}

fn verdict(verdict: &Verdict) -> Event {
    let word = verdict.verdict.word();
    let mut attributes = Attributes::of_event(verdict.id);
    attributes.text("picket.verdict", word);
    attributes.file("file", &verdict.path);
    attributes.number("file.size", verdict.size);
    attributes.text("picket.file.sha256", verdict.sha256.to_string());
    attributes.text_unless_empty("picket.source", &verdict.source);
    Event {
        name: "picket.verdict".into(),
        severity: number(severity::of_verdict(verdict)),
        severity_text: String::new(),
        body: or(&verdict.reason, || format!("{} is {word}.", verdict.path)),
        attributes,
    }
}

fn alert(alert: &AlertEvent) -> Event {
    let value_of = |labels: &[Label], name| {
        labels.iter().find(|label| label.name == name).map(|label| label.value.clone()).unwrap_or_default()
    };
    let severity_text = value_of(&alert.labels, "severity");
    let word = alert.state.word();
    let severity = match alert.state {
        AlertState::Pending | AlertState::Resolved => INFO,
        // An alert that does not say how bad it is is an error.
        AlertState::Firing => severity::of_alert(alert).map_or(ERROR, number),
    };
    let mut attributes = Attributes::of_event(alert.id);
    attributes.text("security_rule.name", &*alert.rule);
    attributes.text("security_rule.ruleset.name", &*alert.group);
    attributes.text("picket.alert.state", word);
    attributes.float("picket.alert.value", alert.value);
    attributes.text("picket.alert.active_since", rfc3339(alert.active_since));
    if let Some(silence) = &alert.silenced_by {
        attributes.text("picket.alert.silenced_by", &**silence);
    }
    attributes.labels("picket.alert.labels.", &alert.labels);
    attributes.labels("picket.alert.annotations.", &alert.annotations);
    Event {
        name: "picket.alert".into(),
        severity,
        severity_text: if alert.state == AlertState::Firing { severity_text } else { String::new() },
        body: or(&value_of(&alert.annotations, "summary"), || format!("{} is {word}.", alert.rule)),
        attributes,
    }
}

fn number(severity: Severity) -> i32 {
    match severity {
        Severity::Info => INFO,
        Severity::Low => INFO2,
        Severity::Medium => WARN,
        Severity::High => ERROR,
        Severity::Critical => ERROR2,
    }
}

fn evidence(evidence: &Evidence) -> Event {
    let mut attributes = Attributes::of_event(evidence.id);
    attributes.text_unless_empty("picket.source", &evidence.source);
    attributes.stream(&evidence.stream);
    attributes.number("picket.offset", evidence.offset);
    attributes.text("picket.record.sha256", evidence.digest.to_string());
    attributes.text("log.record.original", String::from_utf8_lossy(&evidence.record));
    Event {
        name: "picket.evidence".into(),
        severity: WARN,
        severity_text: String::new(),
        body: evidence.reason.clone(),
        attributes,
    }
}

fn notice(notice: &Notice) -> Event {
    let (severity, word) = match notice.event {
        LifecycleEvent::Active => (INFO, "active"),
        LifecycleEvent::Rejected => (ERROR, "rejected"),
        LifecycleEvent::Retired => (INFO, "retired"),
        LifecycleEvent::CircuitOpened => (ERROR, "circuit_opened"),
        LifecycleEvent::CircuitClosed => (INFO, "circuit_closed"),
        LifecycleEvent::ThreadEnded => (ERROR, "thread_ended"),
    };
    Event {
        name: format!("picket.plugin.{word}"),
        severity,
        severity_text: String::new(),
        body: or(&notice.reason, || format!("{}: {word}.", notice.origin.plugin)),
        attributes: Attributes::of_event(notice.id),
    }
}

/// What it takes back is named as those records name themselves: by their `log.record.uid`.
fn retraction(retraction: &Retraction) -> Event {
    let mut attributes = Attributes::of_event(retraction.id);
    attributes.texts("picket.retraction.uids", retraction.retracts.iter().map(ToString::to_string));
    attributes.number("picket.retraction.count", retraction.retracts.len() as u64);
    attributes.text("picket.retraction.by", retraction.by.word());
    Event {
        name: "picket.retraction".into(),
        severity: INFO,
        severity_text: String::new(),
        body: or(&retraction.reason, || "Results were taken back.".to_owned()),
        attributes,
    }
}

fn or(text: &str, other: impl FnOnce() -> String) -> String {
    if text.is_empty() { other() } else { text.to_owned() }
}

/// Unix time in nanoseconds as RFC 3339 in UTC.
fn rfc3339(nanos: u64) -> String {
    let time = Timestamp::from_nanosecond(i128::from(nanos));
    time.expect("64 bits of nanoseconds end in the year 2554, and a timestamp goes to 9999").to_string()
}
