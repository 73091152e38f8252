//! What lies between the journal and receivers: records of lanes, cursors, rules for labels, templates, what
//! receivers answer, and results on their way into each receiver's format.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, SystemTime};

use hyper::HeaderMap;
use hyper::header::{DATE, HeaderValue, RETRY_AFTER};
use picket::forwarders::cursor::Cursor;
use picket::lanes;
use picket::model::{
    AlertEvent, AlertState, Digest, EventId, Finding, Frame, Label, Origin, Sample, Severity,
};
use picket_forwarders::fluent::wire::Message::{Ack, Helo, Pong};
use picket_forwarders::otlp::encode::{Context, Signal};
use picket_forwarders::select::{self, Select};
use picket_forwarders::webhook::template::Template;
use picket_forwarders::{alertmanager, fluent, remote_write, webhook};
use picket_http::{Answer, Judgement, MAX_RETRY_AFTER, retry_after};
use picket_relabel::{MAX_LABELS, MAX_NAME_BYTES, MAX_VALUE_BYTES};

use crate::{Target, shape, shape_of_text};

/// A record of a lane.
pub(super) const LANE: Target = Target {
    name: "lane",
    about: "the payload of a lane's record, as read back from disk",
    samples: &[],
    seeds: || vec![lane_record()],
    words: &["finding", "sample", "alert", "kind", "name", "labels", "time", "value"],
    run: |data| match lanes::frames(data) {
        Ok(frames) => shape(&[1, frames.len() as u64]),
        Err(error) => shape_of_text(&error.to_string()),
    },
};

/// A record of the example frames: a version byte, four numbers, how many frames, the frames.
fn lane_record() -> Vec<u8> {
    let frames = frames();
    let mut payload = vec![1];
    for number in [1_u64, 44, 1_700_000_000_000_000_000, 0] {
        payload.extend(number.to_le_bytes());
    }
    payload.extend((frames.len() as u32).to_le_bytes());
    payload.extend(packed(&frames));
    payload
}

/// How far a forwarder has come.
pub(super) const CURSOR: Target = Target {
    name: "cursor",
    about: "a forwarder's cursor, as read back from the state",
    samples: &[],
    seeds: || vec![Cursor::default().encode(), Cursor { note: vec![1, 2, 3], ..Cursor::default() }.encode()],
    words: &["segment", "offset", "next", "places", "note"],
    run: |data| match Cursor::decode("fuzz", data) {
        Ok(cursor) => {
            let again = Cursor::decode("fuzz", &cursor.encode()).expect("what is written can be read");
            assert_eq!(again, cursor, "a cursor changes when it is written");
            shape(&[1, cursor.note.len() as u64, u64::from(cursor.places[0].next().is_some())])
        }
        Err(error) => shape_of_text(&error.to_string()),
    },
};

/// A section `select`, applied to one frame of several kinds.
pub(super) const RELABEL: Target = Target {
    name: "relabel",
    about: "filters and relabelling rules, as they stand in the configuration",
    samples: &[],
    seeds: || vec![SELECT.as_bytes().to_vec()],
    words: &[
        "[[relabel]]\n",
        "action = \"replace\"\n",
        "action = \"labelmap\"\n",
        "action = \"labeldrop\"\n",
        "action = \"hashmod\"\nmodulus = 7\n",
        "action = \"lowercase\"\n",
        "action = \"dropequal\"\n",
        "source_labels = [\"__name__\", \"device\"]\n",
        "target_label = \"a\"\n",
        "target_label = \"${1}\"\n",
        "replacement = \"$1$2\"\n",
        "regex = \"(.+)_(.*)\"\n",
        "(?i:",
        "{2,9}",
        "\\\\pL",
        "include = [\"sample\"]\n",
        "min_severity = \"high\"\n",
        "[labels]\n",
    ],
    run: |data| {
        let Ok(text) = std::str::from_utf8(data) else { return 0 };
        let Ok(config) = toml::from_str::<select::Config>(text) else { return 1 };
        let select = match Select::new(&config) {
            Ok(select) => select,
            Err(error) => return shape_of_text(&error.to_string()),
        };
        let passed: Vec<Frame> = frames().into_iter().filter_map(|frame| select.apply(frame)).collect();
        let labels: Vec<&[Label]> = passed.iter().map(labels).collect();
        for labels in &labels {
            assert!(labels.len() <= MAX_LABELS, "rules made too many labels");
            for Label { name, value } in *labels {
                assert!(!name.starts_with("__"), "`{name}` is for rules only");
                assert!(name.len() <= MAX_NAME_BYTES && value.len() <= MAX_VALUE_BYTES, "too long");
            }
        }
        let sizes = labels.iter().map(|labels| labels.len() as u64);
        shape(&[2, passed.len() as u64].into_iter().chain(sizes).collect::<Vec<_>>())
    },
};

const SELECT: &str = r#"include = ["sample", "alert", "finding"]
min_severity = "low"
plugins = ["auth-guard", "thresholds"]
[labels]
cluster = "eu-1"
[[relabel]]
source_labels = ["__name__", "device"]
separator = "/"
regex = "node_(.+)/(sd.)"
target_label = "disk"
replacement = "$2 of ${1}"
[[relabel]]
action = "labelmap"
regex = "__(plugin|rule)__"
replacement = "picket_$1"
[[relabel]]
action = "hashmod"
source_labels = ["cluster"]
modulus = 4
target_label = "shard"
[[relabel]]
action = "drop"
source_labels = ["__kind__"]
regex = "evidence|notice"
"#;

/// A body of the operator's making.
pub(super) const TEMPLATE: Target = Target {
    name: "template",
    about: "a webhook's template, and what it makes of results",
    samples: &[],
    seeds: || {
        vec![
            br#"{ "summary": {{ "[" ~ tag ~ "] " ~ title }}, "severity": {% if severity == "critical" %}"page"{% else %}"ticket"{% endif %} }"#.to_vec(),
            br#"{ "labels": {{ labels }}, "user": {{ attributes.user }}, "lines": [{% for line in text|split("\n") %}{{ line }},{% endfor %} null] }"#.to_vec(),
        ]
    },
    words: &[
        "{{",
        "}}",
        "{%",
        "%}",
        "{% for x in event %}",
        "{% endfor %}",
        "event",
        "title",
        "|upper",
        "|tojson",
        " ~ ",
    ],
    run: |data| {
        let Ok(text) = std::str::from_utf8(data) else { return 0 };
        let template = match Template::new("fuzz", text.to_owned(), "application/json") {
            Ok(template) => template,
            Err(error) => return shape_of_text(&error.to_string()),
        };
        let made = frames().into_iter().filter_map(|frame| template.render(&frame, "node").ok());
        let sizes = made.map(|body| {
            assert!(body.len() <= 1 << 20, "a body of {} bytes", body.len());
            body.len() as u64
        });
        shape(&std::iter::once(1).chain(sizes).collect::<Vec<_>>())
    },
};

/// What a receiver of the Forward protocol says.
pub(super) const FORWARD: Target = Target {
    name: "forward",
    about: "the messages of a receiver of the Forward protocol",
    samples: &[],
    seeds: || {
        vec![
            b"\x92\xa4HELO\x83\xa5nonce\xc4\x02ab\xa4auth\xa0\xa9keepalive\xc3".to_vec(),
            b"\x95\xa4PONG\xc2\xa2no\xa4host\xa6digest".to_vec(),
            b"\x81\xa3ack\xa2id".to_vec(),
        ]
    },
    words: &["HELO", "PONG", "ack", "nonce", "auth", "keepalive"],
    run: |data| match fluent::wire::message(data) {
        Ok(Some((message, taken))) => {
            assert!(0 < taken && taken <= data.len().min(fluent::wire::MAX_MESSAGE), "it took {taken} bytes");
            let again = fluent::wire::message(&data[..taken]);
            assert_eq!(again, Ok(Some((message.clone(), taken))), "what follows changes a message");
            match message {
                Helo { nonce, auth, keepalive } => {
                    shape(&[1, nonce.len() as u64, auth.len() as u64, u64::from(keepalive)])
                }
                Pong { accepted, reason, .. } => shape(&[2, u64::from(accepted), reason.len() as u64]),
                Ack(id) => shape(&[3, id.len() as u64]),
            }
        }
        Ok(None) => {
            assert!(data.len() < fluent::wire::MAX_MESSAGE, "it waits for more for ever");
            0
        }
        Err(alien) => shape_of_text(&alien.to_string()),
    },
};

/// What a receiver answers: a status, `Retry-After`, `Date` and the body, each on a line.
pub(super) const ANSWER: Target = Target {
    name: "answer",
    about: "a receiver's answer to a request over HTTP",
    samples: &[],
    seeds: || {
        [
            "429\n120\n\nslow down",
            "503\nSun, 06 Nov 1994 08:50:00 GMT\nSun, 06 Nov 1994 08:49:37 GMT\n",
            "400\n\n\nClient sent an HTTP request to an HTTPS server.",
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
    },
    words: &["200", "204", "301", "400", "401", "429", "503", " GMT", "Sunday, 06-Nov-94 08:50:00 GMT"],
    run: |data| {
        let mut lines = data.splitn(4, |byte| *byte == b'\n');
        let mut line = || lines.next().unwrap_or_default();
        let status = std::str::from_utf8(line()).ok().and_then(|text| text.parse().ok()).unwrap_or(500);
        let mut headers = HeaderMap::new();
        for name in [RETRY_AFTER, DATE] {
            if let Ok(value) = HeaderValue::from_bytes(line()) {
                headers.insert(name, value);
            }
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let retry_after = retry_after(&headers, now);
        assert!(retry_after.is_none_or(|after| after <= MAX_RETRY_AFTER), "it waits for too long");
        let answer = Answer { status, retry_after, content_type: String::new(), body: line().to_vec() };
        let said = answer.said();
        assert!(!said.chars().any(char::is_control), "a control character got through");
        let judged = match answer.judge() {
            Judgement::Accepted => 1,
            Judgement::Later { .. } => 2,
            Judgement::Unusable => 4,
            Judgement::Refused => 8,
        };
        shape(&[judged, retry_after.map_or(0, |after| after.as_secs() + 1), said.len() as u64])
    },
};

/// Frames in the formats of all receivers.
pub(super) const ENCODE: Target = Target {
    name: "encode",
    about: "results on their way into the formats of receivers",
    samples: &[],
    seeds: || vec![packed(&frames())],
    words: &["finding", "sample", "alert", "verdict", "evidence", "notice", "__name__", "severity", "NaN"],
    run: |data| {
        let Ok(frames) = rmp_serde::from_slice::<Vec<Frame>>(data) else { return 0 };
        let sizes = [
            as_remote_write(&frames),
            as_otlp(&frames),
            as_events(&frames),
            as_json(&frames),
            as_alerts(&frames),
        ];
        for size in sizes {
            assert!(size <= most(data), "{} bytes became {size}", data.len());
        }
        shape(&std::iter::once(frames.len()).chain(sizes).map(|size| size as u64).collect::<Vec<_>>())
    },
};

/// No format makes more of a frame: each has a few hundred bytes of its own for a field of one byte, and what has
/// to be escaped takes six for one.
fn most(data: &[u8]) -> usize {
    4096 + 64 * data.len()
}

fn as_remote_write(frames: &[Frame]) -> usize {
    let mut table = remote_write::encode::table(frames, 1_800_000_000_000);
    let refused: HashSet<usize> = table.refused.iter().map(|refused| refused.frame).collect();
    assert_eq!(refused.len(), table.refused.len(), "a frame is refused twice");
    let known: Vec<usize> = table.points.iter().map(|point| point.frame).collect();
    assert!(known.iter().all(|frame| !refused.contains(frame)), "a frame is sent and refused");
    assert!(known.iter().chain(&refused).all(|frame| *frame < frames.len()), "there is no such frame");
    table.points.sort_by_key(|point| (point.series, point.time));
    remote_write::encode::body(&table.series, &table.points).len()
}

fn as_otlp(frames: &[Frame]) -> usize {
    let context = Context::new("node", &BTreeMap::new());
    let request = |signal| {
        let of_it = |frame: &&Frame| Signal::of(frame.kind()) == signal;
        let frames: Vec<&Frame> = frames.iter().filter(of_it).collect();
        context.request(signal, &frames, &[]).len()
    };
    request(Signal::Logs) + request(Signal::Metrics)
}

fn as_events(frames: &[Frame]) -> usize {
    let frames: Vec<&Frame> = frames.iter().collect();
    fluent::encode::entries(&frames).len()
}

fn as_json(frames: &[Frame]) -> usize {
    for frame in frames {
        let text = webhook::slack::text(frame, "node");
        assert!(text.chars().count() <= webhook::slack::MAX_MESSAGE, "a message that is too long");
    }
    frames.iter().map(|frame| webhook::encode::json(frame).len()).sum()
}

fn as_alerts(frames: &[Frame]) -> usize {
    let mut size = 0;
    for frame in frames {
        let Frame::Alert(alert) = frame else { continue };
        let labels = alertmanager::encode::labels(&alert.labels, &alert.rule, "node");
        let annotations = alertmanager::encode::annotations(&alert.annotations);
        for (name, value) in labels.iter().chain(&annotations) {
            assert!(!name.is_empty() && !value.is_empty(), "an Alertmanager refuses `{name}`");
            size += value.len();
        }
    }
    size
}

fn packed(frames: &[Frame]) -> Vec<u8> {
    rmp_serde::to_vec_named(frames).expect("plain data can be packed")
}

/// The labels that rules can change.
fn labels(frame: &Frame) -> &[Label] {
    match frame {
        Frame::Finding(finding) => &finding.attributes,
        Frame::Alert(alert) => &alert.labels,
        Frame::Sample(sample) => &sample.labels,
        Frame::Verdict(_) | Frame::Evidence(_) | Frame::Notice(_) | Frame::Retraction(_) => &[],
    }
}

/// Two samples, a finding and an alert.
fn frames() -> Vec<Frame> {
    let label = |name: &str, value: &str| Label { name: name.to_owned(), value: value.to_owned() };
    let digest = Digest::of(b"fuzz");
    let (id, time) = (EventId::derive(&digest, 0, &digest, 0), 1_700_000_000_000_000_000);
    let origin = |plugin: &str| Origin { plugin: plugin.to_owned(), generation: digest };
    let sample = |value| {
        let labels = vec![label("device", "sda"), label("instance", "a:9100")];
        Frame::Sample(Sample { name: "node_disk_io".to_owned(), labels, time, value })
    };
    let finding = Finding {
        id,
        time,
        origin: origin("auth-guard"),
        rule: "ssh-brute-force".to_owned(),
        severity: Severity::High,
        message: "20 failed logins <root>".to_owned(),
        attributes: vec![label("user", "root"), label("user", "admin"), label("a-b", "")],
        source: "auth".to_owned(),
        stream: "/var/log/auth.log".to_owned(),
        offset: Some(4096),
        record: Some("Failed password for root".to_owned()),
    };
    let alert = AlertEvent {
        id,
        time,
        origin: origin("thresholds"),
        group: "disk".to_owned(),
        rule: "DiskUsage".to_owned(),
        state: AlertState::Firing,
        labels: vec![
            label("alertname", "DiskUsage"),
            label("mount point", "/"),
            label("severity", "critical"),
        ],
        annotations: vec![label("summary", "/ is 97 % full.")],
        value: 0.97,
        active_since: time - 60_000_000_000,
        silenced_by: None,
    };
    vec![sample(0.5), sample(f64::NAN), Frame::Finding(finding), Frame::Alert(alert)]
}
