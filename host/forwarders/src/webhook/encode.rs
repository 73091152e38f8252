//! An event as JSON in the shape of Standard Webhooks, and what is asked of every event whatever its format:
//! whether it is sent, how bad it is, and what its name is.

use std::collections::BTreeSet;

use bytes::Bytes;
use picket_model::{AlertState, Digest, Frame, LifecycleEvent, Severity, VerdictKind};
use serde::Serialize;

use crate::file::encode::{Line, Rfc3339};
use crate::severity;

/// `{"type": "picket.finding", "timestamp": "…", "data": {…}}`, where `data` is the line of the `file` forwarder.
#[derive(Serialize)]
struct Payload<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: Rfc3339,
    data: Line<'a>,
}

/// An event as the body of a request.
pub fn json(frame: &Frame) -> Bytes {
    let payload = Payload { kind: kind(frame), timestamp: Rfc3339(frame.time()), data: Line(frame) };
    serde_json::to_vec(&payload).expect("plain data always encodes into memory").into()
}

/// The type of an event, as receivers filter by it.
pub fn kind(frame: &Frame) -> &'static str {
    match frame {
        Frame::Finding(_) => "picket.finding",
        Frame::Verdict(_) => "picket.verdict",
        Frame::Alert(_) => "picket.alert",
        Frame::Sample(_) => "picket.sample",
        Frame::Evidence(_) => "picket.evidence",
        Frame::Notice(_) => "picket.notice",
        Frame::Retraction(_) => "picket.retraction",
    }
}

/// The name of a message with these events: by it a receiver knows one that is sent again. That of a single
/// event is its id.
pub fn id<'a>(frames: impl IntoIterator<Item = &'a Frame>) -> String {
    let ids: Vec<String> =
        frames.into_iter().filter_map(Frame::origin).map(|(id, _)| id.to_string()).collect();
    match ids.as_slice() {
        [id] => id.clone(),
        ids => Digest::of_parts(ids.iter().map(String::as_bytes)).to_string()[..32].to_owned(),
    }
}

/// Whether an event is for a person at all: a pending alert is not yet, a silenced one and a clean file are not.
pub fn is_wanted(frame: &Frame, verdicts: &BTreeSet<VerdictKind>) -> bool {
    match frame {
        Frame::Verdict(verdict) => verdicts.contains(&verdict.verdict),
        Frame::Alert(alert) => alert.state != AlertState::Pending && alert.silenced_by.is_none(),
        Frame::Sample(_) => false,
        Frame::Finding(_) | Frame::Evidence(_) | Frame::Notice(_) | Frame::Retraction(_) => true,
    }
}

/// How bad it is, by which it is routed; a retraction goes to all who may have got what it takes back. The end of an alert is as bad as the alert, so that those who were
/// told of the one are told of the other.
pub fn severity(frame: &Frame) -> Severity {
    severity::of(frame).unwrap_or(match frame {
        Frame::Evidence(_) => Severity::Low,
        Frame::Notice(notice) => match notice.event {
            LifecycleEvent::Rejected | LifecycleEvent::CircuitOpened | LifecycleEvent::ThreadEnded => {
                Severity::Medium
            }
            LifecycleEvent::Active | LifecycleEvent::Retired | LifecycleEvent::CircuitClosed => {
                Severity::Info
            }
        },
        Frame::Sample(_) | Frame::Retraction(_) => Severity::Info,
        // An alert that does not say it.
        Frame::Alert(_) | Frame::Finding(_) | Frame::Verdict(_) => Severity::Medium,
    })
}
