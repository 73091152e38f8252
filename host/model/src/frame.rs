//! What plugins' results become once they are committed: frames, the units of the journal.
//!
//! Frames are stored as MessagePack maps with a version byte before them (see `pipeline::commit`)
//! and shown as JSON by the `file` forwarder and the API, so a field's name here is what
//! users see.

use serde::{Deserialize, Serialize};

use super::{Digest, EventId};

/// A name and its value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Label {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

/// How bad a finding is, lowest first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing, nothing to do.
    Info,
    /// Worth a look some time.
    Low,
    /// Worth a look today.
    Medium,
    /// Somebody should look now.
    High,
    /// Somebody has to act now.
    Critical,
}

/// Who made a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The plugin's name in the configuration.
    pub plugin: String,
    /// The digest of the generation: component, configuration and assets.
    pub generation: Digest,
}

/// Something a person or a system upstream should know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Unique name; the same when the record is processed again by the same generation.
    pub id: EventId,
    /// Unix time in nanoseconds: when it happened.
    pub time: u64,
    /// Who found it.
    #[serde(flatten)]
    pub origin: Origin,
    /// The plugin's rule.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// One sentence.
    pub message: String,
    /// The particulars.
    pub attributes: Vec<Label>,
    /// The source's name; empty when no source is behind it.
    pub source: String,
    /// The stream: the path of the log or of the scanned file.
    pub stream: String,
    /// Where the record starts in the stream, in bytes.
    pub offset: Option<u64>,
    /// The start of the record's text, at most 1 KiB, with its invalid UTF-8 replaced.
    pub record: Option<String>,
}

/// What a scanner thinks of a file.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum VerdictKind {
    /// Nothing wrong.
    Clean,
    /// Not looked at.
    Skipped,
    /// A person should look.
    Suspicious,
    /// It does harm.
    Malicious,
}

/// A verdict on one file by one scanner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Unique name.
    pub id: EventId,
    /// Unix time in nanoseconds of the scan.
    pub time: u64,
    /// Who gave it.
    #[serde(flatten)]
    pub origin: Origin,
    /// The `directory` source; empty in one-shot scans.
    pub source: String,
    /// The file; members of containers stand behind `!/`.
    pub path: String,
    /// Of the content.
    pub sha256: Digest,
    /// Of the content, in bytes.
    pub size: u64,
    /// The verdict.
    pub verdict: VerdictKind,
    /// Why, in one sentence.
    pub reason: String,
}

/// Where an alert is in its life. `inactive` ones are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// It holds, but not yet for as long as its rule wants.
    Pending,
    /// It held for long enough.
    Firing,
    /// It was firing and holds no longer.
    Resolved,
}

/// A change in an alert's life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertEvent {
    /// Unique name of this change.
    pub id: EventId,
    /// Unix time in nanoseconds of the evaluation that made the change.
    pub time: u64,
    /// Who evaluated it.
    #[serde(flatten)]
    pub origin: Origin,
    /// The rule group.
    pub group: String,
    /// The rule.
    pub rule: String,
    /// The state it is in now.
    pub state: AlertState,
    /// Its identity together with the rule, sorted by name.
    pub labels: Vec<Label>,
    /// Text for people.
    pub annotations: Vec<Label>,
    /// The value of the last evaluation at which it held.
    pub value: f64,
    /// Unix time in nanoseconds since when it has held. A step of the clock moves it.
    pub active_since: u64,
    /// The silence it is under; absent when under none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silenced_by: Option<String>,
}

/// The bits of the NaN that says that a series ends here, and no value: Prometheus' stale marker, as its remote
/// write has it.
pub const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;

/// A value of a series at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The metric's name.
    pub name: String,
    /// Sorted by name.
    pub labels: Vec<Label>,
    /// Unix time in nanoseconds.
    pub time: u64,
    /// The value.
    pub value: f64,
}

impl Sample {
    /// The stale marker of a series; `labels` sorted by name, `time` later than its last sample's.
    pub fn stale(name: String, labels: Vec<Label>, time: u64) -> Self {
        Self { name, labels, time, value: f64::from_bits(STALE_NAN) }
    }

    /// Whether it is no value but the end of its series, see [`STALE_NAN`]. Any other NaN is a value.
    pub fn is_stale(&self) -> bool {
        self.value.to_bits() == STALE_NAN
    }
}

/// A record that a plugin cannot process, kept so that its author can find out why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Unique name.
    pub id: EventId,
    /// Unix time in nanoseconds of the failed call.
    pub time: u64,
    /// Who failed.
    #[serde(flatten)]
    pub origin: Origin,
    /// The source's name.
    pub source: String,
    /// The stream.
    pub stream: String,
    /// Where the record starts in the stream, in bytes.
    pub offset: u64,
    /// Of the whole record.
    pub digest: Digest,
    /// The record's first bytes, at most 4 KiB.
    #[serde(with = "serde_bytes_text")]
    pub record: Vec<u8>,
    /// How the call failed.
    pub reason: String,
}

/// Something that happened to a plugin and that upstream should see: a swap, a rejection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Unique name.
    pub id: EventId,
    /// Unix time in nanoseconds.
    pub time: u64,
    /// Which plugin and which generation of it.
    #[serde(flatten)]
    pub origin: Origin,
    /// What happened.
    pub event: LifecycleEvent,
    /// Why, in one sentence; may be empty.
    pub reason: String,
}

/// What can happen to a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LifecycleEvent {
    /// It serves now.
    Active,
    /// It failed a step of its life before serving.
    Rejected,
    /// It was removed and has finished its work.
    Retired,
    /// It failed too often and rests.
    CircuitOpened,
    /// It works again.
    CircuitClosed,
    /// Its thread ended by a bug of the agent; another one takes its place.
    ThreadEnded,
}

/// Findings and verdicts that were committed before, and are taken back: they were wrong. Receivers know them by
/// their ids. A result with such an id that comes after it is a new one and stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retraction {
    /// Unique name of the retraction itself.
    pub id: EventId,
    /// Unix time in nanoseconds at which they were taken back.
    pub time: u64,
    /// Whose results are taken back: all are of this generation.
    #[serde(flatten)]
    pub origin: Origin,
    /// Who took them back.
    pub by: RetractedBy,
    /// Why, in one sentence, of at most [`MAX_RETRACTION_REASON_BYTES`].
    pub reason: String,
    /// The ids of what is taken back: one at least, and at most [`MAX_RETRACTS`].
    pub retracts: Vec<EventId>,
}

/// The most ids in one retraction: about 34 KiB of JSON, which the narrowest receivers take. More are several
/// retractions.
pub const MAX_RETRACTS: usize = 1000;

/// The longest reason of a retraction: it stands in each of them, and is a sentence.
pub const MAX_RETRACTION_REASON_BYTES: usize = 1 << 10;

/// Who took results back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetractedBy {
    /// A person, by a command.
    Operator,
    /// The agent, because it has refused the generation.
    Agent,
}

/// The unit of the journal. `kind` tells which one in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Frame {
    /// See [`Finding`].
    Finding(Finding),
    /// See [`Verdict`].
    Verdict(Verdict),
    /// See [`AlertEvent`].
    Alert(AlertEvent),
    /// See [`Sample`].
    Sample(Sample),
    /// See [`Evidence`].
    Evidence(Evidence),
    /// See [`Notice`].
    Notice(Notice),
    /// See [`Retraction`]. Agents older than it pass over the whole record that holds one, and count that; it is
    /// committed alone, so that they lose nothing else.
    Retraction(Retraction),
}

/// Bytes of a record: text with replaced invalid UTF-8 in JSON, bytes in MessagePack.
mod serde_bytes_text {
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&String::from_utf8_lossy(bytes))
        } else {
            serializer.serialize_bytes(bytes)
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes or text")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
                Ok(text.as_bytes().to_vec())
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(bytes)
            }
        }
        // Inside a tagged enum serde does not say which format it reads: take what there is.
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence() -> Evidence {
        let digest = Digest::of(b"x");
        Evidence {
            id: EventId::derive(&digest, 1, &digest, 0),
            time: 1,
            origin: Origin { plugin: "p".into(), generation: digest },
            source: "s".into(),
            stream: "/var/log/x".into(),
            offset: 1,
            digest,
            record: vec![0xff, b'a'],
            reason: "trap".into(),
        }
    }

    fn retraction() -> Frame {
        let Evidence { id, origin, .. } = evidence();
        let retracts = vec![id, EventId([0; 16]), EventId([0xff; 16])];
        let (by, reason) = (RetractedBy::Operator, "A rule was wrong.".into());
        Frame::Retraction(Retraction { id, time: 1, origin, by, reason, retracts })
    }

    #[test]
    fn a_frame_survives_message_pack() {
        for frame in [
            Frame::Evidence(evidence()),
            Frame::Finding(Finding {
                id: evidence().id,
                time: 1,
                origin: evidence().origin,
                rule: "r".into(),
                severity: Severity::High,
                message: "m".into(),
                attributes: vec![Label { name: "a".into(), value: "b".into() }],
                source: "s".into(),
                stream: "f".into(),
                offset: Some(7),
                record: None,
            }),
            Frame::Verdict(Verdict {
                id: evidence().id,
                time: 1,
                origin: evidence().origin,
                source: "s".into(),
                path: "f".into(),
                sha256: evidence().digest,
                size: u64::MAX,
                verdict: VerdictKind::Clean,
                reason: "r".into(),
            }),
            Frame::Alert(AlertEvent {
                id: evidence().id,
                time: 1,
                origin: evidence().origin,
                group: "g".into(),
                rule: "r".into(),
                state: AlertState::Firing,
                labels: vec![Label { name: "a".into(), value: "b".into() }],
                annotations: vec![],
                value: f64::NEG_INFINITY,
                active_since: 1,
                silenced_by: Some("0123456789abcdef".into()),
            }),
            Frame::Notice(Notice {
                id: evidence().id,
                time: 1,
                origin: evidence().origin,
                event: LifecycleEvent::CircuitOpened,
                reason: String::new(),
            }),
            Frame::Sample(Sample { name: "up".into(), labels: vec![], time: 3, value: f64::INFINITY }),
            retraction(),
        ] {
            let packed = rmp_serde::to_vec_named(&frame).unwrap();
            assert_eq!(rmp_serde::from_slice::<Frame>(&packed).unwrap(), frame);
        }
    }

    #[test]
    fn an_alert_of_before_silences_is_read() {
        let event = AlertEvent {
            id: evidence().id,
            time: 1,
            origin: evidence().origin,
            group: "g".into(),
            rule: "r".into(),
            state: AlertState::Firing,
            labels: vec![],
            annotations: vec![],
            value: 1.0,
            active_since: 1,
            silenced_by: None,
        };
        let packed = rmp_serde::to_vec_named(&Frame::Alert(event.clone())).unwrap();
        let key = b"silenced_by";
        assert!(!packed.windows(key.len()).any(|bytes| bytes == key), "as it was written then");
        assert_eq!(rmp_serde::from_slice::<Frame>(&packed).unwrap(), Frame::Alert(event));
    }

    #[test]
    fn a_stale_marker_survives_message_pack_bit_for_bit_and_other_nans_are_none() {
        for bits in [STALE_NAN, 0x7ff8_0000_0000_0001, f64::NAN.to_bits()] {
            let value = f64::from_bits(bits);
            let frame = Frame::Sample(Sample { name: "up".into(), labels: vec![], time: 3, value });
            let packed = rmp_serde::to_vec_named(&frame).unwrap();
            let Frame::Sample(read) = rmp_serde::from_slice(&packed).unwrap() else { unreachable!() };
            assert_eq!(read.value.to_bits(), bits);
            assert_eq!(read.is_stale(), bits == STALE_NAN);
        }
        assert!(Sample::stale("up".into(), vec![], 3).is_stale());
    }

    #[test]
    fn json_shows_the_kind_and_the_origin_flat() {
        let json = serde_json::to_value(Frame::Evidence(evidence())).unwrap();
        assert_eq!(json["kind"], "evidence");
        assert_eq!(json["plugin"], "p");
        assert_eq!(json["record"], "\u{fffd}a");
        let json = serde_json::to_value(retraction()).unwrap();
        assert_eq!((&json["kind"], &json["by"]), (&"retraction".into(), &"operator".into()));
        assert_eq!(json["retracts"][2], "f".repeat(32));
    }
}
